"""Chromium without a window: a page that remembers what went wrong in it, and pictures to look at. And a
study of seconds with everything that pages show."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

PHONE, DESK = (390, 844), (1280, 900)
"""Widths and heights that pages are looked at in, in CSS pixels."""
PICTURES_VARIABLE = "OPTDET_TEST_PICTURES"
"""A folder for the screenshots of the tests; without it they go into each test's own."""


@pytest.fixture(scope="session")
def chromium():
    """A running browser. Skips where there is none: `apt-get install chromium`, and the extra ``browser``."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        # Root may not use Chromium's own sandbox; the pages are ours.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium) -> Iterator[Callable]:
    """``open_page(url, size=DESK, dark=False, offline=False, known=())`` gives a page of Playwright's.

    At the end of the test no page may have said an error on its console, failed a request, or thrown, but for
    those that are ``known``, word for word. Of a page that is left Chromium calls off what has not come yet,
    which is a failed request too: wait for ``networkidle`` before going to another one.
    """
    wrong: list[str] = []
    contexts = []

    def opened(
        url: str,
        *,
        size: tuple[int, int] = DESK,
        dark: bool = False,
        offline: bool = False,
        known: Collection[str] = (),
    ):
        def note(what: str) -> None:
            if what not in known:
                wrong.append(what)

        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            offline=offline,
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: note(f"thrown: {error}"))
        page.on("console", lambda said: note(said.text) if said.type == "error" else None)
        page.on("requestfailed", lambda request: note(f"failed: {request.url} {request.failure}"))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            page.wait_for_load_state("networkidle")
        context.close()
    assert not wrong, wrong


@pytest.fixture
def picture(tmp_path, request) -> Callable[[object, str], Path]:
    """``picture(page, name)`` takes a screenshot of the whole page, for a person to look at."""
    given = os.environ.get(PICTURES_VARIABLE)
    folder = tmp_path if given is None else Path(given)

    def taken(page, name: str) -> Path:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=path, full_page=True)
        assert path.stat().st_size > 0
        return path

    return taken


CONFIG_FILE = """
device: cpu
data:
  train: {images: data/train/images, labels: data/train/labels.json}
  val: {images: data/val/images, labels: data/val/labels.json}
  size: 128
  workers: 0
augment: {geometry_prob: 0.0}
model: {backbone: test_efficientnet, pretrained: false, inner_channels: 16, thresh_branch: false}
loss: {negative_ratio: 1.0}
train: {epochs: 3, batch_size: 1}
"""
STUDY_FILE = """
name: shown
description: Which learning rate?
config: config.yaml
space:
  optimizer.lr: {type: float, low: 0.00001, high: 0.03, log: true}
  loss.negative_ratio: {type: categorical, choices: [1, 2]}
pruner: {name: median, n_startup_trials: 1, n_warmup_epochs: 1}
queue: [{optimizer.lr: 0.02, loss.negative_ratio: 1}, {optimizer.lr: 0.015, loss.negative_ratio: 1},
  {optimizer.lr: 0.00001, loss.negative_ratio: 1}]
trials: 4
keep: {maps: 2, inner_studies: 2, overlays: 2}
"""
COMMANDS = (
    "data synth data --train 6 --val 3 --image-size 192 --difficulty 0",
    "study create shown.yaml",
    "study run shown",
    "postprocess tune shown",
    "data split config.yaml --folds 2 --out folds",
    "study create --folds folds/folds.json --from shown train.updates=4",
    "study run shown-folds",
    "study folds shown-folds --no-rank",
    "study create shown.yaml --name warm --warm-start shown trials=5",
    "ensemble shown:0 shown:1 --method maps --test-images data/val/images --out ensemble.csv",
)


@dataclass(frozen=True)
class ShownStudy:
    """A working directory with a finished study ``shown``: four trials, pruned ones among them, and inner
    studies, one of ``postprocess tune``; beside it a study of its folds, one that starts with its best trials
    and was not run, and an ensemble's predictions."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "studies" / "optdet.db"


@pytest.fixture(scope="session")
def shown_study(tmp_path_factory: pytest.TempPathFactory) -> ShownStudy:
    """Made by the first process of the tests that wants it, for all of them, which leave it as it is."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / "shown.pickle"
    with FileLock(f"{made}.lock"):
        if not made.exists():
            folder = shared / "shown"
            folder.mkdir()
            (folder / "config.yaml").write_text(CONFIG_FILE)
            (folder / "shown.yaml").write_text(STUDY_FILE)
            for line in COMMANDS:
                _run_optdet(line, folder)
            made.write_bytes(pickle.dumps(ShownStudy(folder)))
    study: ShownStudy = pickle.loads(made.read_bytes())
    return study


def _run_optdet(line: str, folder: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPTDET_")}
    ran = subprocess.run(
        [sys.executable, "-m", "optdet", *line.split()],
        cwd=folder,
        env=kept | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{line}: {ran.stderr}"
