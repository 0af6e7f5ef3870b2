"""``optdet dashboard``, as a process that is asked over HTTP and stopped with Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from typer.testing import CliRunner

from optdet.cli.app import app
from optdet.errors import OptdetError
from optdet.store.engine import close_storage, open_storage
from optdet.tuning.dashboard import is_loopback, open_dashboard

WAIT_S = 60


@pytest.fixture
def database(tmp_path):
    """A study of one trial with an artifact, in a folder whose name would break a URL template."""
    root = tmp_path / "root {0}"
    root.mkdir()
    storage = open_storage(root / "optdet.db")
    study = optuna.create_study(storage=storage, study_name="receipts", direction="maximize")
    trial = study.ask()
    (root / "artifacts").mkdir()
    (root / "curve.csv").write_text("epoch,hmean\n1,0.5\n")
    store = FileSystemArtifactStore(str(root / "artifacts"))
    artifact = upload_artifact(
        artifact_store=store, file_path=str(root / "curve.csv"), study_or_trial=trial, storage=storage
    )
    study.tell(trial, 0.5)
    path = f"artifacts/{study._study_id}/{trial._trial_id}/{artifact}"
    close_storage(storage)
    return root / "optdet.db", path


@contextmanager
def running(*arguments):
    """The command, and the URL that it says; killed at the end if it still lives."""
    process = subprocess.Popen(
        [sys.executable, "-m", "optdet", "dashboard", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield process, found.group()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def fetch(url):
    with urlopen(url, timeout=WAIT_S) as answer:
        return answer.read()


@pytest.fixture
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_it_serves_studies_and_artifacts_on_a_free_port_and_ends_quietly(database, taken_port):
    path, artifact = database
    with running("--storage", path, "--port", taken_port) as (process, url):
        port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", url).group(1))
        assert taken_port < port < taken_port + 20
        studies = json.loads(fetch(f"{url}api/studies"))["study_summaries"]
        assert [study["study_name"] for study in studies] == ["receipts"]
        assert fetch(f"{url}{artifact}") == b"epoch,hmean\n1,0.5\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
        assert (process.returncode, out, err) == (0, "", f"port {taken_port} is taken: using {port}\n")


def test_the_newest_study_is_named_and_links_are_true_whatever_the_dashboard_does(tmp_path):
    path = tmp_path / "optdet.db"
    for name in ("first", "second"):
        CliRunner().invoke(
            app, ["study", "create", "--name", name, "--storage", str(path)], catch_exceptions=False
        )
    storage = open_storage(path)
    ids = {name: storage.get_study_id_from_name(name) for name in ("first", "second")}
    for name in ("first", "second"):
        storage.set_study_user_attr(ids[name], "optdet:settings_from", origin(storage, ids["first"]))
    with running("--storage", path, "--port", 0) as (process, url):
        assert process.stdout.readline() == f"second: {url}dashboard/studies/{ids['second']}\n"
        link = f"[first](/dashboard/studies/{ids['first']})"
        assert link in note(url, ids["second"])  # made true when it was opened
        page = fetch(f"{url}dashboard/studies/{ids['second']}")
        assert b"min-width: 0" in page
        request = Request(f"{url}api/studies/{ids['first']}", b"{}", JSON, method="DELETE")
        with urlopen(request, timeout=WAIT_S) as answer:
            assert answer.status == 204
        assert "/dashboard/studies/" not in note(url, ids["second"])
        assert "settings of first:0, which is not here" in note(url, ids["second"])
        with pytest.raises(HTTPError):  # as the dashboard answers
            fetch(f"{url}api/studies/{ids['first']}")
    close_storage(storage)


JSON = {"Content-Type": "application/json"}


def origin(storage, study_id):
    uuid = storage.get_study_user_attrs(study_id)["optdet:uuid"]
    return {"study": "first", "uuid": uuid, "trial": 0}


def note(url, study_id):
    return json.loads(fetch(f"{url}api/studies/{study_id}"))["note"]["body"]


def test_the_browser_is_opened_only_when_asked(database, monkeypatch):
    opened = []
    monkeypatch.setattr("typer.launch", opened.append)
    monkeypatch.setattr("optdet.tuning.dashboard.Dashboard.serve", lambda self: self.close())
    words = ["dashboard", "--storage", str(database[0]), "--port", "0"]
    CliRunner().invoke(app, words, catch_exceptions=False)
    assert opened == []
    CliRunner().invoke(app, [*words, "--open"], catch_exceptions=False)
    assert len(opened) == 1
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", opened[0])


def test_port_0_is_any_and_the_address_is_said(database, tmp_path):
    opened = open_dashboard(f"sqlite:///{database[0]}", tmp_path / "artifacts", host="127.0.0.1", port=0)
    try:
        assert opened.port > 0
        assert opened.url == f"http://127.0.0.1:{opened.port}/"
        assert opened.is_local
    finally:
        opened.close()


def test_only_loopback_is_local():
    assert all(map(is_loopback, ("127.0.0.1", "::1", "localhost", "127.3.2.1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.5", "example.org")))


def test_what_cannot_be_served_is_said(tmp_path):
    def run(*arguments):
        CliRunner().invoke(app, ["dashboard", *map(str, arguments)], catch_exceptions=False)

    with pytest.raises(OptdetError, match=r"there are no studies yet: no file .*none.db; create one with"):
        run("--storage", tmp_path / "none.db")
    close_storage(open_storage(tmp_path / "x.db"))
    with pytest.raises(OptdetError, match=r"203.0.113.7:8080: nothing can listen there"):
        run("--storage", tmp_path / "x.db", "--host", "203.0.113.7")
    (tmp_path / "file").write_text("")
    with pytest.raises(OptdetError, match=r"the folder of artifacts cannot be made"):
        run("--storage", tmp_path / "x.db", "--root", tmp_path / "file", "--port", 0)
