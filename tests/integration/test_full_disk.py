"""A disk that is full or read-only: one line, exit 1, nothing lost; with room the same command goes on."""

from __future__ import annotations

import shutil
import sys

import pytest
from killing import check_sound, contents
from small_disk import SmallDisk

pytestmark = pytest.mark.slow

RUN = ("study", "run", "tiny")
AGAIN = "then run the same command again"
FULL = "cat /dev/zero > filler 2> /dev/null || true"
READ_ONLY = "mount --bind studies/runs studies/runs && mount -o remount,bind,ro studies/runs"

# In the order in which a trial meets them: a function, which of its calls, and what the error then names.
MOMENTS = {
    "before a trial is asked for": ("optuna.study:Study.ask", 1, "optdet.db"),
    "before it is bound to its slot": ("optdet.store.leases:Leases.bind", 1, "optdet.db"),
    "before the last checkpoint": ("optdet.training.checkpoints:CheckpointFolder.save", 2, ".last-0001"),
    "before the best checkpoint": ("optdet.training.checkpoints:CheckpointFolder.save", 1, ".best-0001"),
    "before a report": ("optuna.trial:Trial.report", 1, "optdet.db"),
    "before a map": ("optdet.inference.map_cache:MapCache.save", 3, "maps"),
    "before the inner results": ("optdet.tuning.objective:save_inner_trials", 1, "optdet.db"),
    "before a photograph": ("optdet.drawing.jpeg:atomic_file", 1, ".jpg"),
    "before a diagram": ("optdet.drawing.png:atomic_file", 1, ".png"),
    "before an artifact": ("optuna.artifacts._filesystem:shutil.copyfileobj", 2, "artifacts"),
    "before tell": ("optdet.tuning.worker:Worker._told", 1, "optdet.db"),
    "before the inner study": ("optdet.store.finished_trials:_add", 1, "optdet.db"),
    "before the slot is released": ("optdet.store.leases:Leases.release", 1, "optdet.db"),
}


@pytest.fixture(scope="module")
def small_disk(commands, tmp_path_factory):
    disk = SmallDisk(type(commands), tmp_path_factory.mktemp("small"))
    yield disk
    disk.commands.end()


@pytest.fixture
def disk(small_disk, study_file):
    """With the study created, and nothing run."""
    small_disk.clear()
    small_disk.write("tiny.yaml", study_file)
    assert small_disk.run("study", "create", "tiny.yaml").code == 0
    return small_disk


def the_error(ended):
    """The one line of a command that ended so."""
    assert ended.code == 1, ended.err
    assert "Traceback" not in ended.err
    [error] = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert ended.err.splitlines()[-1] == error
    return error


def check_finishes(disk, folder, never_killed):
    disk.make_room()
    ended = disk.run(*RUN)
    assert ended.code == 0, ended.err
    disk.copy_to(folder)
    check_sound(folder, never_killed)


def test_a_disk_that_is_full_at_every_named_moment(disk, never_killed, tmp_path, moment):
    for name, (at, call, named) in MOMENTS.items():
        error = the_error(disk.run(*RUN, kill=moment(at, call, shell=FULL)))
        assert "No space left" in error or "disk is full" in error, name
        assert named in error, name
        assert error.endswith(AGAIN), name
        disk.make_room()
    check_finishes(disk, tmp_path / "done", never_killed)


def test_a_disk_with_ever_more_room(disk, never_killed, tmp_path):
    """From none up to enough, in steps that are smaller than any file of weight."""
    said = set()
    for leaving_kb in range(0, 6000, 150):
        disk.fill(leaving_kb=leaving_kb)
        ended = disk.run(*RUN)
        if ended.code == 0:
            break
        error = the_error(ended)
        assert error.endswith(AGAIN)
        said.add(error.split("(")[0].rpartition(": ")[2])
    assert ended.code == 0
    assert said >= {
        "the images cannot be written ",
        "the image cache cannot be written ",
        "the checkpoint cannot be written ",
    }
    check_finishes(disk, tmp_path / "done", never_killed)


def test_a_run_folder_that_became_read_only(disk, never_killed, tmp_path, moment):
    at = "optdet.training.checkpoints:CheckpointFolder.save"
    try:
        error = the_error(disk.run(*RUN, kill=moment(at, 3, shell=READ_ONLY)))
    finally:
        disk.inside("umount", "studies/runs")
    assert "Read-only file system" in error
    assert error.endswith(f"make it writable again, {AGAIN}")
    disk.copy_to(tmp_path / "stopped")
    stopped = contents(tmp_path / "stopped" / "studies")
    assert stopped["slots"] == []  # the database could be written
    [trial] = [trial for trial in stopped["trials"] if trial["reports"]]
    assert trial["state"] == "RUNNING"
    assert list(trial["reports"]) == [1]
    ended = disk.run(*RUN, "--trials", 1)
    assert ended.code == 0, ended.err
    assert "going on after epoch 1 of 3" in ended.err


BEAT = """
import subprocess, time
from optdet.store.heartbeat import Heartbeat
from optdet.store.leases import Leases
from optdet.tuning.study import load_study, open_database

def wait_for(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)

study = load_study(open_database("studies/optdet.db"), "tiny")
leases = Leases(study.storage, study.study_id, study.uuid)
slot = leases.reserve(4)
with Heartbeat(leases, slot, beat_s=0.02) as heartbeat:
    subprocess.run(["sh", "fill.sh"], check=True)
    wait_for(lambda: heartbeat._failing)
    print("full")
    subprocess.run(["rm", "filler"], check=True)
    wait_for(lambda: not heartbeat._failing)
    print("beating", heartbeat.lost)
leases.release(slot)
"""


def test_a_heartbeat_on_a_full_disk_goes_on(disk):
    disk.write("beat.py", BEAT)
    disk.write("fill.sh", FULL)
    ended = disk.inside(sys.executable, "beat.py")
    assert ended.stdout.split() == ["full", "beating", "False"], ended.stderr
    assert ended.stderr.count("no beat for slot") == 1
    assert "Traceback" not in ended.stderr


@pytest.fixture
def elsewhere(finished, tmp_path):
    """A copy of the finished study on a disk with room."""
    shutil.copytree(finished.folder, tmp_path / "elsewhere")
    return tmp_path / "elsewhere" / "studies"


def test_other_commands_on_a_full_disk_leave_what_was_there(disk, elsewhere):
    images = next((elsewhere / "data").glob("*/val/images"))
    tune = ("postprocess", "tune", "tiny", "--no-study")
    commands = {
        "out.csv": ("predict", "tiny", "--images", images, "--out", "out.csv"),
        "out.json": ("predict", "tiny", "--images", images, "--out", "out.json"),
        "config.yaml": (*tune, "--write", "config.yaml", "--force"),
        "tried.csv": (*tune, "--out", "."),
        "landscape-quads.npz": (*tune, "--set", "method=exhaustive", "--out", "."),
        "packed.pt": ("trial", "pack", "tiny", "--out", "packed.pt", "--force"),
        "trials.csv": ("study", "export", "tiny", "--out", "trials.csv"),
        "copy.db": ("study", "backup", "copy.db", "--force"),
    }
    for name in commands:
        disk.write(name, "before")
    disk.fill(leaving_kb=0)
    there = disk.names()
    for name, words in commands.items():
        error = the_error(disk.run(*words, "--storage", elsewhere / "optdet.db"))
        assert error.startswith(f"error: {name}: "), error
        assert "space" in error
        assert disk.names() == there
        assert disk.read(name) == "before"


def test_a_log_on_the_full_disk_does_not_change_the_exit_code(disk):
    disk.fill(leaving_kb=0)
    run = f"{sys.executable} -m optdet study run tiny > log 2>&1"
    assert disk.inside("sh", "-c", f"{run}; echo $?; wc -c < log").stdout.split() == ["1", "0"]


def test_a_read_only_disk(disk, elsewhere, tmp_path):
    """Reading a study takes the write lock of its database, so it is refused too, in one line."""
    images = next((elsewhere / "data").glob("*/val/images"))
    out = tmp_path / "out.csv"
    disk.remount("ro")
    try:
        for words in (
            ("study", "create", "tiny.yaml", "--name", "other"),
            ("study", "create", "tiny.yaml", "--storage", "new/optdet.db"),
            RUN,
            ("study", "list"),
            ("study", "show", "tiny"),
            ("study", "best", "tiny"),
            ("predict", "tiny", "--images", images, "--out", out),
        ):
            error = the_error(disk.run(*words))
            assert "the database cannot be opened: Read-only file system; make the disk writable" in error
        predict = ("predict", "tiny", "--images", images, "--out", "out.csv")
        error = the_error(disk.run(*predict, "--storage", elsewhere / "optdet.db"))
        assert "out.csv: cannot be written (Read-only file system)" in error
    finally:
        disk.remount("rw")
    assert not out.exists()
