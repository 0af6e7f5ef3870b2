"""The import contracts of setup.cfg hold: imports point down, and heavy libraries stay where they belong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from optdet.tuning.interrupts import _DATABASE

ROOT = Path(__file__).parent.parent


def lint_imports(folder, config=ROOT / "setup.cfg"):
    program = Path(sys.executable).with_name("lint-imports")
    command = [program, "--config", config, "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_import_contracts_are_kept():
    ran = lint_imports(ROOT)
    assert ran.returncode == 0, ran.stdout
    assert "0 broken" in ran.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("optdet/metrics/scores.py", "import torch", "Scoring needs no torch"),
        ("optdet/training/loop.py", "import optuna", "Only tuning, store and cli know Optuna"),
        ("optdet/geometry/raster.py", "import optdet.detection.targets", "Imports point down only"),
        ("optdet/anywhere.py", "import optdet.errors", "Imports point down only"),
    ],
)
def test_an_import_against_a_contract_is_found(tmp_path, module, line, contract):
    shutil.copytree(ROOT / "optdet", tmp_path / "optdet", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    ran = lint_imports(tmp_path)
    assert ran.returncode == 1
    assert f"{contract} BROKEN" in ran.stdout


def modules_with_transactions(package):
    """Those that open one themselves, by the calls that do."""
    opening = re.compile(r"(write_transaction|read_transaction|\.begin|\.connect|_create_scoped_session)\(")
    return {
        ".".join(path.relative_to(package.parent).with_suffix("").parts)
        for path in package.rglob("*.py")
        if opening.search(path.read_text())
    }


def test_every_module_with_transactions_is_known_to_interrupts():
    """Else a Ctrl-C inside of one may leave the database locked."""
    found = modules_with_transactions(ROOT / "optdet")
    assert "optdet.store.finished_trials" in found
    assert {module for module in found if not module.startswith(_DATABASE)} == set()
