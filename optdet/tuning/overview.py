"""All studies of a database, a row each; imports neither torch nor images, since people look often."""

from __future__ import annotations

from typing import Any

from optdet.store.study_index import best_values
from optdet.tuning import attributes as attr
from optdet.tuning.fold_members import has_no_best
from optdet.tuning.study import Database, all_studies, n_wanted, outer_studies


def study_rows(database: Database, *, with_inner: bool = False) -> list[dict[str, Any]]:
    """A row a study, oldest first: name, trials by state, how many it wants, its best value."""
    rows = all_studies(database) if with_inner else outer_studies(database)
    best = best_values(database.storage)
    return [
        {
            "study": row.name,
            "finished": row.n_finished,
            "trials": n_wanted(row),
            "complete": row.n_trials.get("COMPLETE", 0),
            "pruned": row.n_trials.get("PRUNED", 0),
            "failed": row.n_trials.get("FAIL", 0),
            "running": row.n_trials.get("RUNNING", 0),
            "waiting": row.n_trials.get("WAITING", 0),
            "best": None if has_no_best(row.attributes.get(attr.DEFINITION)) else best.get(row.study_id),
        }
        for row in rows
    ]
