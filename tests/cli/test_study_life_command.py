"""``optdet study delete|backup|clean|extend`` and ``optdet trial pack``: what they print, and refuse."""

from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture
def copied(studied, tmp_path):
    """The studied folder in another place, to be changed."""
    shutil.copytree(studied[0], tmp_path / "copied")
    return tmp_path / "copied"


def test_delete(copied, optdet, monkeypatch):
    assert optdet("study", "delete", "tiny", cwd=copied).error.endswith(
        "not a terminal, so nobody can be asked; say so with --yes"
    )
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, abort: asked.append((question, abort)))
    ran = optdet("study", "delete", "tiny", cwd=copied)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("deleted study tiny: 2 trials, ")
    assert asked == [(f"{ran.out.replace('deleted', 'delete').strip()}?", True)]
    assert json.loads(optdet("study", "list", "--json", "--all", cwd=copied).out) == []
    assert not [path for path in (copied / "studies/runs").rglob("*") if path.is_file()]
    assert "no study named 'tiny'" in optdet("study", "delete", "tiny", "--yes", cwd=copied).error


def test_delete_says_which_database_keeps_files(copied, optdet):
    shutil.copy(copied / "studies/optdet.db", copied / "studies/copy.db")
    ran = optdet("study", "delete", "tiny", "--yes", cwd=copied)
    assert "copy.db has a study of this name too: what that one names was left" in ran.err
    assert list((copied / "studies/runs/tiny").rglob("best-*.pt"))
    assert optdet("study", "best", "--storage", "studies/copy.db", cwd=copied).code == 0


def test_clean(copied, optdet):
    picture = copied / "studies/artifacts/nobodys"
    picture.write_bytes(bytes(2_000_000))
    ran = optdet("study", "clean", "--dry-run", cwd=copied)
    assert ran.out.splitlines() == ["pictures of trials that are gone: 1, 2.0 MB", "would remove 2.0 MB"]
    assert picture.exists()
    ran = optdet("study", "clean", cwd=copied)
    assert ran.out.splitlines() == ["pictures of trials that are gone: 1, 2.0 MB", "removed 2.0 MB"]
    assert not picture.exists()
    assert optdet("study", "clean", "tiny", cwd=copied).out == "removed 0.0 MB\n"
    assert "no study named 'tony'" in optdet("study", "clean", "tony", cwd=copied).error
    (copied / "elsewhere").mkdir()
    shutil.copy(copied / "studies/optdet.db", copied / "elsewhere/optdet.db")
    picture.write_bytes(b"1")
    ran = optdet("study", "clean", "--storage", "elsewhere/optdet.db", "--root", "studies", cwd=copied)
    assert "left 1 run folder or picture that this database does not know" in ran.err
    assert picture.exists()


@pytest.mark.slow
def test_extend(copied, optdet):
    ran = optdet("study", "extend", "tiny:0", "--epochs", "1", "optimizer.lr=0.001", cwd=copied)
    assert ran.code == 0, ran.err
    queued, run_it = ran.out.splitlines()
    assert queued.startswith("queued in tiny as trial 2: trial 0 goes on after epoch ")
    assert run_it == "run it: optdet study run tiny --trials 3"
    assert (
        "say how many epochs it gets from there: --epochs 5"
        in optdet("study", "extend", "tiny:0", cwd=copied).error
    )
    assert "there is no trial 7" in optdet("study", "extend", "tiny:7", cwd=copied).error
    assert "write STUDY:TRIAL" in optdet("study", "extend", "tiny:best", cwd=copied).error
    ran = optdet("study", "run", "tiny", "--trials", "3", cwd=copied)
    assert "trial 2 complete" in ran.err
    trial = json.loads(optdet("study", "show", "tiny", "--json", cwd=copied).out)["trials"][2]
    assert (trial["extended_from"], trial["params"]) == (0, {"optimizer.lr": 0.001})


def test_a_pack_is_a_source_in_another_folder_and_gives_the_same_bytes(copied, optdet, tmp_path):
    """Of the study nothing is left there but its images and labels."""
    best = json.loads(optdet("study", "best", "--json", cwd=copied).out)
    ran = optdet("trial", "pack", f"tiny:{best['number']}", cwd=copied)
    name = f"tiny-t{best['number']:04d}.pt"
    assert ran.out.startswith(f"wrote {name}, ")
    assert "the file exists" in optdet("trial", "pack", "tiny", "--out", name, cwd=copied).error
    assert optdet("trial", "pack", "tiny", "--out", name, "--force", cwd=copied).code == 0
    predicted = optdet(
        "predict", "tiny", "--images", best["val"]["images"], "--out", "of-study.csv", cwd=copied
    )
    assert predicted.code == 0, predicted.err
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(copied / name, elsewhere / "detector.pt")
    shutil.copytree(best["val"]["images"], elsewhere / "images")
    shutil.copy(best["val"]["labels"], elsewhere / "labels.json")
    expected = (copied / "of-study.csv").read_bytes()
    shutil.rmtree(copied)
    given = ("--images", "images", "--labels", "labels.json")
    ran = optdet("predict", "detector.pt", "--images", "images", "--out", "found.csv", cwd=elsewhere)
    assert ran.code == 0, ran.err
    assert (elsewhere / "found.csv").read_bytes() == expected
    scored = json.loads(
        optdet("evaluate", "found.csv", "--labels", "labels.json", "--json", cwd=elsewhere).out
    )
    assert scored["competition"]["macro"]["hmean"] == best["value"]
    tuned = optdet("postprocess", "tune", "detector.pt", *given, "--json", cwd=elsewhere)
    assert tuned.code == 0, tuned.err
    compared = optdet("compare", "detector.pt", "found.csv", *given, "--json", cwd=elsewhere)
    assert compared.code == 0, compared.err
    assert json.loads(compared.out)["competition"]["macro"]["hmean"]["difference"] == 0
