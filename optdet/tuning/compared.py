"""The two sides of a comparison, and in what they differ but for what they found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optdet.config_io import dotted
from optdet.errors import OptdetError
from optdet.structures import OnImage, Word
from optdet.tuning.side import Asked, Side, open_each
from optdet.tuning.source import SourceOptions


@dataclass(frozen=True, slots=True)
class Sides:
    """Both, the words that they are scored on, the image files where they are known, and remarks."""

    a: Side
    b: Side
    words: Mapping[str, Sequence[Word]]
    paths: Mapping[str, Path]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "a": self.a.as_json(),
            "b": self.b.as_json(),
            "settings": self.settings(),
            "thresholds": self.thresholds(),
        }

    def settings(self) -> dict[str, list[Any]] | None:
        """Dotted settings of the two configs that differ, each as [A's, B's]; None where a side has none."""
        if self.a.config is None or self.b.config is None:
            return None
        return _differing(
            *(dotted(side.config.model_dump(mode="json")) for side in (self.a, self.b) if side.config)
        )

    def thresholds(self) -> dict[str, list[Any]] | None:
        """Thresholds that differ, each as [A's, B's]; None where a side has none."""
        if self.a.thresholds is None or self.b.thresholds is None:
            return None
        return _differing(self.a.thresholds.as_dict(), self.b.thresholds.as_dict())


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [a.get(name), b.get(name)]
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name) or (name in a) != (name in b)
    }


def open_sides(
    a: Asked,
    b: Asked,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    options: SourceOptions | None = None,
    workers: int = 1,
    on_image: OnImage | None = None,
) -> Sides:
    """Both, as :func:`optdet.tuning.side.open_each`; OptdetError for two files that share no image, too."""
    opened = open_each(
        (a, b),
        command="compare",
        images=images,
        labels=labels,
        options=options,
        workers=workers,
        on_image=on_image,
    )
    first, second = opened.sides
    if a.is_file and b.is_file and not set(first.polygons) & set(second.polygons):
        raise OptdetError(
            f"no labelled image is in both {a.what} and {b.what}",
            where="compare",
            fix="give two prediction files of the same images",
        )
    return Sides(first, second, opened.words, opened.paths, opened.notes)
