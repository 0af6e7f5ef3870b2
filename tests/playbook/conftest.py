"""Results as stages give them."""

from __future__ import annotations

import pytest

from optdet.playbook.result import StageResult, WrittenFile
from optdet.structures import Thresholds

THRESHOLDS = Thresholds(0.3, 0.6, 1.5, 1000, False, 3.0)


@pytest.fixture
def result_of():
    """A result with a score and with files of these names."""

    def make(hmean=0.9, crossfit=None, files=(), **others):
        values = {
            "title": "mine:0",
            "source": "mine:0",
            "thresholds": THRESHOLDS,
            "precision": hmean,
            "recall": hmean,
            "hmean": hmean,
            "hmean_crossfit": crossfit,
            "interval": (hmean - 0.01, hmean + 0.01),
            "hmeans": (hmean - 0.01, hmean + 0.01),
            "files": tuple(WrittenFile(name, THRESHOLDS, hmean) for name in files),
        }
        return StageResult(**{**values, **others})

    return make
