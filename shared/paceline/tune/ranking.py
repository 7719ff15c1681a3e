"""Which trials of a study count, and which are ahead."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from paceline.tune import plan, storage


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the study's finished trials, without those that another has taken the place of."""
    return [trial for trial in begun(study) if trial.state.is_finished()]


def begun(study: optuna.Study) -> list[FrozenTrial]:
    """Return the study's trials that are under way or finished, of all processes; those that count, see `finished`."""
    trials = study.get_trials(deepcopy=False)
    replaced = storage.requeued(trials)
    return [
        trial
        for trial in trials
        if trial.state != TrialState.WAITING
        and trial.number not in replaced
        and plan.facts(trial).get("ended") != plan.NOT_BEGUN
    ]


def best(trials: Sequence[FrozenTrial], *, larger_is_better: bool) -> FrozenTrial | None:
    """Return the best complete trial that keeps all limits; where none does, the one that exceeds them least."""
    return next(iter(ordered(trials, larger_is_better=larger_is_better)), None)


def ordered(trials: Sequence[FrozenTrial], *, larger_is_better: bool) -> list[FrozenTrial]:
    """Return the complete trials, the best first; those that exceed their limits last."""
    sign = 1 if larger_is_better else -1
    return sorted(plan.complete(trials), key=lambda trial: (excess(trial), -sign * trial.values[0], trial.number))


def excess(trial: FrozenTrial) -> float:
    """Return by how much a trial exceeds its limits, all together; 0 where it keeps them."""
    return sum(max(0.0, value) for value in trial.constraints.values())


def front(complete: Sequence[FrozenTrial], *, larger_is_better: bool) -> list[FrozenTrial]:
    """Return the trials that none is both better and quicker than, the quickest first."""
    sign = 1 if larger_is_better else -1
    found: list[FrozenTrial] = []
    for trial in sorted(complete, key=lambda trial: (plan.facts(trial)["seconds"], -sign * trial.values[0])):
        if not found or sign * trial.values[0] > sign * found[-1].values[0]:
            found.append(trial)
    return found
