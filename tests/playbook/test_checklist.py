"""A line is ticked when all that it names is true, and says by what."""

from __future__ import annotations

import pytest

from optdet.playbook.checklist import ticked
from optdet.playbook.definition import PlaybookConfig
from optdet.playbook.score import LOCAL, Board
from optdet.playbook.steps import Step


def playbook(line, wait="none"):
    return PlaybookConfig.model_validate(
        {
            "name": "p",
            "target": 0.9,
            "wait": wait,
            "test_images": "test",
            "start": {"source": "s"},
            "stages": {"first": {"do": "postprocess"}},
            "checklist": [{"text": "line", "stages": ["first"], **line}],
        }
    )


def tick(line, results, *, wait="none", recorded=(), reader=LOCAL):
    steps = [Step(i, "first", 0.0, 1.0, result, None) for i, result in enumerate(results)]
    (found,) = ticked(playbook(line, wait), steps, reader, lambda file: file.path in recorded)
    return found.done, found.why


def test_a_stage_that_was_not_run(result_of):
    assert tick({}, []) == (False, "")
    assert tick({}, [None]) == (False, "")
    assert tick({}, [result_of(0.9)]) == (True, "0.9000")


@pytest.mark.parametrize(("at_least", "done"), [(0.95, True), (0.9501, False)])
def test_the_best_score_counts(result_of, at_least, done):
    assert tick({"at_least": at_least}, [result_of(0.95), result_of(0.9)]) == (done, "0.9500")


def test_files_are_written_or_recorded(result_of):
    result = result_of(0.9, files=("own.csv", "a.csv"))

    assert tick({"files": 2}, [result])[0]
    assert not tick({"files": 3}, [result])[0]
    said = Board(lambda file: 0.9 if file.path == "own.csv" else None)
    one = tick({"files": 2}, [result], wait="leaderboard", recorded=["own.csv"], reader=said)
    assert one == (False, "0.9000, 2 written, 1 recorded")
    assert tick({"files": 2}, [result], wait="leaderboard", recorded=["own.csv", "a.csv"], reader=said)[0]


def test_no_score_of_the_board_yet(result_of):
    silent = Board(lambda path: None)

    assert tick({}, [result_of(0.9)], reader=silent) == (True, "no score yet")
    assert tick({"at_least": 0.1}, [result_of(0.9)], reader=silent) == (False, "no score yet")


def test_a_config_is_there_and_detectors_were_trained(result_of, tmp_path):
    written = tmp_path / "best.yaml"
    result = result_of(0.9, config=str(written), members=tuple("abcde"))

    assert tick({"config": True}, [result]) == (False, "0.9000, not there")
    written.touch()
    assert tick({"config": True}, [result]) == (True, f"0.9000, {written}")
    assert not tick({"config": True}, [result_of(0.9)])[0]
    assert tick({"members": 5}, [result])[0]
    assert tick({"members": 6}, [result]) == (False, "0.9000, 5 detectors")
