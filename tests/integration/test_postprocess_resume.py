"""SIGKILL at any moment of ``postprocess tune``, then the same command again: its study and what it shows are
those of one that was never killed."""

from __future__ import annotations

import json
import shutil
import signal

import cv2
import numpy as np
import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta
from PIL import Image

from optdet.detection.targets import build_targets
from optdet.store.engine import close_storage
from optdet.store.leases import Leases
from optdet.tuning import attributes as attr
from optdet.tuning.study import all_studies, open_database

pytestmark = pytest.mark.slow

SIZE = 128
NARROW = ("--thresh", "0.1:0.3:0.05", "--box-thresh", "0.05:0.4:0.05", "--unclip-ratio", "1.7:1.9:0.1")
SOURCE = ("maps", "--images", "images", "--labels", "labels.json")
TUNE = ("postprocess", "tune", *SOURCE, *NARROW, "--study", "--json", "--candidates", "named.yaml")
TPE = (*TUNE, "-s", "method=tpe", "-s", "trials=16")
N_QUEUED = 3

# As in test_resume.py: a function, which of its calls, and True where the kill comes after it.
MOMENTS = {
    "while the study is made": ("optuna.study:Study.set_user_attr", 2),
    "in the queue": ("optuna.study:Study.enqueue_trial", 2),
    "between reserve and ask": ("optuna.study:Study.ask", 5),
    "between ask and bind": ("optdet.store.leases:Leases.bind", 3),
    "between two suggestions": ("optuna.trial:Trial.suggest_float", 7),
    "before a score is stored": ("optdet.tuning.threshold_search:macro_scores", 2, True),
    "in the attributes": ("optuna.trial:Trial.set_user_attr", 5),
    "before tell": ("optuna.study:Study.tell", 2),
    "after tell": ("optuna.study:Study.tell", 3, True),
    "before the slot is released": ("optdet.store.leases:Leases.release", 1),
    "in the sampled trials": ("optuna.study:Study.tell", 4),
    "before the picture": ("optdet.tuning.postprocess_study:draw_tried",),
    "before the picture is attached": ("optdet.tuning.attachments:_register",),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Labelled images, and maps that are blurred targets of their words and of a smear."""
    folder = tmp_path_factory.mktemp("pages")
    labels = {}
    for place in ("images", "maps"):
        (folder / place).mkdir()
    for index, name in enumerate("bae"):
        quads = [
            np.array([[16.0, y], [80 + 6 * index, y], [80 + 6 * index, y + 20], [16, y + 20]])
            for y in (12, 48, 88)
        ]
        word, other, smear = (build_targets([quad], [False], SIZE).shrink_map for quad in quads)
        prob_map = cv2.GaussianBlur(word * 0.9 + other * 0.4 + smear * 0.3, (0, 0), 1.5)
        np.save(folder / f"maps/{name}.npy", prob_map.astype(np.float16))
        Image.new("RGB", (SIZE, SIZE), "white").save(folder / f"images/{name}.png")
        words = {str(i): {"points": quad.tolist()} for i, quad in enumerate(quads[:2])}
        labels[f"{name}.png"] = {"words": words}
    (folder / "labels.json").write_text(json.dumps({"images": labels}))
    (folder / "named.yaml").write_text(
        "candidates:\n"
        "- {label: mine, thresh: 0.2, box_thresh: 0.2, unclip_ratio: 1.8}\n"
        "- {label: other, thresh: 0.9}\n"
    )
    return folder


@pytest.fixture
def place(pages, tmp_path):
    return shutil.copytree(pages, tmp_path / "place")


@pytest.fixture(scope="module")
def never_killed(pages, commands, tmp_path_factory):
    """What the command shows, and what it leaves."""
    folder = shutil.copytree(pages, tmp_path_factory.mktemp("whole") / "place")
    ended = commands.run(*TPE, cwd=folder)
    assert ended.code == 0, ended.err
    return json.loads(ended.out), contents(folder)


def contents(folder):
    """Every study but for times: its trials, the names of what is attached, the slots that are left."""
    database = open_database(str(folder / "studies" / "optdet.db"))
    found = {}
    for row in all_studies(database):
        study = optuna.load_study(study_name=row.name, storage=database.storage)
        attributes = dict(study.user_attrs)
        study_uuid = attributes.pop(attr.UUID, "none")
        found[row.name] = {
            "attributes": attributes,
            "trials": [
                (
                    trial.number,
                    trial.state.name,
                    trial.params,
                    trial.values,
                    trial.user_attrs,
                    trial.system_attrs.get("fixed_params"),
                )
                for trial in study.trials
            ],
            "files": sorted(meta.filename for meta in get_all_artifact_meta(study, storage=database.storage)),
            "slots": Leases(database.storage, study._study_id, study_uuid).live(),
        }
    close_storage(database.storage)
    return found


def test_the_comparison_compares_something(never_killed):
    shown, left = never_killed
    [study] = left.values()
    assert len(study["trials"]) == N_QUEUED + 16
    assert {state for _, state, *_ in study["trials"]} == {"COMPLETE"}
    assert len({values[0] for _, _, _, values, *_ in study["trials"]}) > 3
    assert study["slots"] == []
    assert len(study["files"]) == 1
    assert list(shown["candidates"]) == ["mine", "other"]


def test_kills_at_every_named_moment_of_one_search(commands, place, never_killed, moment):
    """Each run goes a little further than the one before, which was killed."""
    for name, where in MOMENTS.items():
        killed = commands.run(*TPE, cwd=place, kill=moment(*where))
        assert killed.code == -signal.SIGKILL, f"was not killed {name}:\n{killed.err}"
    ended = commands.run(*TPE, cwd=place)
    assert ended.code == 0, ended.err
    assert (json.loads(ended.out), contents(place)) == never_killed


@pytest.mark.parametrize("name", MOMENTS)
def test_a_kill_twice_at_the_same_moment(name, commands, place, never_killed, moment):
    for _ in range(2):
        commands.run(*TPE, cwd=place, kill=moment(*MOMENTS[name]))
    ended = commands.run(*TPE, cwd=place)
    assert ended.code == 0, ended.err
    assert (json.loads(ended.out), contents(place)) == never_killed


def test_the_same_command_again_says_that_it_is_finished(commands, place, never_killed):
    assert commands.run(*TPE, cwd=place).code == 0
    again = commands.run(*TPE, cwd=place)
    assert again.code == 0, again.err
    assert f"is finished: {N_QUEUED + 16} trials, none is run again" in again.err
    assert (json.loads(again.out), contents(place)) == never_killed


def test_what_is_shown_does_not_depend_on_the_study(commands, place, never_killed):
    ended = commands.run(*(word for word in TPE if word != "--study"), cwd=place)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == never_killed[0]
    assert not list(place.glob("studies/*.db"))


def test_two_processes_share_a_search(commands, place, moment):
    """One more dies on the way; between the others every trial is finished once, and none too many."""
    running = [commands.start(*TPE, cwd=place) for _ in range(2)]
    killed = commands.run(*TPE, cwd=place, kill=moment(*MOMENTS["before a score is stored"]))
    ended = [commands.wait(one) for one in running]
    assert killed.code in (-signal.SIGKILL, 0)
    assert [one.code for one in ended] == [0, 0], ended[0].err + ended[1].err
    assert json.loads(ended[0].out) == json.loads(ended[1].out)
    [study] = contents(place).values()
    assert [number for number, *_ in study["trials"]] == list(range(N_QUEUED + 16))
    assert {state for _, state, *_ in study["trials"]} == {"COMPLETE"}
    assert study["slots"] == []
    assert len(study["files"]) == 1


def test_an_interrupt_says_how_to_go_on(commands, place, never_killed, moment):
    where = MOMENTS["before a score is stored"]
    ended = commands.run(*TPE, cwd=place, kill=moment(*where, ending=signal.SIGINT))
    assert ended.code == 130, ended.err
    assert ended.err.splitlines()[-1] == "interrupted; the same command goes on from here"
    assert "Traceback" not in ended.err
    assert commands.run(*TPE, cwd=place).code == 0
    assert contents(place) == never_killed[1]


def test_a_killed_sweep_runs_again_to_the_same_study(commands, place, tmp_path, moment):
    whole = shutil.copytree(place, tmp_path / "whole")
    straight = commands.run(*TUNE, cwd=whole)
    assert straight.code == 0, straight.err
    for where in (
        ("optdet.tuning.thresholds:choose", 1),
        ("optdet.store.finished_trials:insert_rows", 2),
        ("optdet.tuning.attachments:_complete", 2),
    ):
        assert commands.run(*TUNE, cwd=place, kill=moment(*where)).code == -signal.SIGKILL
    ended = commands.run(*TUNE, cwd=place)
    assert json.loads(ended.out) == json.loads(straight.out)
    assert contents(place) == contents(whole)
    [study] = contents(place).values()
    assert study["files"] == [f"landscape-quads.{kind}" for kind in ("html", "npz", "png")]
