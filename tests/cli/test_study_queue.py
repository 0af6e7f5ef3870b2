"""``study create --warm-start``: what is queued is said, line by line, and said again."""

from __future__ import annotations

import shutil

NEW = """\
name: new
config: ../configs/tiny.yaml
space:
  optimizer.lr: {type: float, low: 0.1, high: 0.2}
  optimizer.weight_decay: {type: float, low: 0.0, high: 0.1}
trials: 1
"""


def test_a_warm_start_says_what_it_queues(studied, optdet, tmp_path):
    folder, _ = studied
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "studies" / "new.yaml").write_text(NEW)
    words = ("study", "create", "studies/new.yaml", "--warm-start", "tiny")
    made = optdet(*words)
    assert made.code == 0, made.err
    first, *lines, last = made.out.splitlines()
    assert first == "created: study new, 1 trial, in sqlite:///studies/optdet.db"
    assert last == "run it: optdet study run new"
    assert sorted(line[:20] for line in lines if line.startswith("queued")) == [
        "queued trial 0 of ti",
        "queued trial 1 of ti",
    ]
    assert any(line.startswith("queued trial 0 of tiny (0.") for line in lines)
    assert any(line.endswith("): optimizer.lr 0.005") for line in lines)
    assert lines.count("  outside of the space here: optimizer.lr") == 2
    assert lines.count("  sampled: optimizer.weight_decay") == 2
    assert lines[-1] == (
        "its 1 trial leaves no room for all of them; run it with: optdet study run new --trials 2"
    )
    again = optdet(*words)
    assert again.out.splitlines() == [first.replace("created", "exists"), *lines, last]

    elsewhere = optdet(*words, "--warm-start-storage", "studies/optdet.db", "--storage", "else.db")
    assert elsewhere.out.splitlines()[1:-2] == lines[:-1]
    other = optdet(*words, "--warm-start-top", "1").error
    assert "warm start: the best 3 of tiny there, the best 1 of tiny here" in other
    assert optdet(*words[:-1], "tyni").code == 1
