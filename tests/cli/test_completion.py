"""What the shell completes: through the program as a shell calls it, and in bash itself."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from command_list import commands
from optuna.trial import TrialState, create_trial

from optdet.cli.completion import _joined
from optdet.store.engine import close_storage, open_storage
from optdet.tuning import attributes as attr

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a program ``optdet`` and a database of three studies, one of which is an inner one."""
    made = tmp_path_factory.mktemp("completion")
    program = made / "bin" / "optdet"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom optdet.cli.app import main\nmain()\n")
    program.chmod(0o755)
    (made / "receipts-maps").mkdir()
    (made / "receipts.csv").touch()
    (made / "studies").mkdir()
    storage = open_storage(made / "studies/optdet.db")
    for name in ("receipts", "receipts.t0001.postprocess", "folds"):
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
        study.set_user_attr(attr.READY, True)
        space = {"data.fold": {}} if name == "folds" else {}
        study.set_user_attr(attr.DEFINITION, {"space": space})
        if "postprocess" in name:
            study.set_user_attr(attr.INNER_OF, "receipts")
        study.add_trials(
            [create_trial(value=0.5), create_trial(state=TrialState.FAIL), create_trial(value=0.6)]
        )
    close_storage(storage)
    return made


def environ(folder, **more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPTDET")}
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), **more}


BASH = """
eval "$SCRIPT"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_optdet_completion optdet
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(folder):
    """What `optdet --show-completion` prints in bash."""
    words = ["bash", "-c", "optdet --show-completion; true"]
    ran = subprocess.run(words, env=environ(folder), capture_output=True, text=True, check=True)
    assert "_optdet_completion" in ran.stdout
    return ran.stdout


@pytest.fixture(scope="module")
def in_bash(folder, script):
    def complete(*words):
        ran = subprocess.run(
            ["bash", "--norc", "-c", BASH, "bash", "optdet", *words],
            env=environ(folder, SCRIPT=script),
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stderr == ""
        return ran.stdout.split()

    return complete


FILES = ["receipts-maps/", "receipts.csv"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("study", "show", "rec"), ["receipts"]),
        (("predict", "rec"), ["receipts", *FILES]),
        (("compare", "receipts", ":"), ["0", "2"]),  # bash takes words apart at colons
        (("compare", "receipts", ":", "2", "folds", ":"), ["0", "2", "oof"]),
        (("stu",), ["study"]),
        (("study", "show", ""), ["folds", "receipts"]),
        (("study", "show", "x"), []),  # and bash completes files
        (("compare", "receipts", ":", "2"), ["2"]),
        (("trial", "pack", "folds", ":"), ["0", "2"]),
        (("study", "create", "--warm-start", "f"), ["folds"]),
        (("study", "create", "--from", "receipts", ":", "0"), ["0"]),
        (("study", "show", "--storage", "nowhere.db", ""), []),
        (("study", "show", "--storage", "studies/optdet.db", "fo"), ["folds"]),
        (("train", "rec"), []),
        (("analyze", "folds", ":"), ["0", "2", "oof"]),
        (("export", "rec"), ["receipts", *FILES]),
        (("export", "folds", ":"), ["0", "2"]),  # a network: pooled scores have none
        (("report", "--against", "receipts", ":"), ["0", "2"]),
    ],
    ids=" ".join,
)
@pytest.mark.thin(3)
def test_in_bash(words, expected, in_bash):
    assert in_bash(*words) == expected


COMMANDS = dict(commands())
OTHER = {"CONFIG", "FILE", "DIR", "PREDICTIONS", "CHECKPOINT", "KEY", "NUMBER", "NAME=VALUE..."}
"""Names of arguments that are no study and no source."""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_whatever_takes_a_study_or_a_source_completes_studies(path, folder):
    storage = str(folder / "studies/optdet.db")
    of_submission = ("submission", "restore")  # NAME is of a file
    for parameter in COMMANDS[path].params:
        is_argument = not parameter.opts[0].startswith("-")
        said = f"{parameter.metavar} {parameter.help if is_argument else ''}"
        takes_one = (is_argument and parameter.metavar not in OTHER) or re.search("STUDY|SOURCE", said)
        if not takes_one or path == of_submission:
            continue
        context = COMMANDS[path].make_context("optdet", [], resilient_parsing=True)
        context.params["storage"] = storage
        offered = [item.value for item in parameter.shell_complete(context, "rec")]
        assert "receipts" in offered, f"optdet {' '.join(path)}: {parameter.metavar} completes nothing"


def test_the_program_has_one_name_however_it_was_started(folder):
    def says(start):
        words = ["bash", "-c", f"{start} --show-completion; {start} study --help"]
        ran = subprocess.run(words, env=environ(folder), capture_output=True, text=True, check=True)
        return ran.stdout

    said = says(f"{sys.executable} -m optdet")
    assert said == says("optdet")
    assert "_optdet_completion()" in said
    assert "Usage: optdet study" in said


def asked(folder, shell, line, **more):
    """What the program answers to zsh or fish."""
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    given = environ(folder, _OPTDET_COMPLETE=f"complete_{shell}", _TYPER_COMPLETE_ARGS=line, **fish, **more)
    command = [folder / "bin/optdet"]
    ran = subprocess.run(command, env=given, cwd=folder, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout


def test_in_zsh_and_fish_words_are_whole(folder):
    assert asked(folder, "fish", "optdet predict folds:").split() == ["folds:0", "folds:2", "folds:oof"]
    assert r'"folds\\:2"' in asked(folder, "zsh", "optdet predict folds:")


@pytest.mark.parametrize("content", [None, b"SQLite format 3\0cut off", b"", b"no database at all"])
@pytest.mark.thin(2)
def test_where_there_is_no_database_nothing_is_completed(content, folder, tmp_path):
    path = tmp_path / "optdet.db"
    if content is not None:
        path.write_bytes(content)
    for storage in (str(path), f"sqlite:///{path}", "postgresql://nobody@nowhere/x"):
        assert asked(folder, "fish", "optdet study show ", OPTDET_STORAGE=storage).strip() == ""
    assert sorted(each.name for each in tmp_path.iterdir()) == ([] if content is None else ["optdet.db"])


def test_a_look_writes_nothing_and_waits_for_no_writer(folder, tmp_path):
    shutil.copytree(folder / "studies", tmp_path / "studies")
    path = tmp_path / "studies/optdet.db"
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    given = {"OPTDET_STORAGE": str(path)}
    assert asked(folder, "fish", "optdet study show ", **given).split() == ["folds", "receipts"]
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM studies")
        assert asked(folder, "fish", "optdet study show ", **given).split() == ["folds", "receipts"]
    finally:
        writer.close()


def test_nothing_heavy_is_imported(folder):
    probe = (
        "import sys\n"
        "from optdet.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'optuna', 'sqlalchemy', 'cv2', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    given = environ(folder, _OPTDET_COMPLETE="complete_fish", _TYPER_COMPLETE_ARGS="optdet predict rec")
    given["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    program = folder / "bin" / "probe" / "optdet"  # the program's name is what the variable is named after
    program.parent.mkdir()
    program.write_text(probe)
    words = [sys.executable, program]
    ran = subprocess.run(words, env=given, cwd=folder, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["receipts", *FILES]


def test_words_of_bash():
    assert _joined(["optdet", "compare", "a", ":", "1", "b"], "4") == (["optdet", "compare", "a:1", "b"], 2)
    assert _joined(["optdet", "compare", "a", ":", "1", "b", ":"], "6") == (
        ["optdet", "compare", "a:1", "b:"],
        3,
    )
    assert _joined(["optdet", ""], "1") == (["optdet", ""], 1)
    assert _joined(["optdet"], "1") == (["optdet"], 1)
    assert _joined([""], "") == ([""], 1)
