"""Files of a study that were removed, cut off or damaged: time is lost, and nothing else; each is said."""

from __future__ import annotations

import json
import shutil

import pytest
from killing import MOMENTS, contents

pytestmark = pytest.mark.slow

ONE_TRIAL = ("study", "run", "tiny", "--trials", 1)
RUN_FOLDER = "studies/runs/tiny/t0000"


def check_first_trial(commands, folder, never_killed, **how):
    """It ends as the one that lost nothing; what the run said of it."""
    ended = commands.run(*ONE_TRIAL, cwd=folder, **how)
    assert ended.code == 0, ended.err
    assert contents(folder / "studies")["trials"][0] == never_killed["trials"][0]
    return ended.err


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def checkpoint(folder, name):
    [found] = (folder / RUN_FOLDER / "checkpoints").glob(f"{name}-*.pt")
    return found


def create_flat(folder, study_file, commands):
    """The study with epochs that all score 0, so that the first is the best however a processor rounds."""
    (folder / "tiny.yaml").write_text(study_file)
    flat = ("train.epoch_thresholds=current", "postprocess.thresh=1.0")
    assert commands.run("study", "create", "tiny.yaml", *flat, cwd=folder).code == 0
    return folder


@pytest.fixture
def flat_study(tmp_path, study_file, commands):
    return create_flat(tmp_path, study_file, commands)


@pytest.fixture(scope="module")
def flat_never_killed(tmp_path_factory, study_file, commands):
    folder = create_flat(tmp_path_factory.mktemp("flat"), study_file, commands)
    assert commands.run(*ONE_TRIAL, cwd=folder).code == 0
    assert [*checkpoint(folder, "best").name.split("-")[:2]] == ["best", "0001"]
    return contents(folder / "studies")


def test_a_run_folder_removed_while_nobody_works(commands, new_study, never_killed, moment):
    commands.run(*ONE_TRIAL, cwd=new_study, kill=moment(*MOMENTS["in the inner loop"]))
    shutil.rmtree(new_study / RUN_FOLDER)
    said = check_first_trial(commands, new_study, never_killed)
    assert "trial 0: no checkpoint of its 3 epochs is left; training again\n" in said
    assert "trial 0 epoch 1/3" in said


@pytest.mark.parametrize(
    ("at", "call", "expected"),
    [
        ("CheckpointFolder.save", 3, "the checkpoint of the best epoch, 1, is missing or damaged"),
        pytest.param("save_checkpoint", 3, "the folder of its checkpoints was removed"),
    ],
)
def test_a_run_folder_removed_in_training(
    at, call, expected, commands, flat_study, flat_never_killed, moment
):
    module = "optdet.model.checkpoint_file" if at == "save_checkpoint" else "optdet.training.checkpoints"
    kill = moment(f"{module}:{at}", call, shell=f"rm -r {RUN_FOLDER}")
    said = check_first_trial(commands, flat_study, flat_never_killed, kill=kill)
    assert f"{expected}; training again from the first epoch\n" in said


def test_damaged_checkpoints_of_a_trial_in_work(commands, flat_study, flat_never_killed, moment):
    commands.run(*ONE_TRIAL, cwd=flat_study, kill=moment("optuna.trial:Trial.report", 2))
    last = checkpoint(flat_study, "last-0002")
    last.write_bytes(last.read_bytes()[:1000])
    ended = commands.run(*ONE_TRIAL, cwd=flat_study, kill=moment(*MOMENTS["in the inner loop"]))
    assert "the checkpoint is damaged; going on from the epoch before" in ended.err
    assert "trial 0: going on after epoch 1 of 3" in ended.err
    flip(checkpoint(flat_study, "last-0003"))
    flip(checkpoint(flat_study, "best-0001"))
    said = check_first_trial(commands, flat_study, flat_never_killed)
    assert "the checkpoint is damaged; going on from the epoch before" in said
    assert "best epoch, 1, is missing or damaged; training again from the first epoch" in said


def test_what_is_trained_again_is_not_pruned_by_what_it_reported_later(
    commands, study_file, never_killed, tmp_path, moment
):
    """Trial 2 is below the median in its last epoch, after which nobody is pruned: so not before either."""
    three = study_file.replace("n_warmup_epochs: 1", "n_warmup_epochs: 2").replace("trials: 4", "trials: 3")
    queue = f"queue: {json.dumps([never_killed['trials'][number]['params'] for number in range(3)])}"
    (tmp_path / "tiny.yaml").write_text(
        "\n".join(queue if line.startswith("queue") else line for line in three.splitlines())
    )
    assert commands.run("study", "create", "tiny.yaml", cwd=tmp_path).code == 0
    run = ("study", "run", "tiny")
    assert commands.run(*run, "--trials", 2, cwd=tmp_path).code == 0
    commands.run(*run, cwd=tmp_path, kill=moment(*MOMENTS["in the inner loop"]))
    before = contents(tmp_path / "studies")["trials"]
    assert max(before[2]["reports"].values()) < before[1]["reports"][3] / 2
    shutil.rmtree(tmp_path / "studies/runs/tiny/t0002")
    ended = commands.run(*run, cwd=tmp_path)
    assert "trial 2: no checkpoint of its 3 epochs is left" in ended.err
    after = contents(tmp_path / "studies")["trials"]
    assert after[2]["state"] == "COMPLETE"
    assert after[2]["reports"] == before[2]["reports"]


@pytest.fixture
def done(finished, tmp_path):
    """A copy of the finished study, to be damaged, and its images in a folder."""
    shutil.copytree(finished.folder, tmp_path / "done")
    shutil.copytree(next((tmp_path / "done").glob("studies/data/*/val/images")), tmp_path / "images")
    return tmp_path / "done"


def the_error(ended):
    assert ended.code == 1, ended.err
    [error] = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in ended.err
    return error


def test_files_of_finished_trials(commands, done):
    """Trials 1 (the best) and 2 (no maps of it are kept) lose their folders; a file of trial 0 rots."""
    images = done.parent / "images"
    for picture in images.iterdir():
        picture.write_bytes(picture.read_bytes() + b"another")  # of which no maps are kept
    predict = ("--images", images, "--out", "out.csv")
    for number in (1, 2):
        shutil.rmtree(done / f"studies/runs/tiny/t000{number}")
    damaged = checkpoint(done, "best")
    flip(damaged)
    for number, words in (
        (1, ("predict", "tiny", *predict)),
        (2, ("compare", "tiny:2", "tiny:3")),
        (2, ("postprocess", "tune", "tiny:2", "--no-study")),
    ):
        error = the_error(commands.run(*words, cwd=done))
        assert f"runs/tiny/t000{number}/checkpoints/best-000" in error
        assert "the checkpoint cannot be read (No such file or directory)" in error
        assert error.endswith("restore it from a backup, or train again")
    error = the_error(commands.run("predict", "tiny:0", *predict, cwd=done))
    assert f"{damaged}: damaged, or not the checkpoint that trial 0 saved" in error
    assert not (done / "out.csv").exists()
    assert commands.run("predict", "tiny:3", *predict, cwd=done).code == 0
    for words in (("list",), ("show", "tiny"), ("best", "tiny")):
        assert commands.run("study", *words, cwd=done).code == 0
    ended = commands.run("study", "run", "tiny", "--trials", 5, cwd=done)
    assert ended.code == 0, ended.err
    assert len(contents(done / "studies")["trials"]) == 5
