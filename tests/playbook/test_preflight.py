"""What would stop a playbook after hours is said before its first step."""

from __future__ import annotations

import pytest

from optdet.errors import OptdetError
from optdet.playbook.graph import load_playbook
from optdet.playbook.opened import open_playbook
from optdet.playbook.preflight import check_ahead
from optdet.playbook.runner import run_playbook

CONFIG = "data: {synthetic: {train: 2, val: 2}}\n"
STUDY = "config: config.yaml\nspace: {optimizer.lr: {type: float, low: 0.001, high: 0.01}}\n"
HEAD = "target: 0.9\nstart: {source: base, config: config.yaml}\n"


class Silent:
    def say(self, line):
        raise AssertionError(f"nothing begins, but: {line}")


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "study.yaml").write_text(STUDY)

    def make(stages, head=HEAD):
        path = tmp_path / "mine.yaml"
        path.write_text(f"{head}stages:\n{stages}  done: {{do: submit}}\n")
        context = open_playbook(
            load_playbook(path), tmp_path, Silent(), "cpu", str(tmp_path / "optdet.db"), None
        )
        check_ahead(context)
        return context

    return make


SOUND = """\
  sweep: {do: study, study: study.yaml, retrain: {train.epochs: 3}, next: folds}
  folds: {do: folds, overrides: {train.updates: 9, seed: 3}, min_votes: 3, next: mix}
  mix: {do: ensemble, members: [folds, reference, best, mine-sweep], next: done}
"""
WITH_REFERENCE = HEAD + "reference: {source: other, config: config.yaml}\n"


def test_a_sound_one_passes(check):
    check(SOUND, WITH_REFERENCE)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("study: study.yaml", "study: studdy.yaml", "'studdy.yaml' is neither beside the playbook"),
        ("train.epochs: 3", "train.epoch: 3", "stages.sweep.retrain: unknown setting 'train.epoch'"),
        ("train.epochs: 3", "train.epochs: 0", "stages.sweep.retrain: train.epochs: .*greater than or equal"),
        ("train.updates: 9", "train.update: 9", "stages.folds.overrides: unknown setting 'train.update'"),
        ("seed: 3", "optimizer.lr: fast", "stages.folds.overrides: optimizer.lr: 'fast' is no number"),
        ("members: [folds,", "members: [fold,", "stages.mix: fold is neither a stage.*did you mean folds"),
        ("reference, best", "reference, bset", "bset is neither a stage.*did you mean best"),
    ],
)
def test_what_is_wrong_is_found(check, before, after, message):
    assert before in SOUND
    with pytest.raises(OptdetError, match=message):
        check(SOUND.replace(before, after), WITH_REFERENCE)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("{source: other, config: config.yaml}", "{source: other}", "reference: other is neither a file nor"),
        ("config: config.yaml}\nref", "config: gone.yaml}\nref", "'gone.yaml' is neither beside"),
        ("{source: other,", "{submission: best.csv, source: other,", "knows no submission of this name"),
        ("target: 0.9\n", "target: 0.9\ntest_images: test\n", "test: no such folder of images"),
    ],
)
def test_what_is_wrong_with_the_rest_is_found(check, before, after, message):
    assert before in WITH_REFERENCE
    with pytest.raises(OptdetError, match=message):
        check(SOUND, WITH_REFERENCE.replace(before, after))


def test_a_study_that_has_no_best_trial_is_refused(check, tmp_path):
    folds = "data: {folds: folds.json}\n"
    (tmp_path / "config.yaml").write_text(folds)
    (tmp_path / "study.yaml").write_text(
        STUDY.replace("{optimizer.lr:", "{data.fold: {type: int, low: 0, high: 1}, optimizer.lr:")
    )
    with pytest.raises(OptdetError, match=r"stages.sweep: trials of a study over data.fold.*none of them"):
        check(SOUND, WITH_REFERENCE)


def test_candidates_are_read(check, tmp_path):
    (tmp_path / "nine.yaml").write_text("candidates: [{thresh: 2}]\n")
    with pytest.raises(OptdetError, match="thresh"):
        check("  first: {do: postprocess, candidates: nine.yaml, next: done}\n")


def test_more_votes_than_folds_are_refused_when_the_file_is_read(check):
    with pytest.raises(OptdetError, match="6 votes of 5 folds: lower min_votes"):
        check(SOUND.replace("min_votes: 3", "min_votes: 6"), WITH_REFERENCE)


def test_a_run_begins_with_it(check, tmp_path):
    context = check(SOUND, WITH_REFERENCE)
    (tmp_path / "study.yaml").unlink()

    with pytest.raises(OptdetError, match=r"study\.yaml"):
        run_playbook(context)
