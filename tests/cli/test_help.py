"""``--help``: quick, complete, and with an example for every command."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from command_list import commands

COMMANDS = dict(commands())


def test_help_imports_nothing_heavy():
    probe = (
        "import sys\n"
        "from optdet.cli.app import main\n"
        "sys.argv = ['optdet', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'torch', 'optuna', 'timm', 'sqlalchemy', 'cv2', 'numpy', 'numba'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy or code else 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "First steps" in ran.stdout


@pytest.mark.parametrize("path", [(), ("study",), ("data",)])
def test_a_group_without_a_command_shows_its_commands(path, optdet):
    ran = optdet(*path)
    known = {name[: len(path) + 1][-1] for name in COMMANDS if name[: len(path)] == path}
    assert known
    assert all(name in ran.out + ran.err for name in known)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_that_names_only_what_exists(path):
    command = COMMANDS[path]
    examples = [line.strip() for line in command.help.splitlines() if line.strip().startswith("optdet ")]
    assert examples
    options = {option for parameter in command.params for option in parameter.opts}
    for example in examples:
        words = example.split()[1:]
        assert tuple(words[: len(path)]) == path
        used = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert used <= options


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_and_argument_is_explained(path):
    for parameter in COMMANDS[path].params:
        assert parameter.help, f"{' '.join(path)}: {parameter.name}"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_of_a_command_is_exit_0(path, optdet):
    ran = optdet(*path, "--help")
    assert ran.code == 0
    assert f"optdet {' '.join(path)}" in ran.out


def test_the_version(optdet):
    from optdet import __version__

    assert optdet("--version").out == f"optdet {__version__}\n"
