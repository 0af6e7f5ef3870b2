"""``optdet cache list`` and ``clear``."""

from __future__ import annotations

import json

import numpy as np

from optdet.inference.map_cache import MapCache


def keep(folder, key="abc123"):
    cache = MapCache.of(folder / "studies/cache", key, title="study:3", preprocessing={"size": 64})
    cache.save("a", np.zeros((64, 64), np.float16))
    return cache.folder


def test_what_is_kept_is_listed(optdet, tmp_path):
    assert "nothing is kept in" in optdet("cache", "list").out
    keep(tmp_path)
    lines = optdet("cache", "list").out.splitlines()
    assert lines[0].split() == ["key", "what", "of", "side", "number", "size", "last", "used"]
    assert lines[1].split()[:6] == ["abc123", "maps", "study:3", "64", "1", "0.0"]
    assert lines[-1] == "0.0 MB in all"


def test_json_alone(optdet, tmp_path):
    assert json.loads(optdet("cache", "list", "--json").out) == []
    folder = keep(tmp_path)
    (row,) = json.loads(optdet("cache", "list", "--json", "--root", "studies").out)
    assert set(row) == {
        *("kind", "key", "source", "preprocessing", "made", "n_images", "n_bytes", "last_used", "path")
    }
    assert (row["kind"], row["key"], row["source"], row["n_images"]) == ("maps", "abc123", "study:3", 1)
    assert row["path"] == str(folder)


def test_clearing(optdet, tmp_path):
    one, other = keep(tmp_path), keep(tmp_path, "def456")
    ran = optdet("cache", "clear", "abc")
    assert ran.out == "removed 1 of what was kept, 0.0 MB\n"
    assert (one.exists(), other.exists()) == (False, True)
    assert "removed 1 of" in optdet("cache", "clear", "--all").out
    assert not other.exists()


def test_what_to_clear_must_be_said(optdet, tmp_path):
    folder = keep(tmp_path)
    for words in ((), ("abc123", "--all")):
        ran = optdet("cache", "clear", *words)
        assert ran.code == 2
        assert "give either a KEY or --all" in ran.err
    assert optdet("cache", "clear", "zzz").error.endswith("see `optdet cache list`")
    assert folder.exists()


def test_what_a_study_kept(optdet, studied):
    folder, _ = studied
    rows = json.loads(optdet("cache", "list", "--json", cwd=folder).out)
    assert {row["kind"] for row in rows} == {"maps", "images"}
    assert {row["source"] for row in rows if row["kind"] == "maps"} <= {"tiny:0", "tiny:1"}
    assert all(row["n_images"] == 4 for row in rows if row["kind"] == "maps")
