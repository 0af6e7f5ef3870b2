"""What tuning on the pooled out-of-fold maps of a fold study gave, kept in the study.

It is kept under a key of all that it depends on: the detectors, the partition and the search. Where one of
these is another, it counts as not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optdet.store.registry import checkpoint_of
from optdet.structures import Thresholds
from optdet.tuning import attributes as attr
from optdet.tuning.study import OpenStudy


@dataclass(frozen=True, slots=True)
class PooledScores:
    """Scores at thresholds that were tuned on the maps of all folds. ``hmeans`` are the competition macro
    H-means of each fold's images, ``hmean_crossfit`` is None where there are too few images."""

    thresholds: Thresholds
    n_images: int
    scores: dict[str, Any]
    interval: tuple[float, float]
    hmean_crossfit: float | None
    hmeans: Mapping[int, float] = field(default_factory=dict)

    @property
    def hmean(self) -> float:
        return float(self.scores["competition"]["macro"]["hmean"])

    def as_json(self) -> dict[str, Any]:
        return {
            "thresholds": self.thresholds.as_dict(),
            "images": self.n_images,
            "scores": self.scores,
            "interval": list(self.interval),
            "hmean_crossfit": self.hmean_crossfit,
            "folds": {str(fold): hmean for fold, hmean in self.hmeans.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PooledScores:
        low, high = stored["interval"]
        return cls(
            Thresholds.from_dict(stored["thresholds"]),
            stored["images"],
            stored["scores"],
            (low, high),
            stored["hmean_crossfit"],
            {int(fold): hmean for fold, hmean in stored["folds"].items()},
        )


def current_thresholds(study: OpenStudy) -> Thresholds:
    """Those that tuning starts from: the config's."""
    return study.config.base_config().postprocess.thresholds()


def stored_scores(study: OpenStudy, members: Mapping[int, int]) -> PooledScores | None:
    """What was kept for these trials by fold; None where nothing was, or for others."""
    stored = study.study.user_attrs.get(attr.OUT_OF_FOLD)
    if stored is None or stored["key"] != _key(study, members):
        return None
    return PooledScores.from_json(stored)


def store_scores(study: OpenStudy, members: Mapping[int, int], scores: PooledScores) -> None:
    study.study.set_user_attr(attr.OUT_OF_FOLD, {"key": _key(study, members), **scores.as_json()})


def _key(study: OpenStudy, members: Mapping[int, int]) -> str:
    checkpoints = {
        fold: getattr(checkpoint_of(study.storage, study.uuid, number, "best"), "sha256", None)
        for fold, number in members.items()
    }
    config = study.config.base_config()
    rows = [
        [[fold, number, checkpoints[fold]] for fold, number in sorted(members.items())],
        [config.data.folds_sha256, config.postprocess.model_dump(mode="json"), config.seed],
    ]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
