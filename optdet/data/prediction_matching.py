"""Which prediction belongs to which labelled image, by names alone.

Names match as everywhere: in NFC and NFD, with or without leading folders, by stem where the label format has
no extensions. What could be meant twice is refused: a score of the wrong image would look like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from optdet.data.names import NameIndex, nfc, stem
from optdet.errors import OptdetError
from optdet.structures import FloatArray

_FIX: Final = "name images as the labels do"


@dataclass(frozen=True, slots=True)
class Matched:
    """Predictions by the labels' names; ``missing`` and ``extra`` are those without a partner."""

    polygons: Mapping[str, Sequence[FloatArray]]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def match_predictions(
    names: Collection[str],
    predictions: Mapping[str, Sequence[FloatArray]],
    *,
    by_stem: bool = False,
    file: str = "predictions",
) -> Matched:
    """As :func:`pair_predictions`; OptdetError also where no prediction is of any labelled image."""
    matched = pair_predictions(names, predictions, by_stem=by_stem, file=file)
    if predictions and not matched.polygons:
        raise OptdetError(
            f"none of its {len(predictions)} images is labelled: it has {matched.extra[0]}, ...; the labels "
            f"name {next(iter(names))}, ...",
            where=file,
            fix="give the predictions of these labels' images",
        )
    return matched


def pair_predictions(
    names: Collection[str],
    predictions: Mapping[str, Sequence[FloatArray]],
    *,
    by_stem: bool = False,
    file: str = "predictions",
) -> Matched:
    """The prediction of each name.

    Where one name is exactly a prediction's, both sides begin at the same folder: the others have to be exact
    too. Else names may differ in their leading folders. OptdetError where a prediction could be that of two
    names, or two could be that of one.
    """
    exact = _exact_owners(names, predictions, by_stem=by_stem, file=file)
    owners = exact or _loose_owners(names, predictions, by_stem=by_stem, file=file)
    extra = sorted(set(predictions) - set(owners.values()))
    if exact:
        _refuse_lookalikes(extra, [name for name in names if name not in exact], file=file)
    return Matched(
        polygons={name: predictions[given] for name, given in owners.items()},
        missing=tuple(name for name in names if name not in owners),
        extra=tuple(extra),
    )


def _exact_owners(
    names: Collection[str], predictions: Collection[str], *, by_stem: bool, file: str
) -> dict[str, str]:
    """Predictions by the label that they name exactly, but for the extension where labels have none."""
    labels = {nfc(name): name for name in names}
    owners: dict[str, str] = {}
    for given in predictions:
        whole = nfc(given).removeprefix("./")
        label = labels.get(stem(whole) if by_stem else whole)
        if label is not None and label in owners:
            raise _two_of_one(owners[label], given, label, file)
        if label is not None:
            owners[label] = given
    return owners


def _loose_owners(
    names: Collection[str], predictions: Collection[str], *, by_stem: bool, file: str
) -> dict[str, str]:
    """Predictions by the label that they name but for leading folders."""
    index = NameIndex(names, by_stem=by_stem)
    owners: dict[str, str] = {}
    for given in predictions:
        name = index.find(given)
        if name in owners:
            raise _two_of_one(owners[name], given, name, file)
        if name is not None:
            owners[name] = given
            continue
        last = _last_part(given, by_stem=by_stem)
        alike = [other for other in names if _last_part(other, by_stem=by_stem) == last]
        if alike:
            raise _could_be(given, alike, file)
    return owners


def _refuse_lookalikes(extra: Sequence[str], missing: Sequence[str], *, file: str) -> None:
    """Among exact names one that differs from a label without a prediction in its leading folders alone."""
    by_last: dict[str, list[str]] = {}
    for name in missing:
        by_last.setdefault(_last_part(name), []).append(name)
    for given in extra:
        short = nfc(given)
        alike = [
            name
            for name in by_last.get(_last_part(given), ())
            if f"/{short}".endswith(f"/{nfc(name)}") or f"/{nfc(name)}".endswith(f"/{short}")
        ]
        if alike:
            raise _could_be(given, alike, file)


def _last_part(name: str, *, by_stem: bool = False) -> str:
    last = nfc(name).rpartition("/")[2]
    return stem(last) if by_stem else last


def _two_of_one(first: str, second: str, name: str, file: str) -> OptdetError:
    return OptdetError(f"{first} and {second} could both be the labelled image {name}", where=file, fix=_FIX)


def _could_be(given: str, names: Sequence[str], file: str) -> OptdetError:
    return OptdetError(f"{given} could be the labelled image {' or '.join(names[:2])}", where=file, fix=_FIX)
