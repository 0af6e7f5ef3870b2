"""A submission's file written once more, with fewer points a polygon."""

from __future__ import annotations

import hashlib
from pathlib import Path

from optdet.data.files import write_atomically
from optdet.data.prediction_check import summarize_predictions
from optdet.data.prediction_simplify import Simplified
from optdet.data.predictions import encode_predictions
from optdet.data.submission_check import CheckedFile
from optdet.errors import OptdetError
from optdet.inference.folder import WrittenPredictions
from optdet.store.submissions import SubmissionRecord, submission_of
from optdet.tuning.study import open_database
from optdet.tuning.submissions import About, try_to_register


def write_simplified(
    checked: CheckedFile,
    simplified: Simplified,
    out: Path,
    *,
    storage: str | None = None,
    root: str | None = None,
) -> tuple[WrittenPredictions, str | None]:
    """Write ``out``, registered as made from the file that was checked; and the reason, where it could not be
    registered.

    Its own scores are not known: the local ones of its origin are those of the outlines before.
    """
    content = encode_predictions(out, simplified.polygons)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content)
    written = WrittenPredictions(
        path=out,
        sha256=hashlib.sha256(content).hexdigest(),
        names=tuple(simplified.polygons),
        summary=summarize_predictions(simplified.polygons, n_bytes=len(content)),
        simplified=simplified,
    )
    origin = known_submission(checked.sha256, storage, root)
    about = About(
        command="simplify",
        sources=() if origin is None else origin.sources,
        settings={**({} if origin is None else origin.settings), "max_points": simplified.max_points},
        origin=checked.sha256,
    )
    return written, try_to_register(storage, root, written, about)


def known_submission(sha256: str, storage: str | None, root: str | None) -> SubmissionRecord | None:
    """What the registry knows of a file; None also where there is no registry."""
    try:
        return submission_of(open_database(storage, root).storage, sha256)
    except OptdetError:
        return None
