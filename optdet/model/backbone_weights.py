"""Where a backbone's weights come from: a file of the user's, timm's cache, or the network.

A file is a state dict of the timm model, ``.safetensors`` or what ``torch.save`` writes (read with
``weights_only=True``), perhaps inside a training checkpoint. Names are compared with "." and "_" as one,
because timm's ``features_only`` flattens ``stages.0`` into ``stages_0``, and after whatever prefix
(``module.``, ``model.encoder.model.``) makes most of them fit. Keys that the backbone lacks (a
classifier) are left out; keys that the file lacks are an error.

The Hugging Face client repeats a request that fails: 46 s of waiting on a machine without a name server.
One request of at most ``PROBE_SECONDS`` is made first, and none when the file is in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import safetensors.torch
import timm
import torch
from huggingface_hub import constants, get_session, try_to_load_from_cache
from torch import Tensor, nn

from optdet.errors import OptdetError

PROBE_SECONDS = 5.0
WAYS_ON = "set model.pretrained=false, or model.weights=FILE with a local state dict"

# As timm looks for them: safetensors before pickles.
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
# Where training programs keep the state dict in their checkpoints; averaged weights first, as timm does.
_STATE_DICT_KEYS = ("state_dict_ema", "model_ema", "state_dict", "model")


def load_weights_file(net: nn.Module, path: Path, *, backbone_name: str) -> None:
    """Fills ``net`` from a file; OptdetError says which names or shapes do not fit."""
    tensors = _read_tensors(path)
    own = net.state_dict()
    matched = _match_names(own, tensors)
    # Converters of other frameworks drop the batch counters, which nothing here reads.
    missing = [name for name in own if name not in matched and not name.endswith("num_batches_tracked")]
    if missing:
        raise OptdetError(
            f"it lacks {len(missing)} of the {len(own)} tensors of backbone {backbone_name!r} "
            f"({_a_few(missing)})",
            where=str(path),
            fix=f"give the state dict of timm's {backbone_name}",
        )
    wrong = [name for name, tensor in matched.items() if tensor.shape != own[name].shape]
    if wrong:
        name = wrong[0]
        raise OptdetError(
            f"{len(wrong)} tensors have another shape than backbone {backbone_name!r} "
            f"({name} is {tuple(matched[name].shape)}, expected {tuple(own[name].shape)})",
            where=str(path),
            fix=f"give the state dict of timm's {backbone_name}",
        )
    net.load_state_dict(matched, strict=False)


def pretrained_overlay(name: str) -> dict[str, str]:
    """What to tell timm about the source: the cached file, or nothing where it has to fetch one.

    Raises OptdetError when there are no weights for this name, or they are neither cached nor reachable.
    """
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        raise OptdetError(
            f"timm has no pretrained weights for backbone {name!r}", where="model.pretrained", fix=WAYS_ON
        )
    if cfg.hf_hub_id and not cfg.custom_load:
        repository, _, revision = cfg.hf_hub_id.partition("@")
        for file in (cfg.hf_hub_filename,) if cfg.hf_hub_filename else _HUB_FILES:
            cached = try_to_load_from_cache(repository, file, revision=revision or None)
            if isinstance(cached, str):
                return {"file": cached}
    url = constants.ENDPOINT if cfg.hf_hub_id else str(cfg.url)
    if not cfg.hf_hub_id and _in_torch_hub_cache(url):
        return {}
    try:
        get_session().head(url, timeout=PROBE_SECONDS)
    except Exception as error:  # whatever the client of the day raises: no route, no name, offline mode
        raise pretrained_unavailable(name, error) from error
    return {}


def pretrained_unavailable(name: str, error: Exception) -> OptdetError:
    reason = str(error).partition("\n")[0] or type(error).__name__
    return OptdetError(
        f"the pretrained weights of backbone {name!r} cannot be had ({reason})",
        where="model.pretrained",
        fix=WAYS_ON,
    )


def _in_torch_hub_cache(url: str) -> bool:
    return (Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name).exists()


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise OptdetError("no such file", where=str(path), fix="give model.weights an existing file")
    try:
        content: Any = (
            safetensors.torch.load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # a damaged or foreign file makes the readers raise almost anything
        raise OptdetError(
            "it cannot be read as PyTorch weights",
            where=str(path),
            fix="give a .safetensors file or a state dict saved with torch.save",
        ) from error
    if isinstance(content, Mapping):
        content = next((content[k] for k in _STATE_DICT_KEYS if isinstance(content.get(k), Mapping)), content)
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise OptdetError("it holds no state dict", where=str(path), fix="give the state dict of the timm model")


def _match_names(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the backbone's own names, after the prefix with which most of them are found."""
    by_flat_name = {_flat(name): tensor for name, tensor in tensors.items()}
    flat_own = {name: _flat(name) for name in own}
    first = next(iter(flat_own.values()))
    prefixes = sorted({name.removesuffix(first) for name in by_flat_name if name.endswith(first)}, key=len)
    candidates = [
        {
            name: by_flat_name[prefix + flat]
            for name, flat in flat_own.items()
            if prefix + flat in by_flat_name
        }
        for prefix in prefixes or [""]
    ]
    return max(candidates, key=len)


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _a_few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
