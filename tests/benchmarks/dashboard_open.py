"""How long a large study takes to open in the dashboard, in headless Chromium.

    python tests/benchmarks/dashboard_open.py --trials 2000

Makes a study in a new SQLite file with the attributes, reports and texts that optdet's own trials and studies
have, and 20 inner studies beside it; then opens its page, over the server of `optdet dashboard` and over
optuna-dashboard's own on the same file. A page is open when its history shows a point for each trial. Each
time the browser's window is a new one; the first time on each server nothing is in its memory either. The
page of a study of ten trials says what every page takes. Last, the same in a browser with a profile, which
has been there before: it keeps the dashboard's script, and what it has made of it.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import optuna_dashboard
import psutil
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from optdet.config import Config
from optdet.metrics.scores import PRH
from optdet.store.engine import close_storage, open_storage
from optdet.structures import Thresholds
from optdet.study_config import StudyConfig
from optdet.tuning import attributes as attr
from optdet.tuning.dashboard import Dashboard, open_dashboard
from optdet.tuning.graphs import show_tried
from optdet.tuning.links import write_links
from optdet.tuning.notes import write_study_note
from optdet.tuning.tried import Tried

SPACE: Mapping[str, BaseDistribution] = {
    "optimizer.lr": FloatDistribution(1e-5, 1e-2, log=True),
    "optimizer.weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "loss.negative_ratio": FloatDistribution(1.0, 5.0),
    "augment.geometry_prob": FloatDistribution(0.0, 1.0),
    "train.batch_size": IntDistribution(2, 16),
    "optimizer.name": CategoricalDistribution(("adam", "adamw")),
}
N_REPORTS = 10
N_INNER = 20
HISTORY_POINTS = "document.querySelectorAll('.js-plotly-plot')[0]?.querySelectorAll('path.point').length ?? 0"


def make_study(storage: RDBStorage, n_trials: int, name: str = "large") -> int:
    """A study of so many finished trials, every fifth pruned, and inner studies beside it; its id."""
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    dice = np.random.default_rng(0)
    study.add_trials([_trial(dice, number) for number in range(n_trials)])
    config = StudyConfig(name=name, config=Config())
    study.set_user_attr(attr.UUID, name)
    study.set_user_attr(attr.DEFINITION, config.as_dict())
    study.set_user_attr(attr.READY, True)
    write_study_note(storage, study, config)
    show_tried(storage, study._study_id, _tried(dice), name)
    for number in range(N_INNER):
        inner = optuna.create_study(storage=storage, study_name=f"{name}.t{number:04d}.postprocess")
        inner.set_user_attr(attr.INNER_OF, f"{name}:{number}")
        show_tried(storage, inner._study_id, _tried(dice), f"{name}:{number}")
    write_links(storage)
    return int(study._study_id)


def _trial(dice: np.random.Generator, number: int) -> FrozenTrial:
    params: dict[str, Any] = {
        "optimizer.lr": 10 ** dice.uniform(-5, -2),
        "optimizer.weight_decay": 10 ** dice.uniform(-6, -2),
        "loss.negative_ratio": dice.uniform(1, 5),
        "augment.geometry_prob": dice.uniform(0, 1),
        "train.batch_size": int(dice.integers(2, 17)),
        "optimizer.name": "adam" if dice.random() < 0.5 else "adamw",
    }
    pruned = number % 5 == 4
    value = 0.97 - 0.1 * float(dice.exponential())
    n_reports = 4 if pruned else N_REPORTS
    reports = {epoch: value * (1 - 0.5**epoch) for epoch in range(1, n_reports + 1)}
    return create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        value=reports[n_reports] if pruned else value,
        params=params,
        distributions=dict(SPACE),
        user_attrs=_attributes(number, value, pruned=pruned),
        intermediate_values=reports,
    )


def _attributes(number: int, value: float, *, pruned: bool) -> dict[str, Any]:
    thresholds = Thresholds(0.3, 0.345678, 1.75, 1000, True, 3.0).as_dict()
    begun = {
        attr.CONFIG: Config().model_dump(mode="json"),
        attr.SEED: number,
        attr.DATA_FINGERPRINT: "7" * 64,
        attr.VERSIONS: {f"package-{index}": "1.23.456" for index in range(9)},
        attr.EPOCH_THRESHOLDS: thresholds,
    }
    if pruned:
        return begun
    scores = {"precision": value, "recall": value, "hmean": value}
    both = {"macro": scores, "global": scores}
    return begun | {
        attr.THRESHOLDS: thresholds,
        attr.SCORES: {"competition": both, "official": both, "iou": both},
        attr.CROSSFIT: value - 0.001,
        attr.INTERVAL: [value - 0.01, value + 0.01],
        attr.CHECKPOINT: f"runs/large/t{number:04d}/checkpoints/best-0010-{number:016x}.pt",
        attr.MAP_KEY: f"{number:024x}",
        attr.EPOCHS: N_REPORTS,
        attr.BEST_EPOCH: 9,
        attr.UPDATES: 900,
        attr.SECONDS: 123.4,
        attr.IMAGES_PER_S: 25.6,
        attr.PRECISION: value,
        attr.RECALL: value,
        attr.OFFICIAL_HMEAN: value,
    }


def _tried(dice: np.random.Generator) -> list[Tried]:
    return [
        Tried(
            Thresholds(row / 16, column / 9, 1.5, 1000, True, 3.0),
            PRH(0.9, 0.9, float(dice.uniform(0.8, 0.95))),
        )
        for row in range(1, 16)
        for column in range(1, 9)
    ]


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and of work: the second says more on a machine that does other things, too."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s (work {self.cpu:.2f} s)"


@contextmanager
def served(database: Path) -> Iterator[str]:
    """The address of `optdet dashboard`; a new server, which has nothing in memory yet."""
    opened = open_dashboard(f"sqlite:///{database}", database.parent / "artifacts", host="127.0.0.1", port=0)
    with _answering(opened):
        yield opened.url


@contextmanager
def served_plainly(database: Path) -> Iterator[str]:
    """The same of optuna-dashboard, with the same server under it."""
    opened = open_dashboard(f"sqlite:///{database}", database.parent / "artifacts", host="127.0.0.1", port=0)
    opened.server.set_app(optuna_dashboard.wsgi(f"sqlite:///{database}"))
    with _answering(opened):
        yield opened.url


@contextmanager
def _answering(opened: Dashboard) -> Iterator[None]:
    answering = threading.Thread(target=opened.server.serve_forever, daemon=True)
    answering.start()
    try:
        yield
    finally:
        opened.server.shutdown()
        opened.close()
        answering.join()


def seconds_to_open(browser: Browser, page_url: str, n_trials: int) -> Took:
    """From the request to a history with all points, in a window that has nothing in its cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    took = _seconds_to_open(context, page_url, n_trials)
    context.close()
    return took


def _seconds_to_open(context: BrowserContext, page_url: str, n_trials: int) -> Took:
    page = context.new_page()
    started, busy = time.perf_counter(), _cpu_seconds()
    page.goto(page_url, wait_until="commit")
    page.wait_for_function(f"{HISTORY_POINTS} >= {n_trials}", polling="raf", timeout=300_000)
    took = Took(time.perf_counter() - started, _cpu_seconds() - busy)
    page.close()
    return took


def with_profile(driver: Playwright, program: str, page_url: str, n_trials: int, repeats: int) -> list[Took]:
    """A browser's visits, each in a program that was started anew on the same profile."""
    visits = []
    with tempfile.TemporaryDirectory() as profile:
        for _ in range(repeats):
            context = driver.chromium.launch_persistent_context(
                profile,
                executable_path=program,
                args=["--no-sandbox"],
                viewport={"width": 1280, "height": 900},
            )
            visits.append(_seconds_to_open(context, page_url, n_trials))
            context.close()
    return visits


def _cpu_seconds() -> float:
    """Of this process, which has the server, and of the browser's."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--browser", default=shutil.which("chromium"), help="Chromium's program")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=given.browser, args=["--no-sandbox"])
        databases = {n_trials: Path(folder) / f"{n_trials}.db" for n_trials in (10, given.trials)}
        for n_trials, database in databases.items():
            storage = open_storage(database)
            make_study(storage, n_trials)
            close_storage(storage)
        best = {}
        for n_trials, server in ((10, served), (given.trials, served_plainly), (given.trials, served)):
            with server(databases[n_trials]) as url:
                page = f"{url}dashboard/studies/1"
                first, *again = [seconds_to_open(browser, page, n_trials) for _ in range(given.repeats + 1)]
            least = Took(min(took.wall for took in again), min(took.cpu for took in again))
            best[n_trials, server] = least
            name = "optdet dashboard" if server is served else "optuna-dashboard"
            print(f"{name}, {n_trials} trials: first {first}, then {least}", flush=True)
        ours, theirs = best[given.trials, served], best[given.trials, served_plainly]
        print(f"optuna-dashboard takes {theirs.wall / ours.wall:.1f} times the time, ", end="")
        print(f"{theirs.cpu / ours.cpu:.1f} times the work")
        browser.close()
        for n_trials, database in databases.items():
            with served(database) as url:
                page = f"{url}dashboard/studies/1"
                visits = with_profile(driver, given.browser, page, n_trials, given.repeats + 1)
            print(f"with a profile, {n_trials} trials: {', '.join(map(str, visits))}", flush=True)


if __name__ == "__main__":
    main()
