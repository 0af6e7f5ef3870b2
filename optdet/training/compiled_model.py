"""``train.compile``: one compiled network a process, which its trials share.

Compiling takes a minute or more, and belongs to the module: another module of the same shape is compiled
anew. So a trial's weights are written into the network that the trial before has left, where it is of the
same kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from optdet.model.dbnet import DBNet


@dataclass(slots=True)
class _Kept:
    model: DBNet
    kind: object


_MAX_SHAPES = 64

_kept: list[_Kept] = []
"""At most one: a network of another kind takes its place, and its memory."""


def compiled_model(model: DBNet, kind: object) -> DBNet:
    """A network with the weights of ``model`` that is compiled when it is first called, or was before.

    Two networks of an equal ``kind`` have the same layers, device and memory format. Nobody else may still
    use what an earlier call of the same kind gave.
    """
    if _kept and _kept[0].kind == kind:
        kept = _kept[0].model
        kept.load_state_dict(model.state_dict())
        kept.zero_grad(set_to_none=True)
        return kept.requires_grad_(True)
    _kept.clear()
    torch._dynamo.reset()
    # Beyond torch's own 8 shapes the network would run uncompiled, and a space of batch sizes has more.
    torch._dynamo.config.recompile_limit = _MAX_SHAPES
    # An epoch's last batch is smaller: two shapes, each compiled once, and none for every size.
    model.compile(dynamic=False)
    _kept.append(_Kept(model, kind))
    return model


def is_of_compiler(error: RuntimeError) -> bool:
    """Whether torch's compiler raised it: known by its place, since importing it takes seconds."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
