"""What suits the trials that fit: a sampler, a pruner, the rungs at which trials are compared, and what time is left.

Pure functions of finished trials. The seconds are predicted from the trials themselves, all of this project on this
machine.
"""

from __future__ import annotations

import importlib.util
import math
import statistics
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from paceline.errors import PacelineError

PRUNED = "pruned"  # how a trial ended that the others were ahead of
PRUNER = "pruner"  # the attribute of a study that names it
DEADLINE = "no time left"  # how one ended that time ran out for
# How one ended that would not have ended in time, or that another process was ahead of with the last asked for.
NOT_BEGUN = "not begun"
NOTHING = {"seconds": 0.0, "steps": 0, "ended": NOT_BEGUN}  # the facts of such a trial

MEDIAN_TRIALS, HALVING_TRIALS, HYPERBAND_TRIALS = 8, 40, 150  # from so many trials on
REDUCTION = 3  # of successive halving: a third goes on at each rung
RUNG_SPACING = 1.3  # steps 10, 13, 17, ...: each report is a transaction, and 600 of them would outlast a trial
WARM_UP_SHARE = 0.05  # of the steps, in which slow learning rates are not judged


def sampler(name: str, *, seed: int, trials: int | None, objectives: int) -> optuna.samplers.BaseSampler:
    """Return the sampler called `name`; a grid is queued beforehand, and what is not queued sampled at random.

    Args:
        name: `tpe`, `random`, `grid`, `gp`, `cmaes` or `qmc`.
        seed: another one for each worker and each session, or they would repeat each other.
        trials: that will fit; None where that is not known.
        objectives: 1 or more.

    Raises:
        PacelineError: it wants a package that is not installed, or cannot have several objectives.
    """
    wanted = {"gp": "torch", "cmaes": "cmaes"}.get(name)
    if wanted is not None and importlib.util.find_spec(wanted) is None:
        raise PacelineError(
            f"tune.sampler is '{name}', but '{wanted}' is not installed.",
            f"Install it (pip install {wanted}), or take 'tpe'.",
        )
    if name == "cmaes" and objectives > 1:
        raise PacelineError("tune.sampler 'cmaes' has one objective only.", "Take 'tpe', or tune.objectives 'quality'.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if name == "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup_trials(trials), multivariate=True)
        if name == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup_trials(trials))
        if name == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if name == "qmc":
            return optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
        return optuna.samplers.RandomSampler(seed=seed)


def startup_trials(trials: int | None) -> int:
    """Return how many trials are random before a model of the earlier ones chooses: a quarter, 4 to 10."""
    return 10 if trials is None else min(10, max(4, trials // 4))


def pruner_name(asked: str, trials: int | None) -> str:
    """Return the pruner for so many trials: the more there are, the harsher it may be.

    >>> [pruner_name("auto", trials) for trials in (None, 5, 20, 80, 400)]
    ['none', 'none', 'median', 'halving', 'hyperband']
    """
    if asked != "auto":
        return asked
    if trials is None or trials < MEDIAN_TRIALS:
        return "none"
    if trials < HALVING_TRIALS:
        return "median"
    return "halving" if trials < HYPERBAND_TRIALS else "hyperband"


def pruner(name: str, *, part_steps: int, parts: int = 1) -> optuna.pruners.BasePruner:
    """Return the pruner called `name` for trials of `parts` trainings of up to `part_steps` steps each.

    Trials are compared from the first rung of the first training on, and to the end of the last: that is what Hyperband
    divides into brackets, the first of which prunes from the first rung on, the last not at all.

    Sources: successive halving, Li et al. 2020 (asynchronous); Hyperband, Li et al. 2018; the median rule, Golovin et
    al. 2017.
    """
    first = first_rung(part_steps)
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=first)
    if name == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=REDUCTION)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=first, max_resource=max(first, parts * part_steps), reduction_factor=REDUCTION
        )
    return optuna.pruners.NopPruner()


def first_rung(most_steps: int) -> int:
    """Return the step from which on trials are compared."""
    return max(1, math.ceil(WARM_UP_SHARE * most_steps))


def rungs(most_steps: int) -> list[int]:
    """Return the steps at which a trial is compared with the others, ever further apart; the same for all trials.

    >>> rungs(100), rungs(5)
    ([5, 7, 10, 13, 17, 23, 30, 39, 51, 67, 88], [1, 2, 3, 4])
    """
    steps = [first_rung(most_steps)]
    while (following := max(steps[-1] + 1, math.ceil(RUNG_SPACING * steps[-1]))) <= most_steps:
        steps.append(following)
    return steps


def facts(trial: FrozenTrial) -> dict[str, Any]:
    """Return what a trial left: `seconds`, `steps`, `ended`; empty while it runs and after its worker was killed."""
    found: dict[str, Any] = trial.user_attrs.get("facts", {})
    return found


def complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that went to their own end."""
    return [trial for trial in trials if trial.state == TrialState.COMPLETE and facts(trial)]


def times(trials: Sequence[FrozenTrial]) -> list[tuple[FrozenTrial, float]]:
    """Return the trials whose whole time is known, with it; of those ended for it, what they would have taken."""
    ended = [trial for trial in trials if "projected_seconds" in facts(trial)]
    found = [(trial, float(facts(trial)["seconds"])) for trial in complete(trials)]
    return found + [(trial, float(facts(trial)["projected_seconds"])) for trial in ended]


def trial_seconds(trials: Sequence[FrozenTrial], *, hardly_less: bool = False) -> float | None:
    """Return what the next trial will hardly take longer than, or `hardly_less`, or None before one is complete.

    It is a quartile of the trials whose time is known, see `times`.
    """
    seconds = [took for _, took in times(trials)]
    if not complete(trials):
        return None
    quartile = 0 if hardly_less else 2
    return statistics.quantiles(seconds, n=4, method="inclusive")[quartile] if len(seconds) > 1 else seconds[0]


def steps_left(trials: Sequence[FrozenTrial], done: int, most: int) -> float:
    """Return how many steps a trial still has after `done` of `most`: as a rule, of the complete ones that went so far.

    Trainings stop early, so what is left is a share of the most that the complete ones had; 0 where none went so far,
    for then nothing is known.
    """
    known = [facts(trial) for trial in complete(trials)]
    ends = [found["steps"] / found["most_steps"] * most for found in known if found.get("most_steps")]
    further = [end - done for end in ends if end > done]
    return statistics.median(further) if further else 0.0


def mean_seconds(trials: Sequence[FrozenTrial]) -> float | None:
    """Return the mean of all finished trials, pruned ones with what they took, or None: what the next costs."""
    seconds = [float(facts(trial)["seconds"]) for trial in trials if trial.state.is_finished() and facts(trial)]
    return statistics.fmean(seconds) if seconds else None


def trials_that_fit(trials: Sequence[FrozenTrial], seconds_left: float | None, asked: int | None) -> int | None:
    """Return how many trials there will be in all: by number, by time, the smaller; None before the first is done."""
    mean = mean_seconds(trials)
    by_time = None
    if seconds_left is not None and mean:
        by_time = sum(trial.state.is_finished() for trial in trials) + max(0, int(seconds_left / mean))
    known = [count for count in (asked, by_time) if count is not None]
    if seconds_left is not None and by_time is None:
        return None
    return min(known) if known else None


def saved_seconds(trials: Sequence[FrozenTrial]) -> float:
    """Return what pruning saved: what complete trials took on average, less what the pruned ones took."""
    whole = [float(facts(trial)["seconds"]) for trial in complete(trials)]
    pruned = [float(facts(trial)["seconds"]) for trial in trials if facts(trial).get("ended") == PRUNED]
    return sum(max(0.0, statistics.fmean(whole) - seconds) for seconds in pruned) if whole else 0.0
