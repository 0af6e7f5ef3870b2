"""A first config and study for somebody's own labelled images.

Paths in a config are taken from the folder that optdet runs in, which is the project folder: they are
relative where the images lie below it or beside it, absolute elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optdet.config import Config, DataConfig, SourceConfig
from optdet.data.choice import choose_sources
from optdet.data.files import require_folder
from optdet.data.groups import with_equal_files
from optdet.data.holdout import Holdout, hold_out
from optdet.data.label_ufo import encode_ufo
from optdet.data.scaffold import ProjectFile, shipped_files
from optdet.data.source import Source
from optdet.data.survey import Survey, survey
from optdet.errors import OptdetError
from optdet.settings_yaml import parse_yaml
from optdet.structures import Sample
from optdet.study_config import StudyConfig
from optdet.study_io import check_space
from optdet.validation import validate

_CONFIG = """\
# Made by `optdet init`. Only what differs from the defaults stands here; `NAME=VALUE` on the command line
# replaces a setting, as in: optdet train configs/{name}.yaml optimizer.lr=0.0004
data:
{sources}
  size: {size}  # the longer side is scaled to this; larger finds smaller text and takes more memory
model:
  backbone: resnet50  # any timm backbone that has features_only
  pretrained: true  # timm's weights; without a network: false, or `weights: FILE`
optimizer: {{name: adamw, lr: 0.0003, weight_decay: 1.0e-4}}
scheduler: {{name: cosine, warmup_epochs: 1}}
train:
  epochs: 20
  batch_size: 4  # more where the memory allows; gradients of several batches are added with `accumulate`
"""

_STUDY = """\
# Made by `optdet init`: a first study. Where the best trials lie at the edge of a range, move that range.
name: {name}
description: Learning rate and weight decay of a first detector.
config: ../configs/{name}.yaml
space:
  optimizer.lr: {{type: float, low: 0.0001, high: 0.002, log: true}}
  optimizer.weight_decay: {{type: float, low: 1.0e-5, high: 1.0e-2, log: true}}
queue:
  - {{optimizer.lr: 0.0003, optimizer.weight_decay: 1.0e-4}}  # first the config's own values
pruner: {{name: median, n_startup_trials: 4, n_warmup_epochs: 4}}
trials: 20
"""


@dataclass(frozen=True, slots=True)
class DataProject:
    """What was found, said in ``lines``; what is to be written; and an image as most of them are."""

    name: str
    lines: tuple[str, ...]
    files: tuple[ProjectFile, ...]
    typical: Sample


def plan_project(folder: Path, data: Path, *, name: str, size: int) -> DataProject:
    """Look at the images and labels below ``data`` and plan a config and a study in ``folder``.

    Writes nothing. OptdetError for a name or size that cannot be used, and where nothing is found.
    """
    _check_settings(name, size)
    require_folder(data, what="data folder")
    choice = choose_sources(data)
    surveys = [survey(source, size=size) for source in choice.train]
    first = choice.train[0]
    groups = {} if choice.val is not None else with_equal_files(first.samples, first.groups)
    held = hold_out(first.samples, groups) if choice.val is None else None
    lines = _survey_lines(choice.train, surveys, held, grouped=bool(groups))
    if choice.val is not None:
        lines += _source_lines("val", choice.val, survey(choice.val, size=size))
    split = _split_files(name, first, held, groups) if held else ()
    train, val = _source_configs(folder, name, choice.train, choice.val)
    settings = (_config_file(name, size, train, val), _study_file(name))
    _check_files(settings, Config(data=DataConfig(train=train, val=val, size=size)).data)
    return DataProject(
        name=name,
        lines=(*choice.notes, *lines),
        files=(*split, *settings),
        typical=typical_sample(first, surveys[0]),
    )


def typical_sample(source: Source, surveyed: Survey) -> Sample:
    """An image with about as many words as most have, and a header that can be read."""
    damaged = {problem.file for problem in surveyed.unreadable}
    fine = [sample for sample in source.samples if str(sample.image_path) not in damaged]
    if not fine:
        raise OptdetError(surveyed.unreadable[0].reason)
    middle = surveyed.words_per_image.median
    return min(fine, key=lambda sample: (abs(len(sample.words) - middle), sample.name))


def path_from(folder: Path, path: Path) -> str:
    """A path as it is written for commands that run in ``folder``."""
    place, base = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    if place.is_relative_to(base):
        return place.relative_to(base).as_posix()
    # Where the folder is a link, its ".." is another folder than the one it is seen in.
    has_true_parent = base.resolve().parent == base.parent.resolve()
    if has_true_parent and place.is_relative_to(base.parent):
        return Path(os.path.relpath(place, base)).as_posix()
    return place.as_posix()


def _check_settings(name: str, size: int) -> None:
    validate(StudyConfig, {"name": name, "config": {}}, "--name")
    validate(DataConfig, {"size": size}, "--size")
    if f"configs/{name}.yaml" in {file.place for file in shipped_files()}:
        raise OptdetError(
            "a config of this name comes with optdet", where=f"--name {name}", fix="choose another"
        )


def _survey_lines(
    train: Sequence[Source], surveys: Sequence[Survey], held: Holdout | None, *, grouped: bool
) -> list[str]:
    lines: list[str] = []
    for number, (source, surveyed) in enumerate(zip(train, surveys, strict=True)):
        lines += _source_lines("train" if number or held is None else "train and val", source, surveyed)
    if held is not None:
        together = ", groups and equal files together" if grouped else ""
        lines.append(
            f"no images to validate on were found: {train[0].label_file.path} is parted by a hash of the "
            f"names{together}, {len(held.train)} images to train and {len(held.val)} to validate; what both "
            "files hold are copies, so correct labels there"
        )
    return lines


def _source_lines(title: str, source: Source, surveyed: Survey) -> list[str]:
    head = f"{title}: {source.label_file.path} ({source.label_file.format}), images in {source.images}"
    return [head, *(f"  {line}" for line in surveyed.lines())]


def _split_files(
    name: str, source: Source, held: Holdout, groups: Mapping[str, str]
) -> tuple[ProjectFile, ...]:
    parts = {"train": held.train, "val": held.val}
    return tuple(ProjectFile(_split_place(name, part), _ufo(source, parts[part], groups)) for part in parts)


def _split_place(name: str, part: str) -> str:
    return f"data/{name}-{part}.json"


def _ufo(source: Source, samples: Sequence[Sample], groups: Mapping[str, str]) -> bytes:
    words = {sample.name: sample.words for sample in samples}
    return encode_ufo(words, sizes=source.label_file.sizes, groups=groups)


def _source_configs(
    folder: Path, name: str, train: Sequence[Source], val: Source | None
) -> tuple[tuple[SourceConfig, ...], SourceConfig]:
    entries = [
        SourceConfig(
            images=path_from(folder, source.images),
            labels=path_from(folder, source.label_file.path),
            format=source.label_file.format,
        )
        for source in (*train, *([val] if val is not None else []))
    ]
    if val is not None:
        return tuple(entries[:-1]), entries[-1]
    first = entries[0]
    parts = [
        first.model_copy(update={"labels": _split_place(name, part), "format": "ufo"})
        for part in ("train", "val")
    ]
    return (parts[0], *entries[1:]), parts[1]


def _config_file(name: str, size: int, train: Sequence[SourceConfig], val: SourceConfig) -> ProjectFile:
    items = [f"    - {_flow(source)}" for source in train]
    sources = "\n".join(["  train:", *items, f"  val: {_flow(val)}"])
    text = _CONFIG.format(name=name, size=size, sources=sources)
    try:
        return ProjectFile(f"configs/{name}.yaml", text.encode())
    except UnicodeEncodeError:
        raise _unwritable(train[0]) from None


def _flow(source: SourceConfig) -> str:
    """A YAML mapping on one line; JSON's quotes are among YAML's."""
    values = {"images": source.images, "labels": source.labels}
    quoted = ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    return f"{{{quoted}, format: {source.format}}}"


def _study_file(name: str) -> ProjectFile:
    return ProjectFile(f"studies/{name}.yaml", _STUDY.format(name=name).encode())


def _check_files(files: tuple[ProjectFile, ProjectFile], data: DataConfig) -> None:
    """What was written by hand above reads back as what was meant, whatever is in a path."""
    config, study = (parse_yaml(file.content.decode(), file.place) for file in files)
    if validate(Config, config, files[0].place).data != data:
        raise _unwritable(data.train[0])
    check_space(validate(StudyConfig, {**study, "config": config}, files[1].place), files[1].place)


def _unwritable(source: SourceConfig) -> OptdetError:
    return OptdetError(
        f"the path {source.images!r} cannot be written in a config", where="--data", fix="rename the folder"
    )
