"""Trials by the thousand as Optuna reads them, without an object for each of their rows."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import or_, select
from sqlalchemy.engine import Connection

from optdet.store.optuna_tables import OptunaTables

_NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
"""What Optuna's tables have in place of numbers that not every database can hold."""

_Pairs = dict[int, dict[Any, Any]]
"""By trial: names, or steps, with values."""


def read_trials(
    connection: Connection, tables: OptunaTables, study_id: int, *, newer_than: int, others: Collection[int]
) -> list[FrozenTrial]:
    """The trials of a study with ids above ``newer_than`` and the ``others`` among those below, by id.

    Equal to those of ``RDBStorage.get_all_trials``; attributes are in the order of their names.
    """
    trials = tables.trials
    asked = trials.c.study_id == study_id
    if newer_than >= 0:
        asked &= or_(trials.c.trial_id > newer_than, trials.c.trial_id.in_(sorted(others)))

    found = connection.execute(select(trials).where(asked).order_by(trials.c.trial_id)).all()
    if not found:
        return []

    def rows(table: str, *columns: str, by: str | None = None) -> Iterator[Any]:
        of_table, of_trial = tables.of_trials[table]
        (key,) = of_table.primary_key
        query = select(of_table.c[of_trial], *(of_table.c[name] for name in columns))
        joined = query.join(trials, of_table.c[of_trial] == trials.c.trial_id).where(asked)
        return iter(connection.execute(joined.order_by(of_table.c[by] if by else key)))

    values: _Pairs = defaultdict(dict)
    for trial_id, objective, value, kind in rows("trial_values", "objective", "value", "value_type"):
        values[trial_id][objective] = _NOT_FINITE.get(kind, value)
    reports: _Pairs = defaultdict(dict)
    report_columns = ("step", "intermediate_value", "intermediate_value_type")
    for trial_id, step, value, kind in rows("trial_intermediate_values", *report_columns):
        reports[trial_id][step] = _NOT_FINITE.get(kind, value)
    params: _Pairs = defaultdict(dict)
    spaces: _Pairs = defaultdict(dict)
    distribution = cache(json_to_distribution)
    for trial_id, name, value, text in rows("trial_params", "param_name", "param_value", "distribution_json"):
        space: BaseDistribution = distribution(text)
        spaces[trial_id][name] = space
        params[trial_id][name] = space.to_external_repr(value)
    user, system = (
        _attributes(rows(f"trial_{kind}_attributes", "key", "value_json", by="key"))
        for kind in ("user", "system")
    )
    return [
        FrozenTrial(
            trial_id=row.trial_id,
            number=row.number,
            state=TrialState[row.state],
            value=None,
            values=[value for _, value in sorted(values[row.trial_id].items())] or None,
            datetime_start=_local(row.datetime_start),
            datetime_complete=_local(row.datetime_complete),
            params=params[row.trial_id],
            distributions=spaces[row.trial_id],
            user_attrs=user[row.trial_id],
            system_attrs=system[row.trial_id],
            intermediate_values=reports[row.trial_id],
        )
        for row in found
    ]


def _attributes(rows: Iterator[Any]) -> _Pairs:
    found: _Pairs = defaultdict(dict)
    for trial_id, key, text in rows:
        found[trial_id][key] = json.loads(text)
    return found


def _local(utc: datetime | None) -> datetime | None:
    """Optuna keeps times in UTC without saying so, and hands them out in local time."""
    return None if utc is None else utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
