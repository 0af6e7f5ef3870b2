"""What a reader wants to know first: how good the detector is, at which thresholds, how to get it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from optdet.config_io import differences
from optdet.data.located import locate
from optdet.errors import OptdetError
from optdet.phrases import counted, duration
from optdet.report.detector import in_words
from optdet.report.markup import Content, Markup, Section, command, element, note, section, table
from optdet.settings_yaml import dump_yaml
from optdet.tuning import attributes as attr
from optdet.tuning.data_state import trials_of_other_data
from optdet.tuning.fold_members import is_fold_study, varies_fold
from optdet.tuning.fold_report import FoldReport
from optdet.tuning.results import config_of, thresholds_of
from optdet.tuning.source import SourceOptions
from optdet.tuning.study import OpenStudy


def answer_section(
    study: OpenStudy, best: FrozenTrial | None, folds: FoldReport | None, options: SourceOptions
) -> Markup:
    """The head of the page."""
    if best is not None and attr.SCORES in best.user_attrs:
        parts = _of_best(study, best, options)
    elif folds is not None and folds.pooled is not None:
        pooled = folds.pooled
        parts = [
            _headline(pooled.hmean, pooled.interval, pooled.hmean_crossfit),
            element(
                "p", f"out of fold on {counted(pooled.n_images, 'image')}, at {in_words(pooled.thresholds)}"
            ),
            _again(study, f"{study.name}:oof", options),
        ]
    elif varies_fold(study):
        what = (
            "its folds are not all scored together yet: " if is_fold_study(study) else "its trials hold out "
        )
        then = (
            f"optdet study folds {study.name}"
            if is_fold_study(study)
            else "different images: none is the best"
        )
        parts = [element("p", what + then, class_="headline-none")]
    else:
        parts = [element("p", "No trial is complete yet.", class_="headline-none")]
    return element("header", *parts, _counts(study))


def _headline(hmean: float, interval: Any, crossfit: float | None, what: str = "H-mean") -> Markup:
    low_high = "" if not interval else f"{interval[0]:.4f} to {interval[1]:.4f}"
    beside = [f"95 % interval {low_high}"] if low_high else []
    beside += [f"cross-fitted {crossfit:.4f}"] if crossfit is not None else []
    return element(
        "p",
        element("span", f"{hmean:.4f}", class_="big"),
        " ",
        element("span", what, class_="unit"),
        element("span", ", ".join(beside), class_="beside"),
        class_="headline",
    )


def _of_best(study: OpenStudy, best: FrozenTrial, options: SourceOptions) -> list[Content]:
    attrs = best.user_attrs
    macro = attrs[attr.SCORES]["competition"]["macro"]
    tuned = thresholds_of(best)
    facts = [
        f"trial {best.number}",
        f"precision {macro['precision']:.4f}",
        f"recall {macro['recall']:.4f}",
        *([in_words(tuned)] if tuned is not None else []),
    ]
    return [
        _headline(macro["hmean"], attrs.get(attr.INTERVAL), attrs.get(attr.CROSSFIT)),
        element("p", ", ".join(facts)),
        *([element("p", ", ".join(_params(best.params)), class_="params")] if best.params else []),
        _again(study, f"{study.name}:{best.number}", options),
    ]


def _params(params: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in params.items()
    ]


def _again(study: OpenStudy, source: str, options: SourceOptions) -> Markup:
    """The commands that give the score again."""
    try:
        config = study.config.base_config()
        val = locate(config.data, data_root=study.data_root, data_dir=study.places.data_dir).val
        images, labels = _near(val.images), _near(val.labels)
    except (OptdetError, AttributeError):  # folds have no validation images of their own
        images, labels = "IMAGES", "LABELS"
    where = [*_option("--storage", options.storage), *_option("--root", options.root)]
    files = ["--images", images, "--labels", labels, "--out", "predictions.csv"]
    lines = (
        shlex.join(["optdet", "predict", source, *files, *where]),
        shlex.join(["optdet", "evaluate", "predictions.csv", "--labels", labels]),
    )
    return element("details", element("summary", "The same again"), command("\n".join(lines)))


def _option(name: str, value: str | None) -> list[str]:
    return [] if value is None else [name, value]


def _near(path: str | Path) -> str:
    """As seen from the working directory, where it lies below that."""
    try:
        return str(Path(path).absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _counts(study: OpenStudy) -> Markup:
    trials = study.study.get_trials(deepcopy=False)
    by_state = {state: sum(trial.state == state for trial in trials) for state in TrialState}
    finished = by_state[TrialState.COMPLETE] + by_state[TrialState.PRUNED]
    named = (
        ("complete", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
        ("running", TrialState.RUNNING),
        ("waiting", TrialState.WAITING),
    )
    states = ", ".join(f"{by_state[state]} {name}" for name, state in named if by_state[state])
    seconds = [float(trial.user_attrs[attr.SECONDS]) for trial in trials if attr.SECONDS in trial.user_attrs]
    took = f"; {duration(sum(seconds))} of training in complete trials" if seconds else ""
    parts: list[Content] = [
        note(f"{finished} of {study.config.trials} trials finished ({states or 'none begun'}){took}")
    ]
    others = trials_of_other_data(study)
    if others:
        parts.append(
            note(
                f"{counted(len(others), 'trial')} had other images or labels: their values cannot be compared"
            )
        )
    return element("div", *parts)


def environment_section(study: OpenStudy, shown: FrozenTrial | None) -> Section:
    """Settings, versions, seed and data of the trial that is shown, or of the study."""
    config = (
        study.config.base_config()
        if shown is None or attr.CONFIG not in shown.user_attrs
        else config_of(shown, study)
    )
    rows: list[tuple[str, str]] = [
        ("sampler, pruner", f"{study.config.sampler.name}, {study.config.pruner.name}"),
        ("objective", study.config.objective),
        ("model", f"{config.model.backbone} at {config.data.size} pixels"),
    ]
    if shown is not None:
        attrs = shown.user_attrs
        rows += [("seed", str(attrs.get(attr.SEED, ""))), ("data", str(attrs.get(attr.DATA_FINGERPRINT, "")))]
        rows += [("device", attrs[attr.DEVICE])] if attr.DEVICE in attrs else []
        rows += [(name, str(value)) for name, value in attrs.get(attr.VERSIONS, {}).items() if value]
    return section(
        "environment",
        "Settings and environment",
        table(("", ""), rows, texts=(0, 1)),
        element(
            "details",
            element("summary", "Settings that differ from the defaults"),
            command(dump_yaml(differences(config)).strip()),
        ),
    )
