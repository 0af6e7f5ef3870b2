"""A checkpoint of the competition's DB baseline as one of ours, which predicts what it predicted at its home.

The weights say nothing of how images were prepared. What the hyperparameters do not say either is as in the
baseline: letterboxed bilinearly into a centred square of 640 pixels, with ImageNet's mean and deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from optdet.baseline_names import our_setting
from optdet.config import Config
from optdet.config_io import config_from, differences, dotted, parse_override, set_dotted
from optdet.data.files import write_atomically
from optdet.digest import file_sha256
from optdet.errors import OptdetError
from optdet.inference.detector import new_model
from optdet.inference.preprocessing import PREPROCESSING_SETTINGS
from optdet.model.backbone import check_backbone_name
from optdet.model.backbone_search import find_backbones, require_one
from optdet.model.baseline_weights import BaselineTensors, fill, split_tensors
from optdet.model.checkpoint_file import save_checkpoint
from optdet.model.lightning_checkpoint import LightningCheckpoint, read_lightning
from optdet.settings_yaml import dump_yaml

_HOME: Final = {"data.size": 640, "data.interpolation": "bilinear", "data.pad": "center"}
_PREPROCESSING: Final = {f"data.{name}" for name in PREPROCESSING_SETTINGS}
_HOME_ORIGIN: Final = "the baseline's"
_SIDE: Final = "max_size"
"""The baseline's transform names the canvas's side so."""
_PYTHONS_OWN: Final = {"builtins", "collections", "typing"}
_N_TWINS: Final = 3
OnNetwork = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """What came out: the whole ``config``, whose thresholds are those in use, and what should be heard of it.

    ``taken`` are settings by dotted names, with where each is from.
    """

    out: Path
    config: Config
    taken: dict[str, str]
    notes: tuple[str, ...]
    epoch: int | None

    def as_json(self) -> dict[str, Any]:
        data = self.config.data.model_dump(mode="json", include=set(PREPROCESSING_SETTINGS))
        return {
            "checkpoint": str(self.out),
            "backbone": self.config.model.backbone,
            "preprocessing": data,
            "thresholds": self.config.postprocess.thresholds().as_dict(),
            "taken": self.taken,
            "epoch": self.epoch,
            "notes": list(self.notes),
        }


def import_checkpoint(
    path: Path,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    backbone: str | None = None,
    config_out: Path | None = None,
    force: bool = False,
    on_network: OnNetwork | None = None,
) -> Imported:
    """Write the baseline's checkpoint as one of ours, by default ``NAME.pt`` in the working directory, and to
    ``config_out`` a config that trains on from it.

    ``overrides`` are settings that the file does not say, or wrongly. OptdetError for a file that is none of
    the baseline's, or whose tensors do not fit one by one.
    """
    out = out or Path(f"{path.stem}.pt")
    for there in (out, config_out):
        if there is not None and there.exists() and not force:
            raise OptdetError("the file exists", where=str(there), fix="give another name, or --force")
    read = read_lightning(path)
    tensors = split_tensors(read.tensors, str(path))
    settings, taken, notes = _from_hyperparameters(read.hyperparameters)
    given = dict(map(parse_override, overrides))
    config_from({}, overrides)  # first: looking for a backbone takes a while
    backbone = backbone or given.get("model.backbone")
    name, origin, twins = _backbone(tensors, backbone, settings.get("model.backbone"), path, on_network)
    settings |= {
        "model.backbone": name,
        "model.pretrained": False,
        "model.inner_channels": tensors.inner_channels,
        "model.thresh_branch": tensors.thresh_branch,
    }
    taken |= dict.fromkeys(given, "given") | {"model.backbone": origin}
    config = _config({key: settings[key] for key in settings.keys() - given.keys()}, overrides, str(path))
    model = new_model(config, for_training=False)
    behind = fill(model, tensors, str(path))
    payload: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "epoch": read.epoch or 0,
        "model": model.state_dict(),
        "thresholds": config.postprocess.thresholds().as_dict(),
        "imported": {"name": path.name, "sha256": file_sha256(path), "lightning": read.version},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(out, payload)
    if config_out is not None:
        _write_config(config, out, config_out)
    notes += _notes(read, tensors, behind, name, twins, taken)
    return Imported(out, config, taken, tuple(notes), read.epoch)


def _write_config(config: Config, start: Path, path: Path) -> None:
    """A config that goes on from the imported weights; its images are to be filled in."""
    train = config.train.model_copy(update={"start": str(start)})
    tree = differences(config.model_copy(update={"train": train}))
    head = (
        f"# Goes on from {start}. To train, name the images, as\n"
        "#   data.train: [{images: train/images, labels: train/labels.json}]\n"
        "#   data.val: {images: val/images, labels: val/labels.json}\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (head + dump_yaml(tree)).encode())


def _from_hyperparameters(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Our settings that the hyperparameters say, where each is from, and what of theirs cannot be taken."""
    settings: dict[str, Any] = dict(_HOME)
    taken = dict.fromkeys(_HOME, _HOME_ORIGIN)
    refused = []
    known = dotted(Config().model_dump(mode="json"))
    for theirs, value in values.items():
        renamed = _renamed(theirs)
        if renamed is None or renamed[0] not in known:
            continue
        name, put = renamed
        try:
            ours = put(value)
            config_from(set_dotted({}, name, ours))
        except (ValueError, OptdetError):
            # What was left out there, and images and folds that it was trained on, are nobody's loss.
            if value is not None and (not name.startswith("data.") or name in _PREPROCESSING):
                refused.append(f"{theirs} {value!r} is no {name}")
            continue
        settings[name], taken[name] = ours, theirs
    sides = {theirs: value for theirs, value in values.items() if theirs.rpartition(".")[2] == _SIDE}
    if len(set(sides.values())) == 1:
        theirs, settings["data.size"] = next(iter(sides.items()))
        taken["data.size"] = theirs
    elif sides:
        refused.append(f"{len(sides)} sizes of a canvas, as {next(iter(sides))}: give --size")
    return settings, taken, refused


def _renamed(theirs: str) -> tuple[str, Callable[[Any], Any]] | None:
    """Ours for a hyperparameter; it may stand deeper than the baseline has it, as under ``config.``."""
    parts = theirs.split(".")
    for start in range(len(parts)):
        found = our_setting(".".join(parts[start:]))
        if found is not None:
            return found.name, found.value
    return None


def _config(settings: Mapping[str, Any], overrides: Sequence[str], where: str) -> Config:
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        tree = set_dotted(tree, name, value)
    return config_from(tree, overrides, where)


def _backbone(
    tensors: BaselineTensors,
    given: str | None,
    said: str | None,
    path: Path,
    on_network: OnNetwork | None,
) -> tuple[str, str, list[str]]:
    """The backbone's name, where it is from, and others that the tensors fit as well."""
    if given is not None:
        check_backbone_name(given)
        return given, "given", []
    if said is not None:
        check_backbone_name(said)
        return said, "the hyperparameters", []
    found = find_backbones(tensors.encoder, tensors.level_channels, on_network=on_network)
    return require_one(found, str(path)), "the tensors", found[1:]


def _notes(
    read: LightningCheckpoint,
    tensors: BaselineTensors,
    behind: Sequence[str],
    name: str,
    twins: Sequence[str],
    taken: Mapping[str, str],
) -> list[str]:
    notes = []
    if twins:
        shown = ", ".join(twins[:_N_TWINS]) + (", ..." if len(twins) > _N_TWINS else "")
        notes.append(f"{shown} fit as well, and may give other maps: name the right one with --backbone")
    if behind:
        notes.append(f"left out, behind {name}'s last level: {_few(behind)}")
    if tensors.outside:
        notes.append(f"left out, no part of the model: {_few(tensors.outside)}")
    packages = sorted({other.partition(".")[0] for other in read.unread} - _PYTHONS_OWN)
    if packages:
        notes.append(f"of objects of {_few(packages)} the plain values were read, and nothing was run")
    if not any(setting.startswith("postprocess.") for setting in taken):
        notes.append(
            "it says no thresholds: they are the defaults; `optdet postprocess tune` finds better ones"
        )
    if taken["data.size"] == _HOME_ORIGIN:
        notes.append(
            f"it does not say the canvas's side: {_HOME['data.size']}, as the baseline's; --size changes it"
        )
    return notes


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
