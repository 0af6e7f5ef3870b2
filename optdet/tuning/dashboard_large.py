"""A study of many trials as optuna-dashboard's page can draw it: what its server sends, made lighter.

For each trial the page draws a line of reports with an entry in a legend: at 2000 trials that alone is most
of the time that it takes to open. So a large study's page gets the curves of its best trials as a graph of
its own in that plot's place. Pages of single trials keep their reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

LARGE = 300
"""Trials from which on a study is large."""
N_CURVES = 40
_DRAWN = b'"has_intermediate_values": true'
_GRAPHS = b'"plotly_graph_objects": ['
# Settings and versions of each trial, which the server cuts off at 1024 characters: a quarter of all.
_CUT_OFF = re.compile(rb'(\{"key": "(?:config|versions)", "value": )"[^"\\]*(?:\\.[^"\\]*)*"')


def lighter(body: bytes, trials: Sequence[FrozenTrial]) -> bytes:
    """The JSON of a study of one objective, to be maximized, without what makes it slow; its texts are found
    as the server writes them, and where it writes them in another way they stay."""
    if len(trials) < LARGE or body.count(_DRAWN) != 1 or body.count(_GRAPHS) != 1:
        return body
    body = _CUT_OFF.sub(rb'\1"..."', body)
    graph = {"id": "curves", "graph_object": json.dumps(_curves(trials))}
    body = body.replace(_DRAWN, _DRAWN.replace(b"true", b"false"))
    comma = b"" if _GRAPHS + b"]" in body else b", "
    return body.replace(_GRAPHS, _GRAPHS + json.dumps(graph).encode() + comma)


def _curves(trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """The reports of the best trials and of those at work."""
    finished = [trial for trial in trials if trial.values is not None and np.isfinite(trial.values[0])]
    ranked = sorted(finished, key=lambda trial: (-trial.values[0], trial.number))[:N_CURVES]
    lines = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"trial #{trial.number}",
            "x": sorted(trial.intermediate_values),
            "y": [
                value if np.isfinite(value) else None
                for _, value in sorted(trial.intermediate_values.items())
            ],
        }
        for trial in (*ranked, *(trial for trial in trials if trial.state == TrialState.RUNNING))
    ]
    title = f"Intermediate values of the best {len(ranked)} of {len(trials)} trials"
    layout = {
        "title": {"text": title, "font": {"size": 14}, "x": 0.02},
        "xaxis": {"title": {"text": "Step"}},
        "yaxis": {"title": {"text": "Objective Value"}},
        "margin": {"l": 60, "r": 10, "t": 50, "b": 50},
        "hovermode": "closest",
        "showlegend": False,  # the pointer says which line is whose
    }
    return {"data": lines, "layout": layout}
