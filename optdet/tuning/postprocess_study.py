"""Threshold tuning of a source as an Optuna study in the database: seen while it runs, not lost by a kill.

The study's name ends in a digest of all that decides about its trials: the settings of the search, its seed,
the queued points, the images with their maps and words. So the same command finds its own study again, and
any other search is another study. ``trials`` is left out: more of them go on where the study ended.

``tpe`` and ``random`` run trial by trial, each under a lease: a trial that lost its process keeps its number
and its parameters, and processes that run the same command share the trials. One process that is killed
anywhere and started again ends with the values of one that never was. ``exhaustive`` sweeps in memory, and a
killed sweep runs its seconds again: its study is made of some points of the landscape when that is whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from optuna.trial import TrialState

from optdet.errors import OptdetError
from optdet.evaluation.scorer import ImageScorer
from optdet.phrases import counted
from optdet.store.heartbeat import Heartbeat
from optdet.store.leases import Full, Leases, SlotLost, Wait
from optdet.store.name_lock import named_lock
from optdet.tuning import attributes as attr
from optdet.tuning.attachments import attach, attached_names
from optdet.tuning.graphs import show_report
from optdet.tuning.housekeeping import fill_inner_study
from optdet.tuning.interrupts import Interrupts, Stopped
from optdet.tuning.links import write_links
from optdet.tuning.notes import write_search_note
from optdet.tuning.postprocess import PostprocessReport
from optdet.tuning.slot_trial import trial_of
from optdet.tuning.study import Database
from optdet.tuning.task import OnTrial, TuningTask
from optdet.tuning.threshold_search import ThresholdSearch
from optdet.tuning.thresholds import tune_thresholds
from optdet.tuning.tried import Tuned, draw_tried

_POLL_S = 0.5


@dataclass(slots=True)
class PostprocessStudy:
    """The study of one tuning: :meth:`tune` finds the thresholds, then :meth:`complete` leaves it whole.

    ``say`` is told what is done in place of what was asked for.
    """

    database: Database
    title: str
    say: Callable[[str], None] = lambda message: None
    _search: ThresholdSearch = field(init=False)
    _defined: dict[str, Any] = field(init=False)

    def tune(self, task: TuningTask, *, workers: int = 1, on_trial: OnTrial | None = None) -> Tuned:
        """As :func:`tune_thresholds`, to the same result; OptdetError where the name is another study's."""
        self._search = search = ThresholdSearch.of(task)
        self._defined = definition(search)
        if task.search.method == "exhaustive":
            return tune_thresholds(task, workers=workers, on_trial=on_trial)
        study = self._open()
        study.sampler = search.sampler()
        self._run(study, on_trial)
        return search.result(study.get_trials(deepcopy=False))

    def complete(self, report: PostprocessReport) -> str:
        """Store points of the landscapes and attach them, or a picture of the trials where there are none;
        the study's name. What is there stays."""
        study = self._open()
        name = study.study_name
        storage = self.database.storage
        if report.landscapes:
            fill_inner_study(storage, name, self.title, self._search.space, report.tuned.tried)
        show_report(storage, study._study_id, report)
        with TemporaryDirectory() as folder:
            made = _pictures(report, attached_names(self.database.storage, study), Path(folder))
            with self._lock(name):
                attach(storage, study, self.database.places.artifacts_dir, made)
        write_links(storage)
        return name

    def _lock(self, name: str) -> AbstractContextManager[None]:
        return named_lock(self.database.storage, f"optdet:inner:{name}")

    def _open(self) -> optuna.Study:
        """The study of this search, its queue in it; one that was cut off while it was made is completed."""
        search, defined = self._search, self._defined
        name = study_name(self.title, defined)
        with self._lock(name):
            study = optuna.create_study(
                storage=self.database.storage, study_name=name, direction="maximize", load_if_exists=True
            )
            trials = study.get_trials(deepcopy=False)
            if study.user_attrs.get(attr.SEARCH, None if trials else defined) != defined:
                raise OptdetError(
                    "another study has the name of this one", where=name, fix="rename that, or add --no-study"
                )
            if not study.user_attrs.get(attr.READY):
                study.set_user_attr(attr.INNER_OF, self.title)
                study.set_user_attr(attr.SEARCH, defined)
                self._write_note(study)
                if search.task.search.method != "exhaustive":
                    study.set_user_attr(attr.UUID, study.user_attrs.get(attr.UUID) or str(uuid.uuid4()))
                    search.enqueue(study)
                    study.set_user_attr(attr.READY, True)
        return study

    def _write_note(self, study: optuna.Study) -> None:
        task = self._search.task
        write_search_note(
            self.database.storage,
            study,
            task.search,
            metric=task.metric,
            n_images=len(task.scorers),
            n_queued=len(self._search.queue),
        )

    def _run(self, study: optuna.Study, on_trial: OnTrial | None) -> None:
        """Trials until all of them are finished, over all processes."""
        search, total = self._search, self._search.n_trials
        n_finished = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
        if n_finished >= total:
            n_sampled = n_finished - len(search.queue)
            self.say(
                f"{study.study_name} is finished: {n_finished} trials, none is run again; for more: "
                f"-s trials=N, above {n_sampled}"
            )
        elif n_finished:
            self.say(f"{study.study_name} goes on after {n_finished} of {total} trials")
        interrupts = Interrupts()
        with interrupts.handled(), suppress(Stopped):
            self._run_trials(study, interrupts, on_trial)
        if interrupts.received:
            raise KeyboardInterrupt

    def _run_trials(self, study: optuna.Study, interrupts: Interrupts, on_trial: OnTrial | None) -> None:
        """As a worker does: an interrupt is heard where no slot changes hands. Stopped by one."""
        search, total = self._search, self._search.n_trials
        leases = Leases(self.database.storage, study._study_id, study.user_attrs[attr.UUID])
        waited = False
        while not isinstance(slot := leases.reserve(total), Full):
            if isinstance(slot, Wait):
                if not waited:
                    self.say(f"waiting: other processes have what is left ({counted(slot.live, 'trial')})")
                waited = True
                interrupts.stop.wait(_POLL_S)
                if interrupts.stop.is_set():
                    raise Stopped
                continue
            try:
                if interrupts.stop.is_set():
                    raise Stopped
                with interrupts.allowed(), Heartbeat(leases, slot) as heartbeat:
                    trial, slot = trial_of(study, leases, slot)
                    value = search.score(trial)
                    heartbeat.confirm()
                    study.tell(trial, value)
            except SlotLost:
                continue  # another process has taken the trial over
            finally:
                leases.release(slot)
            if on_trial is not None:
                on_trial(trial.number + 1, total)


def definition(search: ThresholdSearch) -> dict[str, Any]:
    """All that decides about a study's trials and pictures, as JSON has it."""
    task = search.task
    exhaustive = task.search.method == "exhaustive"
    settings = task.search.model_dump(mode="json", exclude={"trials"} if exhaustive else {"trials", "select"})
    return {
        "search": settings,
        "metric": task.metric,
        "seed": None if exhaustive else task.seed,
        "constraint": None if task.constraint is None else str(task.constraint),
        "queue": [point.as_dict() for point in search.queue],
        "images": len(task.scorers),
        "images_sha256": images_sha256(task.scorers),
    }


def images_sha256(scorers: Sequence[ImageScorer]) -> str:
    """Of the images' names, places, maps and words: all that a score is made of."""
    digest = hashlib.sha256()
    for scorer in scorers:
        words = [(word.polygon.tolist(), word.ignored, word.text) for word in scorer.words]
        digest.update(repr((scorer.name, scorer.detector.letterbox, words)).encode())
        digest.update(scorer.detector.half_map.tobytes())
    return digest.hexdigest()


def study_name(title: str, defined: dict[str, Any]) -> str:
    """``TITLE.postprocess.DIGEST-IMAGES``, and a metric other than the usual one, of the letters that names
    of studies have."""
    text = json.dumps(defined, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", title).strip("-.")
    of_metric = "" if defined["metric"] == "competition" else f"-{defined['metric']}"
    return f"{safe}.postprocess.{digest[:8]}-{defined['images']}{of_metric}"


def _pictures(report: PostprocessReport, there: frozenset[str], folder: Path) -> list[Path]:
    """What is not ``there`` yet, drawn."""
    # Not above: what is there already needs neither matplotlib nor plotly.
    from optdet.tuning.postprocess_output import draw_landscapes, landscape_names, write_landscapes

    if report.landscapes:
        if there.issuperset(landscape_names(report.landscapes)):
            return []
        made = [*write_landscapes(report.landscapes, folder), *draw_landscapes(report, folder)]
        return [path for path in made if path.name not in there]
    path = folder / f"landscape-{len(report.tuned.tried)}-points.png"
    if path.name in there:
        return []
    draw_tried(report.tuned.tried, path, report.tuned.chosen)
    return [path]
