"""Places under the root, and paths that survive the root's move."""

from __future__ import annotations

from pathlib import Path

import pytest

from optdet.errors import OptdetError
from optdet.store.places import Places, valid_study_name


def test_places_lie_under_the_root():
    places = Places(Path("studies"))
    assert places.run_dir("b4.focused", 7) == Path("studies/runs/b4.focused/t0007")
    assert places.run_dir("b4", 12345) == Path("studies/runs/b4/t12345")
    assert places.cache_dir == Path("studies/cache")
    assert places.data_dir == Path("studies/data")
    assert places.artifacts_dir == Path("studies/artifacts")


def test_what_lies_inside_moves_with_the_root(tmp_path):
    before, after = Places(tmp_path / "old"), Places(tmp_path / "new")
    stored = before.relative(before.run_dir("s", 1) / "best.pt")
    assert stored == "runs/s/t0001/best.pt"
    assert after.absolute(stored) == tmp_path / "new/runs/s/t0001/best.pt"


def test_what_lies_outside_is_absolute(tmp_path):
    places = Places(tmp_path / "studies")
    outside = tmp_path / "studies.bak" / "best.pt"
    assert places.relative(outside) == outside.as_posix()
    assert places.relative(tmp_path / "studies" / ".." / "x.pt") == (tmp_path / "x.pt").as_posix()
    assert places.absolute(places.relative(outside)) == outside


def test_a_relative_root_is_the_working_directorys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = Places(Path("studies"))
    assert places.relative("studies/cache/a.npy") == "cache/a.npy"
    assert places.relative(tmp_path / "studies/cache/a.npy") == "cache/a.npy"
    assert places.absolute("cache/a.npy") == tmp_path / "studies/cache/a.npy"


def test_links_to_and_from_the_root_count_as_inside(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "cache").symlink_to(tmp_path / "disk")
    (tmp_path / "link").symlink_to(tmp_path / "studies")
    places = Places(tmp_path / "studies")
    assert places.relative(tmp_path / "studies/cache/a.npy") == "cache/a.npy"
    assert places.relative(tmp_path / "link/runs/a.pt") == "runs/a.pt"


@pytest.mark.parametrize("name", ["quickstart", "b4_focused-2", "s.t0007.postprocess", "9", "a" * 200])
def test_study_names_that_are_fine(name):
    assert valid_study_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "../a", "a b", "a\n", "zoë", "a:b", "a" * 201]
)
def test_study_names_that_are_refused(name):
    with pytest.raises(OptdetError, match="study name"):
        valid_study_name(name)
    with pytest.raises(OptdetError, match="study name"):
        Places(Path("studies")).run_dir(name, 0)
