"""A gate reads the local score or the board's, and a result keeps through JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from optdet.playbook.result import StageResult, WrittenFile
from optdet.playbook.score import LOCAL, Board


def board(**said):
    return Board(lambda file: said.get(Path(file.path).stem))


def test_the_local_score_is_the_cross_fitted_one(result_of):
    assert LOCAL.read(result_of(0.9, crossfit=0.89)).hmean == 0.89
    assert LOCAL.read(result_of(0.9)).hmean == 0.9


def test_the_board_is_asked_for_the_results_own_file_first(result_of):
    result = result_of(0.9, crossfit=0.89, files=("own.csv", "a.csv", "b.csv"))
    other = replace(result.thresholds, thresh=0.4)
    result = replace(result, files=(*result.files[:2], WrittenFile("b.csv", other, 0.8)))

    assert board(a=0.97).read(result) is None
    assert board(own=0.95).read(result).hmean == 0.95
    assert board(own=0.95, a=0.94).read(result).thresholds == result.thresholds
    assert board(own=0.95, b=0.96).read(result).hmean == 0.96
    assert board(own=0.95, b=0.96).read(result).thresholds == other
    assert board(own=0.95).read(result_of(0.9)) is None


def test_a_result_is_the_same_after_json(result_of):
    result = result_of(
        0.9, crossfit=0.89, files=("own.csv",), lines=("a line",), config="c.yaml", members=("a", "b")
    )

    assert StageResult.from_json(json.loads(json.dumps(result.as_json()))) == result
    bare = result_of(0.9, thresholds=None)
    assert StageResult.from_json(json.loads(json.dumps(bare.as_json()))) == bare
