"""What a source scores on its labelled images, as the registry of submissions keeps it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from optdet.data.names import nfc
from optdet.evaluation.evaluate import Evaluation, evaluate
from optdet.store.submissions import LocalScores
from optdet.structures import Detections, Sample, Word


def local_scores(
    evaluation: Evaluation, words: Mapping[str, Sequence[Word]], crossfit: float | None = None
) -> LocalScores:
    """Scores of images by name, whose ``words`` they were scored against."""
    hmeans = dict(zip(evaluation.names, evaluation.hmeans.tolist(), strict=True))
    return LocalScores(
        scores=evaluation.scores.as_json(),
        crossfit=crossfit,
        hmeans={image_number(name, words[name]): hmean for name, hmean in hmeans.items()},
    )


def score_locally(
    samples: Sequence[Sample], detections: Iterable[Detections], crossfit: float | None = None
) -> LocalScores:
    """Scores of what was found in each of the images."""
    words = {sample.name: sample.words for sample in samples}
    found = {sample.name: each.polygons for sample, each in zip(samples, detections, strict=True)}
    return local_scores(evaluate(words, found), words, crossfit)


def images_number(hmeans: Mapping[int, float]) -> str:
    """What stands for labelled images, by the numbers of each."""
    return hashlib.sha256(json.dumps(sorted(hmeans)).encode()).hexdigest()[:16]


def image_number(name: str, words: Sequence[Word]) -> int:
    """64 bits that stand for a labelled image: another if its name is, or any of its words."""
    listed = [[word.polygon.tolist(), word.text, word.ignored] for word in words]
    digest = hashlib.sha256(json.dumps([nfc(name), listed]).encode()).digest()
    return int.from_bytes(digest[:8], "big")
