"""Damaged files: every reader takes them or refuses them in one line, soon, and touches nothing else.

``OPTDET_TEST_INPUTS`` sets how many inputs each reader gets (default 300; 100 000 in all is 10 000 each).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import baseline_home
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from optdet.candidates_config import CandidatesConfig
from optdet.config_io import load_config, parse_override
from optdet.data.labels import read_labels
from optdet.data.predictions import read_predictions
from optdet.detection.postprocess import MAX_DETECTIONS, MapDetector
from optdet.errors import OptdetError
from optdet.geometry.letterbox import Letterbox
from optdet.model.baseline_weights import split_tensors
from optdet.model.lightning_checkpoint import read_lightning
from optdet.settings_yaml import read_mapping
from optdet.structures import Thresholds
from optdet.study_io import load_study
from optdet.tuning.wandb_study import study_of_sweep
from optdet.tuning.wandb_sweep import read_sweep
from optdet.validation import validate

N_INPUTS = int(os.environ.get("OPTDET_TEST_INPUTS", "300"))
LIMIT_S = 1.0  # of this process's own time: others may be using the machine

pytestmark = pytest.mark.slow

UFO = """{"images": {"a.jpg": {"words": {
 "0": {"points": [[1, 2], [30, 2], [30, 12], [1, 12]], "transcription": "Total"},
 "1": {"points": [[1.5, 20], [60, 20], [60, 31.25], [1, 30]], "transcription": "###"}}},
 "b/c.jpg": {"words": {}}}}"""
ICDAR = (
    "1,2,30,2,30,12,1,12,Total\n1,20,60,20,60,31,1,30,###\n377,117,463,117,465,130,378,130,Genaxis, Theatre\n"
)
TABLE = """filename,x1,y1,x2,y2,x3,y3,x4,y4,text
a.jpg,1,2,30,2,30,12,1,12,Total
b.jpg,1,20,60,20,60,31,1,30,###
"""
PADDLE = """a.jpg\t[{"transcription": "Total", "points": [[1, 2], [30, 2], [30, 12], [1, 12]]}]
b.jpg\t[{"transcription": "###", "points": [[1, 20], [60, 20], [60, 31], [1, 30]], "difficult": true}]
"""
SUBMISSION = "filename,polygons\na.jpg,1 2 30 2 30 12 1 12|1 20 60 20 60 31 1 30\nb.jpg,\n"
CONFIG = """data:
  {train: [{images: train, labels: train.json, weight: 2}], val: {images: val, labels: val.json}, size: 640}
model: {backbone: resnet18, pretrained: false}
optimizer: {name: adamw, lr: 3.0e-4}
train: {epochs: 3, batch_size: 2}
postprocess: {thresh: 0.3, tune: {method: exhaustive}}
"""
STUDY = """name: mine
config: {model: {backbone: resnet18, pretrained: false}, train: {epochs: 3}}
space:
  optimizer.lr: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}
  train.batch_size: {type: categorical, choices: [1, 2]}
pruner: {name: median, n_warmup_epochs: 1}
sampler: {name: tpe}
queue: [{optimizer.lr: 0.001}]
trials: 4
"""
CANDIDATES = """postprocess: {max_candidates: 600}
candidates:
  - {label: safe, phase: 1, thresh: 0.24, box_thresh: 0.25}
"""

SWEEP = """method: bayes
metric: {name: val/hmean, goal: maximize}
run_cap: 15
parameters:
  preset: {value: some_config}
  models.head.thresh: {distribution: normal, mu: 0.24, sigma: 0.02}
  models.optimizer.lr: {distribution: log_uniform, min: -8.5, max: -6.9}
  models.loss.negative_ratio: {distribution: q_uniform, min: 3, max: 7, q: 0.5}
  models: {parameters: {scheduler: {parameters: {T_max: {values: [18, 20], probabilities: [0.5, 0.5]}}}}}
  trainer.max_epochs: {distribution: q_log_uniform_values, min: 10, max: 20}
early_terminate: {type: hyperband, max_iter: 27, s: 3}
"""

PIECES = st.one_of(
    st.sampled_from(
        [
            *(
                "NaN",
                "Infinity",
                "-1e999",
                "1e308",
                "9" * 400,
                "-0",
                "0x10",
                "1_000",
                "٣",
                "null",
                "true",
                "~",
            ),
            *(
                "[" * 2000,
                "{" * 500,
                '{"a":' * 400,
                "]",
                "}",
                '"',
                "'",
                "\\u0000",
                "\\ud800",
                "\\",
                "\t",
                "\r",
            ),
            *(
                "\x00",
                "\x85",
                "\u2028",
                "\ufeff",
                "../../x",
                "/etc/passwd",
                "a/../../b",
                "..",
                "C:\\x",
                "~root",
            ),
            *(
                "&a ",
                "*a",
                "<<: *a",
                "!!python/object/apply:os.system [x]",
                "!!binary x",
                "---\n",
                "...",
                "%YAML",
            ),
            *(",,,,", "|||", "   ", "1 2", ": ", "- ", "? ", "#", "e\u0301", "\U0001f9fe", "x" * 3000),
        ]
    ).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=12),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.floats(allow_nan=True, allow_infinity=True).map(lambda value: str(value).encode()),
)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The text with one to four spans of it replaced, removed, doubled or moved."""
    content = text.encode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        span = content[start:end]
        new = draw(
            st.one_of(PIECES, PIECES.map(lambda piece, span=span: piece + span + piece), st.just(span * 3))
        )
        content = content[:start] + new + content[end:]
    return content


def refusal_of(read: Callable[[], object]) -> str:
    """What it says against the input; nothing where it takes it."""
    try:
        read()
    except OptdetError as error:
        return str(error)
    return ""


READERS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "UFO labels": ("labels.json", UFO, read_labels),
    "ICDAR labels": ("gt_a.txt", ICDAR, read_labels),
    "ICDAR table": ("labels.csv", TABLE, read_labels),
    "PaddleOCR labels": ("labels.txt", PADDLE, read_labels),
    "submission": ("submission.csv", SUBMISSION, read_predictions),
    "submission as JSON": ("submission.json", UFO, read_predictions),
    "config": ("config.yaml", CONFIG, load_config),
    "study": ("study.yaml", STUDY, load_study),
    "candidates": (
        "candidates.yaml",
        CANDIDATES,
        lambda path: validate(CandidatesConfig, read_mapping(path), str(path)),
    ),
    "W&B sweep": ("sweep.yaml", SWEEP, lambda path: study_of_sweep(read_sweep(path), path, None)),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_line(reader: str, tmp_path: Path) -> None:
    name, text, read = READERS[reader]
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / name
    path.write_text(text, encoding="utf-8")
    read(path)  # whole it is taken

    @settings(max_examples=N_INPUTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(content=damaged(text))
    def try_it(content: bytes) -> None:
        path.write_bytes(content)
        started = time.process_time()
        refusal = refusal_of(lambda: read(path))
        assert time.process_time() - started < LIMIT_S
        assert "\n" not in refusal
        assert len(refusal) < 1000

    try_it()
    assert list(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()) == [path]


@pytest.mark.timeout(3600)
def test_a_damaged_lightning_checkpoint_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    tensors = {"model.decoder.inners.0.weight": torch.zeros(2, 2), "model.encoder.model.a": torch.ones(3)}
    path = baseline_home.save(tmp_path / "a.ckpt", tensors, hyper_parameters={"models": {"head": {"k": 50}}})
    whole = path.read_bytes()
    read_lightning(path)

    @settings(max_examples=N_INPUTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        keep=st.integers(0, len(whole)),
        changes=st.lists(
            st.tuples(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=8)), max_size=4
        ),
    )
    @example(keep=len(whole), changes=[])
    def try_it(keep: int, changes: list[tuple[int, bytes]]) -> None:
        content = bytearray(whole)
        for place, new in changes:
            content[place : place + len(new)] = new
        path.write_bytes(content[:keep])
        started = time.process_time()
        refusal = refusal_of(lambda: split_tensors(read_lightning(path).tensors, str(path)))
        assert time.process_time() - started < LIMIT_S
        assert "\n" not in refusal

    try_it()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.timeout(3600)
@settings(max_examples=N_INPUTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(content=st.one_of(damaged("optimizer.lr=0.0004"), damaged("data.train=[{images: a, labels: b}]")))
def test_a_damaged_override_is_read_or_refused_in_one_line(content: bytes) -> None:
    assert "\n" not in refusal_of(lambda: parse_override(content.decode("utf-8", "replace")))


@st.composite
def maps(draw: st.DrawFn) -> np.ndarray:
    """Noise, blots and extremes, of any size from 1 x 1."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    prob_map = rng.random((height, width)) ** draw(st.sampled_from([1, 4]))
    for _ in range(draw(st.integers(0, 6))):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        prob_map[y : y + int(rng.integers(1, 20)), x : x + int(rng.integers(1, 20))] = rng.choice([0, 0.5, 1])
    return np.asarray(prob_map, dtype=np.float16)


@pytest.mark.timeout(3600)
@settings(max_examples=N_INPUTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    prob_map=maps(),
    image=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    thresh=st.floats(0, 1),
    box_thresh=st.floats(0, 1),
    unclip_ratio=st.floats(0.01, 100),
    max_candidates=st.integers(1, 2000),
    use_polygon=st.booleans(),
    min_side=st.floats(0, 50),
)
def test_any_map_at_any_thresholds_gives_polygons_inside_its_image(
    prob_map: np.ndarray,
    image: tuple[int, int],
    thresh: float,
    box_thresh: float,
    unclip_ratio: float,
    max_candidates: int,
    use_polygon: bool,
    min_side: float,
) -> None:
    size = max(prob_map.shape)
    square = np.zeros((size, size), dtype=np.float16)
    square[: prob_map.shape[0], : prob_map.shape[1]] = prob_map
    assume(size > 1)
    started = time.process_time()
    found = MapDetector(square, Letterbox(*image, size)).detect(
        Thresholds(thresh, box_thresh, unclip_ratio, max_candidates, use_polygon, min_side)
    )
    assert time.process_time() - started < LIMIT_S
    assert len(found) <= min(MAX_DETECTIONS, max_candidates)
    for polygon in found.polygons:
        assert len(polygon) >= 3
        assert np.isfinite(polygon).all()
        assert (polygon >= 0).all()
        assert (polygon <= image).all()
