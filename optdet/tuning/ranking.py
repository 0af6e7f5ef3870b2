"""The order of a study's complete trials. Apart from what is kept of them, so that looking loads little."""

from __future__ import annotations

from collections import Counter

from optuna.trial import FrozenTrial, TrialState

from optdet.tuning.fold_members import FOLD, varies_fold
from optdet.tuning.study import OpenStudy


def best_trials(study: OpenStudy, n_trials: int) -> list[FrozenTrial]:
    """Complete trials, best value first, the earlier of equals first.

    Where folds are varied the best of each comes first, then the second ones: values of different folds
    cannot be compared.
    """
    return ranked_trials(study)[:n_trials]


def ranked_trials(study: OpenStudy) -> list[FrozenTrial]:
    """All of them, in the order of :func:`best_trials`."""
    complete = study.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    ranked = sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))
    if not varies_fold(study):
        return ranked
    n_better: Counter[int] = Counter()  # by fold
    place = {}
    for trial in ranked:
        place[trial.number] = n_better[trial.params[FOLD]]
        n_better[trial.params[FOLD]] += 1
    return sorted(ranked, key=lambda trial: (place[trial.number], trial.number))
