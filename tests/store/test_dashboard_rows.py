"""Notes and graphs: what optuna-dashboard reads is what was written, in one transaction each."""

from __future__ import annotations

import threading

import optuna_dashboard
import plotly.graph_objects as go
import pytest
from optuna_dashboard import get_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from sqlalchemy import event

from optdet.store.dashboard_rows import PIECE, load_graph, rewrite_notes, save_graph, save_note

LENGTHS = (0, 1, PIECE, PIECE + 1, 5 * PIECE)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("before", LENGTHS)
def test_the_dashboard_reads_the_note_that_was_written(storage, stored, before, length):
    optuna_dashboard.save_note(stored.study, "é" * before)
    save_note(storage, stored.study_id, "ü" * length)
    assert get_note(stored.study) == "ü" * length
    assert storage.get_study_system_attrs(stored.study_id)["dashboard:note_ver"] == 2


def test_a_note_is_written_in_one_transaction(storage, stored):
    commits = []
    committed = commits.append
    event.listen(storage.engine, "commit", committed)
    save_note(storage, stored.study_id, "x" * 5 * PIECE)
    save_graph(storage, stored.study_id, "g", "[" + " " * 5 * PIECE + "]")
    event.remove(storage.engine, "commit", committed)
    assert len(commits) == 3  # one of them only looks


def test_a_graph_is_that_of_the_dashboards_own_function(storage, stored):
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
    optuna_dashboard.save_plotly_graph_object(stored.study, figure, graph_object_id="theirs")
    assert save_graph(storage, stored.study_id, "ours", figure.to_json())
    assert not save_graph(storage, stored.study_id, "ours", figure.to_json())
    graphs = get_plotly_graph_objects(storage.get_study_system_attrs(stored.study_id))
    assert graphs["ours"] == graphs["theirs"] == figure.to_json()
    assert save_graph(storage, stored.study_id, "ours", "[]")  # fewer pieces
    assert load_graph(storage, stored.study_id, "ours") == "[]"
    assert get_plotly_graph_objects(storage.get_study_system_attrs(stored.study_id))["ours"] == "[]"


def test_notes_of_trials_are_no_notes_of_their_study(storage, stored):
    trial = stored.study.ask()
    optuna_dashboard.save_note(trial, "of the trial")
    seen = {}
    rewrite_notes(storage, (), lambda studies: seen.update({s.study_id: s.note for s in studies}) or {})
    assert seen[stored.study_id] is None
    save_note(storage, stored.study_id, "of the study")
    assert get_note(trial) == "of the trial"


def test_writers_at_once_lose_no_line(storage, stored):
    save_note(storage, stored.study_id, "begin")

    def add(line):
        def rewrite(studies):
            (mine,) = [study for study in studies if study.study_id == stored.study_id]
            return {mine.study_id: f"{mine.note}\n{line}"}

        for _ in range(5):
            rewrite_notes(storage, (), rewrite)

    writers = [threading.Thread(target=add, args=(f"line {number}",)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = get_note(stored.study).splitlines()
    assert len(lines) == 21
    assert sorted(lines[1:]) == sorted(f"line {number}" for number in range(4) for _ in range(5))


def test_a_study_that_is_gone_gets_nothing(storage, stored):
    save_note(storage, 10**6, "x")
    assert load_graph(storage, 10**6, "x") is None
