"""How large a report is, how long it takes to write and to open in Chromium.

python tests/benchmarks/report_size.py [--trials 500] [--images 60]

A study of synthetic receipts trains one trial; the others are that trial with other parameters, values and
curves, as a long search leaves them. Times are the page's own, from the address on, in a browser just
started: the first paint, the charts of the first screen drawn, table and images in place, every chart drawn.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from playwright.sync_api import sync_playwright

from optdet.store.engine import close_storage
from optdet.tuning.study import load_study, open_database

STUDY = """\
name: long
config:
  data:
    synthetic: {{train: 8, val: {images}, image_size: 1000}}
    size: 320
    workers: 0
  model: {{backbone: test_efficientnet, pretrained: false, inner_channels: 16}}
  train: {{epochs: 3, batch_size: 2}}
space:
  optimizer.lr: {{type: float, low: 0.0001, high: 0.02, log: true}}
  optimizer.weight_decay: {{type: float, low: 0.00001, high: 0.01, log: true}}
  loss.negative_ratio: {{type: categorical, choices: [2, 3, 5]}}
  loss.prob_weight: {{type: float, low: 1, high: 10}}
  loss.thresh_weight: {{type: float, low: 5, high: 15}}
trials: {trials}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--images", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(STUDY.format(trials=options.trials, images=options.images))
        run(folder, "study", "create", "study.yaml")
        run(folder, "study", "run", "long", "--trials", "1")
        fill(folder, options.trials)
        began = time.perf_counter()
        said = run(folder, "report", "long", "--images", str(options.images), "--no-attach")
        print(f"{options.trials} trials, {options.images} images: {said.strip()}")
        print(f"written in {time.perf_counter() - began:.1f} s")
        for number in range(3):
            print(
                number, ", ".join(f"{what} {at:.2f} s" for what, at in opened(folder / "report.html").items())
            )


def run(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "optdet", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def fill(folder: Path, n_trials: int) -> None:
    """Add trials like the first one, two in three of them pruned."""
    database = open_database(str(folder / "studies" / "optdet.db"))
    study = load_study(database, "long").study
    (first,) = study.get_trials()
    rng = random.Random(0)
    trials = []
    for number in range(1, n_trials):
        is_complete = number % 3 == 0
        value = rng.betavariate(8, 2) * (first.value or 0.5)
        reports = {epoch: value * (0.3 + 0.23 * epoch) for epoch in range(1, 4 if is_complete else 3)}
        begun = datetime(2026, 1, 1) + timedelta(minutes=number)
        params = {
            name: rng.choice(each.choices)
            if isinstance(each, optuna.distributions.CategoricalDistribution)
            else rng.uniform(each.low, each.high)
            for name, each in first.distributions.items()
        }
        attributes = dict(first.user_attrs)
        attributes["thresholds"] = {**attributes["thresholds"], "thresh": round(rng.uniform(0.2, 0.5), 3)}
        trial = optuna.trial.create_trial(
            params=params,
            distributions=first.distributions,
            value=value,
            state=optuna.trial.TrialState.COMPLETE if is_complete else optuna.trial.TrialState.PRUNED,
            intermediate_values=reports,
            user_attrs=attributes if is_complete else {"config": attributes["config"]},
        )
        trial.datetime_start = trial.datetime_complete = begun
        trials.append(trial)
    began = time.perf_counter()
    study.add_trials(trials)
    print(f"{len(trials)} trials added in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    close_storage(database.storage)


def opened(page_file: Path) -> dict[str, float]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(page_file.as_uri())
        for chart in page.query_selector_all("[data-chart]"):
            name = chart.get_attribute("data-chart")
            page.wait_for_selector(f"[data-chart={name}][data-drawn]", state="attached", timeout=120_000)
        at = page.evaluate(
            "Object.fromEntries(performance.getEntries().map((e) => [e.name, e.startTime / 1000]))"
        )
        browser.close()
    drawn = [when for name, when in at.items() if name.startswith("drawn ")]
    return {
        "painted": at["first-paint"],
        "first charts": max(at["drawn history"], at["drawn curves"]),
        "images": at["ready"],
        "all charts": max(drawn),
    }


if __name__ == "__main__":
    main()
