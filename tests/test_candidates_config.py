"""Files of named thresholds: what a candidate takes from the thresholds in use, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optdet.candidates_config import CandidatesConfig
from optdet.config import PostprocessConfig
from optdet.errors import OptdetError
from optdet.structures import Thresholds
from optdet.validation import validate

CURRENT = Thresholds(0.22, 0.25, 1.7, 600, False, 3.0)
CONFIG = PostprocessConfig(unclip_ratio=1.6, polygon_unclip_ratio=2.2)


def named(*candidates, shared=None, current=CURRENT):
    tree = {"postprocess": shared or {}, "candidates": candidates}
    return validate(CandidatesConfig, tree, "file").named(current, CONFIG)


def test_what_is_left_out_is_as_in_use():
    assert named({"label": "a", "thresh": 0.3}) == {"a": replace(CURRENT, thresh=0.3)}
    assert named({"label": "a", "use_polygon": False}) == {"a": CURRENT}


@pytest.mark.parametrize("use_polygon", [False, True])
def test_another_kind_of_outline_has_the_ratio_of_its_kind(use_polygon):
    current = replace(CURRENT, use_polygon=not use_polygon)
    kind = {"use_polygon": use_polygon}
    of_kind = replace(current, use_polygon=use_polygon, unclip_ratio=2.2 if use_polygon else 1.6)
    assert named({"label": "a", **kind}, current=current) == {"a": of_kind}
    assert named({"label": "a"}, shared=kind, current=current) == {"a": of_kind}
    own = named({"label": "a", **kind, "unclip_ratio": 1.3}, current=current)["a"]
    shared = named({"label": "a", **kind}, shared={"unclip_ratio": 1.3}, current=current)["a"]
    assert own == shared == replace(of_kind, unclip_ratio=1.3)


@pytest.mark.parametrize("label", ["default", "current", "best", "robust"])
def test_names_of_the_report_are_no_labels(label):
    with pytest.raises(OptdetError, match=rf"candidates\.1\.label: default, .* \(it is '{label}'\)"):
        named({"label": "mine"}, {"label": label})
