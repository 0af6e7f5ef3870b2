"""The file of an ensemble."""

from __future__ import annotations

import pytest

from optdet.ensemble_config import EnsembleConfig
from optdet.errors import OptdetError
from optdet.validation import validate

IN_USE = {
    "thresh": 0.3,
    "box_thresh": 0.5,
    "unclip_ratio": 1.5,
    "max_candidates": 1000,
    "use_polygon": False,
    "min_side": 3.0,
}


def read(**tree):
    return validate(EnsembleConfig, tree, "e.yaml")


def test_what_a_file_says_is_what_is_written_again():
    maps = {
        "method": "maps",
        "members": [
            {"source": "a:0", "weight": 2.0},
            {"source": "b.onnx", "view": "hflip", "reading": {"mean": [0.5], "size": 960}},
        ],
        "thresholds": IN_USE,
    }
    votes = {
        "method": "votes",
        "members": [{"source": "a.csv"}, {"source": "a:0", "thresholds": IN_USE}],
        "min_votes": 2,
        "iou_thresh": 0.4,
    }
    for tree in (maps, votes):
        config = read(**tree)
        assert config.as_tree() == tree
        assert read(**config.as_tree()) == config
    assert read(**maps).thresholds.as_thresholds().as_dict() == IN_USE


ONE = [{"source": "a"}]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"method": "maps", "members": ONE, "min_votes": 2},
            "min_votes and iou_thresh are for method: votes",
        ),
        ({"method": "maps", "members": [{"source": "a", "thresholds": IN_USE}]}, "are for method: votes"),
        ({"method": "maps", "members": [{"source": "a", "weight": 0}]}, "no member has a weight above 0"),
        ({"method": "votes", "members": ONE, "thresholds": IN_USE}, "votes have no thresholds of their own"),
        ({"method": "votes", "members": [{"source": "a", "weight": 2}]}, "weights are for method: maps"),
        ({"method": "votes", "members": ONE, "min_votes": 2}, "min_votes is 2, of 1 members"),
        ({"method": "votes", "members": []}, "members: it needs 1 value or more"),
        ({"method": "boxes", "members": ONE}, "method"),
        ({"method": "maps", "members": [{"source": "a", "wieght": 1}]}, "did you mean .*weight"),
    ],
)
def test_what_cannot_be(tree, message):
    with pytest.raises(OptdetError, match=message):
        read(**tree)
