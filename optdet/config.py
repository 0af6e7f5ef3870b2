"""Every setting of a training run and its default: one typed, frozen tree.

Only here do defaults live. YAML files hold what differs; :mod:`optdet.config_io` reads them.
Times are in epochs, lengths in canvas pixels, ratios and thresholds in 0..1 unless a field says otherwise.
The definition of a study, which names a config and what to vary in it, is in :mod:`optdet.study_config`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from optdet.search_space import ThresholdSpace
from optdet.section import Positive, Ratio, Section
from optdet.structures import CheckpointRule, Thresholds

LabelFormat = Literal["auto", "ufo", "icdar", "paddle"]


class SourceConfig(Section):
    """One set of labelled images; paths are relative to the data root (the working directory)."""

    images: str
    labels: str
    format: LabelFormat = "auto"
    weight: Positive = 1.0
    """How often each image comes in an epoch, on average: 2 twice, 0.5 in every second epoch. So a source's
    share of an epoch is its images times its weight, over the sum of that of all; with several sources each
    epoch keeps it, to the rounding of one image. It does not weigh the loss. Of ``data.val`` it is unused.
    """


class SyntheticConfig(Section):
    """Synthetic receipts made on the spot instead of files: ``train`` and ``val`` are image counts."""

    train: Annotated[int, Field(ge=1)] = 64
    val: Annotated[int, Field(ge=1)] = 24
    image_size: Annotated[int, Field(ge=192, le=2048)] = 512
    difficulty: Ratio = 0.6
    seed: Annotated[int, Field(ge=0)] = 0


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class DataConfig(Section):
    """Where images come from and what the network sees of them."""

    train: Annotated[tuple[SourceConfig, ...], BeforeValidator(_as_list)] = ()
    val: SourceConfig | None = None
    synthetic: SyntheticConfig | None = None
    folds: str | None = None
    """What `data split` wrote, in place of the three above; relative to the data root."""
    fold: Annotated[int, Field(ge=0)] = 0
    """Which of the folds is validated on; all the others are learnt from."""
    folds_sha256: str | None = None
    """The partition that ``folds`` must hold: another would mix what was learnt and what was held out."""
    size: Annotated[int, Field(ge=64, le=4096, multiple_of=32)] = 640
    pad: Literal["center", "topleft"] = "center"
    interpolation: Literal["area", "bilinear"] = "area"
    """How an image is made smaller: by the mean of the pixels, or by four of them, as other programs do."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    workers: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"

    @model_validator(mode="after")
    def _one_origin(self) -> DataConfig:
        if self.folds is not None and (self.train or self.val or self.synthetic):
            raise ValueError("data.folds names its sources itself: leave out data.train, val and synthetic")
        if self.folds is None and (self.fold or self.folds_sha256):
            raise ValueError(
                "data.fold needs data.folds, the file that `optdet data split` writes: "
                "data.folds=folds/folds.json in place of data.train and data.val"
            )
        if self.synthetic is not None and (self.train or self.val is not None):
            raise ValueError("give either data.synthetic or data.train and data.val, not both")
        if self.synthetic is None and bool(self.train) != (self.val is not None):
            raise ValueError("data.train and data.val go together")
        return self


class AugmentConfig(Section):
    """Random changes to a training image; every probability is per image."""

    flip_prob: Ratio = 0.0
    rotate_degrees: Annotated[float, Field(ge=0, le=180)] = 5.0
    scale_min: Positive = 0.8
    scale_max: Positive = 1.25
    shift_ratio: Ratio = 0.05
    geometry_prob: Ratio = 0.8
    color_prob: Ratio = 0.5
    blur_prob: Ratio = 0.1
    noise_prob: Ratio = 0.1
    min_visible_ratio: Ratio = 0.5
    """A word with less of its area than this left in the frame is masked, not learnt."""

    @model_validator(mode="after")
    def _ordered(self) -> AugmentConfig:
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min {self.scale_min} is above scale_max {self.scale_max}")
        return self


class ModelConfig(Section):
    """Any timm backbone, the FPN of the DB paper and its head."""

    backbone: str = "resnet50"
    pretrained: bool = True
    weights: str | None = None
    """A local file with the backbone's weights, in place of timm's download."""
    inner_channels: Annotated[int, Field(ge=16, multiple_of=16)] = 256
    k: Positive = 50.0
    """Steepness of the approximate binary map (DB paper, eq. 1)."""
    thresh_branch: bool = True


class TargetConfig(Section):
    """What the head learns (DB paper, section 3.4)."""

    shrink_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.4
    thresh_min: Ratio = 0.3
    thresh_max: Ratio = 0.7
    min_side: Annotated[float, Field(ge=0)] = 3.0
    """Words with a shorter side than this on the canvas are masked."""

    @model_validator(mode="after")
    def _ordered(self) -> TargetConfig:
        if self.thresh_min >= self.thresh_max:
            raise ValueError(f"thresh_min {self.thresh_min} is not below thresh_max {self.thresh_max}")
        return self


class LossConfig(Section):
    """Weights of the three terms, and hard negatives for each positive pixel."""

    prob_weight: Annotated[float, Field(ge=0)] = 5.0
    thresh_weight: Annotated[float, Field(ge=0)] = 10.0
    binary_weight: Annotated[float, Field(ge=0)] = 1.0
    negative_ratio: Positive = 3.0


class OptimizerConfig(Section):
    """``adam`` adds weight_decay to the gradient (L2); ``adamw`` decouples it."""

    name: Literal["adamw", "adam"] = "adamw"
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999


class SchedulerConfig(Section):
    """Linear warm-up, then cosine from lr to eta_min at epoch t_max, and eta_min after it."""

    name: Literal["cosine", "constant"] = "cosine"
    t_max: Positive | None = None
    """Epoch at which eta_min is reached; the number of epochs where left out."""
    eta_min: Annotated[float, Field(ge=0)] = 1e-5
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    epoch_updates: Positive | None = None
    """Updates that t_max and warmup_epochs count as an epoch, so that the rate takes the same course on more
    or fewer images; those that an epoch of the run has where left out."""


class TrainConfig(Section):
    """The loop."""

    epochs: Annotated[int, Field(ge=1)] = 20
    updates: Annotated[int, Field(ge=1)] | None = None
    """Updates of the weights in all, in place of ``epochs``: as many epochs as hold them, the last cut
    short."""
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] = 8
    """Images a step; ``auto``: as many as the card holds, found before a trial trains (8 on the CPU)."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches whose gradients are added before one update."""
    clip_norm: Annotated[float, Field(ge=0)] = 5.0
    """Largest gradient norm; 0 leaves gradients as they are."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the averaged weights that are validated and kept; 0 turns averaging off."""
    amp: bool = True
    channels_last: bool = True
    """Channels-last memory on CUDA; the CPU never uses it."""
    compile: bool = False
    """Whether the network is compiled (torch.compile): quicker steps after a minute or more of compiling,
    which a worker's later trials of the same network are spared."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Epochs without a better H-mean before training stops early; 0 never stops."""
    checkpoint: CheckpointRule = "best"
    """Whose weights are kept: those of the epoch with the best H-mean, or, ``fixed``, of the last one, which
    nobody chose; it never stops early."""
    epoch_thresholds: Literal["swept", "current"] = "swept"
    """What an epoch is scored at: the best point of a coarse sweep, or the thresholds in use."""
    start: str | None = None
    """A checkpoint of optdet's, as `import` and `trial pack` write it, whose weights training begins with."""

    @property
    def images_a_step(self) -> int:
        """``batch_size`` once it is known; ValueError while it is ``auto``."""
        if self.batch_size == "auto":
            raise ValueError("train.batch_size is auto: a run begins with the number that was fitted")
        return self.batch_size


class CacheConfig(Section):
    """Files that can be made again, below the root's ``cache``."""

    max_gb: Annotated[float, Field(ge=0)] = 50.0
    """Letterboxed images and probability maps together: beyond it those used longest ago go, but for what is
    in use. An image set that is larger alone is read from its files each time."""


class TuneConfig(Section):
    """The inner loop: thresholds of a frozen detector, tuned on its cached probability maps.

    ``exhaustive`` scores the whole lattice of the space; a range without a step has steps of 0.005 (thresh,
    box_thresh) or 0.1 (unclip_ratio). ``tpe`` and ``random`` are Optuna studies of ``trials`` points.
    ``none`` keeps the thresholds in use as they are: tuned ones that a file holds, for example.
    """

    method: Literal["exhaustive", "tpe", "random", "none"] = "exhaustive"
    select: Literal["robust", "best"] = "robust"
    """``best`` takes the highest score; ``robust`` the middle of the highest plateau, which holds better on
    other images."""
    trials: Annotated[int, Field(ge=1, le=2000)] = 100
    polygon_thresh_step: Positive = 0.05
    """Smallest step over thresh for polygons (exhaustive): their outlines cost a hundred times what quads
    cost."""
    polygon_unclip_step: Positive = 0.25
    space: ThresholdSpace = ThresholdSpace()


class PostprocessConfig(Section):
    """Prob map to polygons; the thresholds in use (``current``) before anything is tuned."""

    thresh: Ratio = 0.3
    box_thresh: Ratio = 0.6
    unclip_ratio: Positive = 1.5
    polygon_unclip_ratio: Positive = 2.0
    max_candidates: Annotated[int, Field(ge=1)] = 1000
    use_polygon: bool = False
    min_side: Annotated[float, Field(ge=0)] = 3.0
    tune: TuneConfig = TuneConfig()

    def thresholds(self) -> Thresholds:
        """The thresholds in use; ``unclip_ratio`` is the one of quads or of polygons."""
        return Thresholds(
            thresh=self.thresh,
            box_thresh=self.box_thresh,
            unclip_ratio=self.polygon_unclip_ratio if self.use_polygon else self.unclip_ratio,
            max_candidates=self.max_candidates,
            use_polygon=self.use_polygon,
            min_side=self.min_side,
        )

    def with_thresholds(self, thresholds: Thresholds) -> PostprocessConfig:
        """The same section with other thresholds in use."""
        values = thresholds.as_dict()
        if thresholds.use_polygon:
            values["polygon_unclip_ratio"] = values.pop("unclip_ratio")
        return self.model_copy(update=values)


class Config(Section):
    """Settings of one training run, whole."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: str = "auto"
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    target: TargetConfig = TargetConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    train: TrainConfig = TrainConfig()
    postprocess: PostprocessConfig = PostprocessConfig()
    cache: CacheConfig = CacheConfig()
