"""The README is true: its commands run, its YAML is valid, its Python prints what it says."""

from __future__ import annotations

import configparser
import io
import json
import re
import shlex
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import baseline_home
import pytest
import torch
import typer

from optdet.cli.app import app, main
from optdet.config import Config
from optdet.config_io import is_study, load_config
from optdet.ensemble_config import EnsembleConfig
from optdet.playbook.graph import load_playbook
from optdet.settings_yaml import parse_yaml
from optdet.shipped import shipped_folder
from optdet.study_io import load_study
from optdet.validation import validate

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
KOREAN = (ROOT / "README.ko.md").read_text(encoding="utf-8")


def blocks_of(text):
    """Kind and content of each block of code."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell_of(text):
    """The lines of its ``sh`` blocks, comments left out."""
    lines = [line for kind, block in blocks_of(text) if kind == "sh" for line in block.splitlines()]
    return [line.partition("  #")[0].strip() for line in lines]


BLOCKS = blocks_of(README)
SHELL = shell_of(README)
YAML = [text for kind, text in BLOCKS if kind == "yaml"]

QUICK = (
    "data.size=128 model.backbone=test_efficientnet model.pretrained=false model.inner_channels=16 "
    "train.epochs=1 train.batch_size=3 data.workers=0 postprocess.tune.trials=2"
)
TRAIN = "optdet train configs/mine.yaml optimizer.lr=0.0004"
BOUND = (
    'optdet postprocess tune quickstart --constraint "recall>=0.955" --out tuned --write configs/tuned.yaml'
)
PLAYBOOK = "optdet playbook run studies/playbook_quickstart.yaml"
STATUS = "optdet playbook status studies/playbook_quickstart.yaml"
TINY_START = (
    "{data.synthetic.train: 4, data.synthetic.val: 3, data.synthetic.image_size: 192, data.size: 128,"
    " model.backbone: test_efficientnet, model.inner_channels: 16, train.epochs: 1, data.workers: 0}"
)
IMPORT = "optdet import baseline.ckpt --out baseline.pt --size 640 --write configs/baseline.yaml"
SWEEP = """method: random
run_cap: 15
parameters:
  models.optimizer.lr: {distribution: log_uniform, min: -8.5, max: -6.9}
  models.head.thresh: {distribution: normal, mu: 0.24, sigma: 0.02}
  unknown.setting: {value: 3}
early_terminate: {type: hyperband, min_iter: 8, eta: 2}
"""
SMALL_SYNTHETIC = "data.synthetic.train=4 data.synthetic.val=3 data.synthetic.image_size=192"
SMALLER = {
    "optdet study create": f"optdet study create {SMALL_SYNTHETIC} {QUICK}",
    "optdet study run --trials 20": "optdet study run --trials 2",
    "optdet data split configs/mine.yaml --folds 5 --out folds": (
        "optdet data split configs/mine.yaml --folds 2 --out folds"
    ),
    "optdet data synth receipts": "optdet data synth receipts --train 4 --val 3 --image-size 192",
    "optdet study create studies/mine.yaml": f"optdet study create studies/mine.yaml {QUICK}",
    "optdet study run mine --trials 20": "optdet study run mine --trials 1",
    "optdet study run mine --background": "optdet study run quickstart --background",  # with trials left
    "optdet study log mine --lines 3": "optdet study log quickstart --lines 3",
    "optdet study stop mine": "optdet study stop quickstart",
    "optdet study dequeue mine 7": "optdet study dequeue mine 1",
    "optdet study create studies/resolution.yaml": (
        f"optdet study create studies/quickstart.yaml --name resolution {SMALL_SYNTHETIC} {QUICK}"
    ),
    "optdet study run resolution": "optdet study run resolution --trials 1",
    TRAIN: f"{TRAIN} {QUICK}",
    PLAYBOOK: f"{PLAYBOOK} --until postprocess 'start.overrides={TINY_START}'",
    STATUS: f"{STATUS} 'start.overrides={TINY_START}'",
    IMPORT: f"{IMPORT} --backbone test_efficientnet",
    BOUND: BOUND.replace("recall>=0.955", "recall>=0"),  # two epochs of a dwarf find hardly a word
}
"""The same commands with less work to do, so that all of them take seconds."""


def run(line, folder, monkeypatch):
    """A line of shell as far as the README uses it: quotes, ``> FILE``, and jq on a JSON file."""

    def read(match):
        value = json.loads((folder / match[2]).read_text())
        for name in match[1].split("."):
            value = value[name]
        return value

    words = shlex.split(re.sub(r"\$\(jq -r \.(\S+) (\S+)\)", read, line))
    target = None
    if ">" in words:
        target = folder / words[-1]
        words = words[: words.index(">")]
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", words)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    assert code == 0, f"{line}: {err.getvalue()}"
    if target is not None:
        target.write_text(out.getvalue())
    return out.getvalue()


@pytest.fixture
def one_thread(monkeypatch):
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.delenv("OPTDET_STORAGE", raising=False)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_runs_in_the_order_of_the_readme(tmp_path, monkeypatch, one_thread):
    commands = [line for line in SHELL if line.startswith("optdet ") and line != "optdet dashboard"]
    assert set(SMALLER) <= set(commands)
    baseline_home.save(tmp_path / "baseline.ckpt", baseline_home.tensors())
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    try:
        printed = {line: run(SMALLER.get(line, line), tmp_path, monkeypatch) for line in commands}
    finally:
        run("optdet study stop quickstart", tmp_path, monkeypatch)  # what runs in the background ends here
    scored = next(out for line, out in printed.items() if line.startswith("optdet evaluate"))
    best = json.loads((tmp_path / "best.json").read_text())
    (row,) = [
        line for line in scored.splitlines() if line.startswith("CLEval, competition") and "macro" in line
    ]
    assert row.split()[-1] == f"{best['value']:.4f}"
    assert load_config(tmp_path / "configs/mine-best.yaml").optimizer.lr == 0.0003  # the study's queued trial


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_of_the_korean_one_runs_in_its_order(tmp_path, monkeypatch, one_thread):
    commands = [line for line in shell_of(KOREAN) if line.startswith("optdet ")]
    printed = {line: run(SMALLER.get(line, line), tmp_path, monkeypatch) for line in commands}
    scored = next(out for line, out in printed.items() if line.startswith("optdet evaluate"))
    best = json.loads((tmp_path / "best.json").read_text())
    assert f"{best['value']:.4f}" in scored


def test_the_korean_one_has_commands_of_the_english_one_alone():
    assert set(shell_of(KOREAN)) <= set(SHELL)
    assert len(shell_of(KOREAN)) > 25


def test_they_link_to_each_other_and_to_what_is_there():
    assert "(README.ko.md)" in README.split("##")[0]
    assert "(README.md)" in KOREAN.split("##")[0]
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\(README\.md#([^)]+)\)", KOREAN)) <= anchors


def test_commands_that_need_a_cluster_have_the_options_that_are_named():
    lines = [
        line
        for kind, text in BLOCKS
        if kind == "bash"
        for line in text.splitlines()
        if "optdet study" in line
    ]
    assert len(lines) > 5
    group = typer.main.get_command(app).commands["study"]
    for line in lines:
        words = shlex.split(line.partition("  #")[0].partition("optdet study ")[2])
        command = group.commands[words[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_what_is_not_run_exists():
    others = [line for line in SHELL if line and not line.startswith("optdet ")]
    assert {line.split()[0] for line in others} == {"make", "pip", "optuna-dashboard"}
    assert "optdet dashboard" in SHELL
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {line.split()[1] for line in others if line.startswith("make ")} <= set(targets)
    assert shutil.which("optuna-dashboard") or __import__("optuna_dashboard")
    extras = set(re.findall(r"^(\w+) =$", section("options.extras_require"), re.MULTILINE))
    assert set(re.findall(r"\.\[(\w+)\]", README)) <= extras
    assert all(f"`{extra}`" in README for extra in extras)


def section(name):
    return re.search(
        rf"^\[{re.escape(name)}\]\n(.*?)(?=^\[|\Z)", (ROOT / "setup.cfg").read_text(), re.M | re.S
    )[1]


def test_every_command_is_mentioned():
    def names(command, path=()):
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                yield from names(inner, (*path, name))
        else:
            yield " ".join(("optdet", *path))

    missing = [name for name in names(typer.main.get_command(app)) if name not in README]
    assert missing == []


def test_every_option_that_is_mentioned_exists():
    def options(command):
        for parameter in command.params:
            yield from (*parameter.opts, *parameter.secondary_opts)
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    known = {*options(typer.main.get_command(app)), "--artifact-dir"}  # optuna-dashboard's own
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= known


def test_every_requirement_is_explained():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    required = re.findall(r"^([A-Za-z][\w-]*)", parser["options"]["install_requires"].strip(), re.MULTILINE)
    rows = [line.split("|")[1] for line in README.splitlines() if line.startswith("| ")]
    explained = {name.strip() for row in rows for name in row.split(",")}
    assert {name.lower() for name in required} <= {name.lower() for name in explained}


@pytest.mark.parametrize("number", range(len(YAML)))
def test_every_yaml_block_is_valid(number, tmp_path):
    shutil.copytree(shipped_folder("configs"), tmp_path / "configs")
    path = tmp_path / "studies" / "block.yaml"
    path.parent.mkdir()
    path.write_text(YAML[number])
    tree = parse_yaml(YAML[number], "README")
    if "stages" in tree:
        assert load_playbook(path).name == "mine"
        return
    if "members" in tree:
        assert validate(EnsembleConfig, tree, "README").min_votes == 2
        return
    if not is_study(tree):
        assert load_config(path) != Config()
        return
    study = load_study(path)
    assert study.name == "receipts"
    assert study.config.train.epochs == 20


def test_the_study_block_shows_every_block():
    from optdet.study_config import StudyConfig

    (study,) = [parse_yaml(text, "README") for text in YAML if is_study(parse_yaml(text, "README"))]
    left_out = set(StudyConfig.model_fields) - set(study)
    assert left_out == {"vary_seed", "max_takeovers"}  # both are for those who read study_config.py
    assert "overrides" in study


def test_the_metric_block_prints_what_stands_below_it():
    (place,) = [i for i, (kind, text) in enumerate(BLOCKS) if kind == "python" and "cleval" in text]
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(BLOCKS[place][1], "README.md", "exec"), {})
    assert BLOCKS[place + 1] == ("text", out.getvalue())


def test_files_that_are_named_are_shipped():
    names = set(re.findall(r"`(?:configs|studies)/(\w+)\.yaml`", README)) - {"mine", "receipts"}
    shipped = {path.stem for kind in ("configs", "studies") for path in shipped_folder(kind).glob("*.yaml")}
    assert names <= shipped
    assert all(f"{stem}.yaml" in README or f"{stem}`" in README for stem in shipped)


def test_no_marker_is_left():
    assert re.findall(r"@[A-Z]+@|TODO|FIXME|XXX", README) == []
