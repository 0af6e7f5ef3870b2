"""The tensors of the competition's DB baseline under the names of :class:`optdet.model.dbnet.DBNet`.

The baseline's model is the same network: ``model.encoder.model.*`` is the timm backbone,
``model.decoder.inners|outers.*`` the FPN, ``model.head.binarize|thresh.*`` the head. Names and shapes must
fit one by one: a tensor that is left out would change every map. Only layers behind the backbone's last
level, as a classifier, and what is outside of the three parts, as the state of a metric, may be left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from optdet.errors import OptdetError
from optdet.model.dbnet import DBNet

_MARK = "decoder.inners.0.weight"
_ENCODER = "encoder.model."
_PARTS = {"decoder.": "neck.", "head.": "head."}


@dataclass(frozen=True, slots=True)
class BaselineTensors:
    """The parts of a state dict: the ``encoder``'s names as timm has them, the ``rest`` as a DBNet has them;
    ``outside`` are names that belong to neither.
    """

    encoder: dict[str, Tensor]
    rest: dict[str, Tensor]
    outside: tuple[str, ...]

    @property
    def inner_channels(self) -> int:
        return int(self.rest["neck.inners.0.weight"].shape[0])

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels of the backbone's levels, fine to coarse."""
        shapes = (self.rest[f"neck.inners.{level}.weight"].shape for level in range(4))
        return tuple(int(shape[1]) for shape in shapes)

    @property
    def thresh_branch(self) -> bool:
        return any(name.startswith("head.thresh.") for name in self.rest)


def split_tensors(tensors: Mapping[str, Tensor], where: str) -> BaselineTensors:
    """The parts of a baseline's state dict, whatever stands before their names (``model.``); OptdetError for
    another model's.
    """
    # torch.compile puts a name of its own between.
    names = {name.replace("_orig_mod.", ""): tensor for name, tensor in tensors.items()}
    prefix = next((name.removesuffix(_MARK) for name in names if name.endswith(_MARK)), None)
    if prefix is None or not any(name.startswith(prefix + _ENCODER) for name in names):
        raise OptdetError(
            f"not the DB baseline's model: it has no {_MARK if prefix is None else _ENCODER + '*'}, but "
            f"{', '.join(sorted(names)[:2])}, ...",
            where=where,
            fix="its encoder is a timm network, its decoder the FPN of the DB paper",
        )
    encoder: dict[str, Tensor] = {}
    rest: dict[str, Tensor] = {}
    outside: list[str] = []
    for name, tensor in names.items():
        own = name.removeprefix(prefix) if name.startswith(prefix) else ""
        part = next((part for part in _PARTS if own.startswith(part)), None)
        if own.startswith(_ENCODER):
            encoder[own.removeprefix(_ENCODER)] = tensor
        elif part is not None:
            rest[_PARTS[part] + own.removeprefix(part)] = tensor
        else:
            outside.append(name)
    _check(encoder, rest, where)
    return BaselineTensors(encoder, rest, tuple(outside))


def _check(encoder: Mapping[str, Tensor], rest: Mapping[str, Tensor], where: str) -> None:
    levels = [rest.get(f"neck.inners.{level}.weight") for level in range(4)]
    if any(level is None or level.ndim != 4 for level in levels):
        raise OptdetError("its decoder has not four levels of 1x1 convolutions", where=where)
    for name, tensor in (*encoder.items(), *rest.items()):
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise OptdetError(
                f"{name} holds values that are no numbers", where=where, fix="take an earlier epoch's"
            )


def flat(name: str) -> str:
    """timm's ``features_only`` writes ``stages_0`` for ``stages.0``, in some versions."""
    return name.replace(".", "_")


def backbone_state(own: Mapping[str, Tensor], encoder: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """An encoder's tensors by the names of a timm network with the state dict ``own``; None where they do not
    fit, or where the encoder has more in a part of the network than this one.
    """
    more = {flat(name): name for name in encoder}
    found: dict[str, Tensor] = {}
    for name, tensor in own.items():
        given = more.pop(flat(name), None)
        if given is None and name.endswith("num_batches_tracked"):
            continue  # nothing reads the counters
        if given is None or encoder[given].shape != tensor.shape:
            return None
        found[name] = encoder[given]
    parts = {_first_part(name) for name in own}
    return None if any(_first_part(name) in parts for name in more.values()) else found


def _first_part(name: str) -> str:
    """``stages_0``, ``layer1``, ``blocks``: what a layer behind the last level has none of."""
    return re.split(r"\.|_(?=\d)", name, maxsplit=1)[0]


def fill(model: DBNet, tensors: BaselineTensors, where: str) -> tuple[str, ...]:
    """Load the tensors; the encoder's names that were left out. OptdetError says what does not fit."""
    net = model.backbone.net
    encoder = backbone_state(net.state_dict(), tensors.encoder)
    if encoder is None:
        raise OptdetError(
            f"its encoder is not {model.backbone.name}: {_first_misfit(net.state_dict(), tensors.encoder)}",
            where=where,
            fix="name another with --backbone, or none: it is found by the tensors",
        )
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("backbone.")}
    misfit = _first_misfit(own, tensors.rest)
    if misfit:
        raise OptdetError(f"its decoder and head are not optdet's: {misfit}", where=where)
    net.load_state_dict(encoder, strict=False)
    model.load_state_dict(tensors.rest, strict=False)
    used = {flat(name) for name in encoder}
    return tuple(name for name in tensors.encoder if flat(name) not in used)


def _first_misfit(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What is missing, more or of another shape, the first of each kind; empty where all fits."""
    flat_own = {flat(name): (name, tensor) for name, tensor in own.items()}
    flat_given = {flat(name): (name, tensor) for name, tensor in given.items()}
    counted_not = "num_batches_tracked"
    missing = [
        flat_own[key][0] for key in flat_own if key not in flat_given and not key.endswith(counted_not)
    ]
    extra = [flat_given[key][0] for key in flat_given if key not in flat_own]
    shapes = [
        f"{name} is {tuple(flat_given[key][1].shape)}, {tuple(tensor.shape)} is expected"
        for key, (name, tensor) in flat_own.items()
        if key in flat_given and flat_given[key][1].shape != tensor.shape
    ]
    parts = [
        *([f"it lacks {_a_few(missing)}"] if missing else []),
        *([f"it has {_a_few(extra)}"] if extra else []),
        *shapes[:1],
    ]
    return "; ".join(parts)


def _a_few(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:2]) + (f" and {len(listed) - 2} more" if len(listed) > 2 else "")
