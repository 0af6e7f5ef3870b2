"""A frozen model that turns canvases into probability maps, one image at a time.

One at a time, because convolutions give other last bits in other batch sizes: a score found on these maps is
the score that predicting the same images again gives, on the same machine, device and thread count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from optdet.config import Config
from optdet.errors import OptdetError
from optdet.inference.device import amp_dtype, autocast
from optdet.inference.preprocessing import Preprocessing
from optdet.model.checkpoint_file import load_checkpoint
from optdet.model.dbnet import DBNet, build_dbnet
from optdet.structures import Thresholds
from optdet.validation import validate


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels last on CUDA; on the CPU plain, where channels last made a training step 10 times slower."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


class Normalizer:
    """uint8 canvases (B, S, S, 3) to normalised (B, 3, S, S) float32, in the device's memory format or, where
    that is not wanted, plain: a convolution runs in channels last if its images or its weights are."""

    def __init__(
        self, preprocessing: Preprocessing, device: torch.device, *, channels_last: bool = True
    ) -> None:
        self._mean = torch.tensor(preprocessing.mean, device=device) * 255
        self._std = torch.tensor(preprocessing.std, device=device) * 255
        self._format = memory_format(device) if channels_last else torch.contiguous_format

    def __call__(self, canvases: torch.Tensor) -> torch.Tensor:
        images = ((canvases.float() - self._mean) / self._std).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=self._format)


@dataclass(frozen=True, slots=True)
class _OnTheWay:
    """Maps (B, S, S) float16 in pinned memory, whole once the event has happened."""

    maps: torch.Tensor
    event: torch.cuda.Event

    def arrived(self) -> Iterator[NDArray[np.float16]]:
        self.event.synchronize()
        yield from self.maps.numpy()


class Detector:
    """A model in evaluation mode on a device.

    ``n_threads`` are those that its maps are made with on the CPU, whatever another detector has set
    meanwhile; without it they are torch's. ``channels_last`` is the memory format of its images on CUDA.
    """

    def __init__(
        self,
        model: DBNet,
        preprocessing: Preprocessing,
        device: torch.device,
        *,
        amp: bool = True,
        channels_last: bool = True,
        n_threads: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.preprocessing = preprocessing
        self.device = device
        self._amp = amp
        self._dtype = amp_dtype(device, amp)
        self._channels_last = channels_last
        self._normalize = Normalizer(preprocessing, device, channels_last=channels_last)
        self._n_threads = n_threads

    def prob_map(self, canvas: NDArray[np.uint8]) -> NDArray[np.float16]:
        """The map (S, S) of one canvas (S, S, 3)."""
        return np.asarray(self._prob_map(canvas).to(torch.float16).cpu().numpy())

    def unrounded_map(self, canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The same before it is rounded to half precision: to compare with another program's."""
        return np.asarray(self._prob_map(canvas).cpu().numpy())

    def batched_maps(
        self, canvases: Iterable[NDArray[np.uint8]], batch_size: int
    ) -> Iterator[NDArray[np.float16]]:
        """The maps of canvases, which are only as exact as a batch leaves them: to judge an epoch.

        On CUDA the card works on the next batch while the maps of this one are used. On the CPU, where a
        batch is no quicker, one at a time: what ``prob_map`` gives.
        """
        if self.device.type != "cuda":
            yield from map(self.prob_map, canvases)
            return
        left, ahead = iter(canvases), None
        while batch := list(islice(left, batch_size)):
            begun = self._begin(np.stack(batch))
            if ahead is not None:
                yield from ahead.arrived()
            ahead = begun
        if ahead is not None:
            yield from ahead.arrived()

    @torch.inference_mode()
    def _begin(self, canvases: NDArray[np.uint8]) -> _OnTheWay:
        """Nothing is waited for: maps are on their way to the host when this returns."""
        images = torch.from_numpy(canvases).pin_memory().to(self.device, non_blocking=True)
        with autocast(self.device, self._dtype):
            maps = self.model.prob_maps(self._normalize(images)).to(torch.float16)
        kept = torch.empty(maps.shape, dtype=maps.dtype, pin_memory=True)
        kept.copy_(maps, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return _OnTheWay(kept, event)

    @torch.inference_mode()
    def _prob_map(self, canvas: NDArray[np.uint8]) -> torch.Tensor:
        if self._n_threads not in (None, torch.get_num_threads()):
            torch.set_num_threads(self._n_threads)
        images = self._normalize(torch.from_numpy(canvas)[None].to(self.device))
        with autocast(self.device, self._dtype):
            return self.model.prob_maps(images)[0]

    def at_size(self, size: int) -> Detector:
        """The same model for canvases of another side; OptdetError where it was built for one alone."""
        only = self.model.backbone.only_side
        if only not in (None, size):
            raise OptdetError(
                f"the network takes canvases of {only} pixels alone",
                where=f"scale:{size}",
                fix="leave that view out",
            )
        return Detector(
            self.model,
            replace(self.preprocessing, size=size),
            self.device,
            amp=self._amp,
            channels_last=self._channels_last,
            n_threads=self._n_threads,
        )

    def key(self) -> str:
        """Names the maps that this detector gives: a digest of weights, preprocessing and precision."""
        digest = hashlib.sha256(repr((self.preprocessing, self.device.type, str(self._dtype))).encode())
        if self.device.type == "cpu":
            digest.update(str(self._n_threads or torch.get_num_threads()).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class TrainedDetector:
    """A detector from a checkpoint file, with the config and thresholds it was saved with."""

    detector: Detector
    config: Config
    thresholds: Thresholds


def open_checkpoint(path: Path, device: torch.device, *, sha256: str | None = None) -> TrainedDetector:
    """The detector in one of our checkpoint files; OptdetError for anything else."""
    return restore(load_checkpoint(path, sha256=sha256), device, str(path))


def restore(payload: Mapping[str, Any], device: torch.device, where: str) -> TrainedDetector:
    config = config_in(payload, where)
    model = new_model(config, for_training=False)
    load_weights(model, payload["model"], where)
    on_cpu = device.type == "cpu"
    if on_cpu and payload.get("n_threads"):
        # The last bits of a convolution depend on it, and so would a reproduced score.
        torch.set_num_threads(int(payload["n_threads"]))
    model = model.to(device, memory_format=memory_format(device))  # type: ignore[call-overload]
    thresholds = payload.get("thresholds")
    return TrainedDetector(
        Detector(
            model,
            Preprocessing.of(config),
            device,
            amp=config.train.amp,
            n_threads=torch.get_num_threads() if on_cpu else None,
        ),
        config,
        Thresholds.from_dict(thresholds) if thresholds else config.postprocess.thresholds(),
    )


def config_in(payload: Mapping[str, Any], where: str) -> Config:
    """The settings of a checkpoint that has weights too; OptdetError for another."""
    missing = [key for key in ("config", "model") if key not in payload]
    if missing:
        raise OptdetError(
            f"the checkpoint has no {missing[0]!r}", where=where, fix="give one written by optdet"
        )
    return validate(Config, payload["config"], where)


def load_weights(model: DBNet, weights: Mapping[str, torch.Tensor], where: str) -> None:
    """Fill a model from a state dict of one of its kind; OptdetError for that of another."""
    try:
        model.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise OptdetError(f"the weights do not fit {model.backbone.name}: {reason}", where=where) from None


def new_model(config: Config, *, for_training: bool) -> DBNet:
    """The model of a config; its backbone's weights are fetched for training alone."""
    settings = config.model
    return build_dbnet(
        backbone_name=settings.backbone,
        pretrained=settings.pretrained and settings.weights is None and for_training,
        weights=Path(settings.weights) if settings.weights and for_training else None,
        inner_channels=settings.inner_channels,
        k=settings.k,
        thresh_branch=settings.thresh_branch,
        image_size=config.data.size,
    )
