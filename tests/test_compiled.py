"""Compiled loops on disk: found again, and compiled anew where anything that they call has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

INNER = "from optdet.compiled import compiled\n\n@compiled\ndef inner(x):\n    return x + {}\n"
MIDDLE = (
    "from inner import inner\nfrom optdet.compiled import compiled\n\n"
    "@compiled\ndef middle(x):\n    return inner(x)\n"
)
OUTER = (
    "from middle import middle\nfrom optdet.compiled import compiled\n\n"
    "@compiled\ndef outer(x):\n    return middle(x) * 10\n\n"
    "if __name__ == '__main__':\n    print(outer(1), sum(outer.stats.cache_hits.values()))\n"
)


def result_and_hits(folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "outer.py"],
        cwd=folder,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_change_of_what_a_loop_calls_is_noticed_two_files_away(tmp_path: Path) -> None:
    for name, text in (("inner", INNER.format(1)), ("middle", MIDDLE), ("outer", OUTER)):
        (tmp_path / f"{name}.py").write_text(text)
    assert result_and_hits(tmp_path) == ["20", "0"]
    assert result_and_hits(tmp_path) == ["20", "1"]
    (tmp_path / "inner.py").write_text(INNER.format(20))
    assert result_and_hits(tmp_path) == ["210", "0"]
