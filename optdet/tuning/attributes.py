"""Names of the user attributes that optdet keeps in Optuna's studies and trials: all of them, in one place.

Those of a study begin with ``optdet:``. Those of a trial are plain, since people read them in the dashboard.
"""

from __future__ import annotations

# Of a study.
UUID = "optdet:uuid"
DEFINITION = "optdet:definition"
DATA_ROOT = "optdet:data_root"
READY = "optdet:ready"
INNER_OF = "optdet:inner_of"
INNER_OF_UUID = "optdet:inner_of_uuid"  # of the study whose trial it is: another one may get its name
SEARCH = "optdet:search"
DATA_STATES = "optdet:data:"  # and a digest of the sources: the states that they were in, the newest last
OUT_OF_FOLD = "optdet:out_of_fold"  # what tuning on the pooled maps of a fold study gave
WARM_START = "optdet:warm_start"  # what of another study was queued behind the file's own queue
SETTINGS_FROM = "optdet:settings_from"  # the study, UUID and trial that its settings are of
COPIED_FROM = "optdet:copied_from"  # the UUID there; on a study that is not ready: the copy was cut short

# Of a trial that goes on with the weights of another, from the moment it is queued, beside its config.
EXTENDED_FROM = "extended_from"

# Of a trial that was queued with the parameters of another study's: STUDY:TRIAL.
WARM_START_FROM = "warm_start_from"

# Of a trial, from its start.
CONFIG = "config"
SEED = "seed"
DATA_FINGERPRINT = "data_fingerprint"
VERSIONS = "versions"
DEVICE = "device"  # what it runs on, in words

# Of a trial, while it trains: what its best epoch so far was scored at.
EPOCH_THRESHOLDS = "epoch_thresholds"

# Of a trial with several sources, while it trains: of each epoch, images and loss by source.
SOURCES = "sources"

# Of a trial whose batches were too large for the card: those that it went on with.
BATCHING = "batching"

# Of a trial, at its end.
THRESHOLDS = "thresholds"
SCORES = "scores"
CROSSFIT = "hmean_crossfit"
INTERVAL = "interval"
CHECKPOINT = "checkpoint"
MAP_KEY = "map_key"
EPOCHS = "epochs"
BEST_EPOCH = "best_epoch"  # whose weights are kept: the last one where train.checkpoint is fixed
UPDATES = "updates"  # of the weights, up to that epoch's end
SECONDS = "seconds"
IMAGES_PER_S = "images_per_s"
PEAK_MEMORY = "peak_memory_gb"  # of an epoch, in 10**9 bytes
BY_HEIGHT = "by_word_height"  # what is found of words and detections of a height
FAILURE = "failure"

# And at its end, as the dashboard's tables show them.
PRECISION = "precision"
RECALL = "recall"
OFFICIAL_HMEAN = "official_hmean"

# Of a trial of threshold tuning: sums of H-means over the images of each cross-fit part.
PART_HMEANS = "part_hmeans"

RESULTS = frozenset(
    {
        EPOCH_THRESHOLDS,
        SOURCES,
        THRESHOLDS,
        SCORES,
        CROSSFIT,
        INTERVAL,
        CHECKPOINT,
        MAP_KEY,
        EPOCHS,
        BEST_EPOCH,
        UPDATES,
        SECONDS,
        IMAGES_PER_S,
        PEAK_MEMORY,
        BY_HEIGHT,
        PRECISION,
        RECALL,
        OFFICIAL_HMEAN,
    }
)
"""What came of a trial: gone where it begins again."""

TIMES = frozenset({SECONDS, IMAGES_PER_S, PEAK_MEMORY})
"""Attributes that differ between two runs of the same trial."""
