"""What settings will take, by the trials that are most like them in what their time depends on.

A larger model takes longer, another learning rate does not. Which parameters matter is seen from the trials: each
weighs as much as of the differences between their times goes with it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from paceline.tune import plan
from paceline.tune.space import Space, height

FEWEST = 8  # trials with a time, before anything is said
NEAREST = 3  # of which the longest is taken: what is begun is to end


def seconds(trials: Sequence[FrozenTrial], settings: Mapping[str, Any], parameters: Space) -> float | None:
    """Return the seconds of the longest of the three trials most like `settings`; None before eight are known.

    Args:
        trials: finished ones; the complete count, and those that were ended for the time they would have taken.
        settings: a value for each parameter.
        parameters: what varies.
    """
    known = [(trial.params, took) for trial, took in plan.times(trials) if trial.params.keys() >= parameters.keys()]
    if len(known) < FEWEST:
        return None
    logs = [math.log(max(took, 1e-3)) for _, took in known]
    weights = {
        key: _linked(range_of, [params[key] for params, _ in known], logs) for key, range_of in parameters.items()
    }

    def apart(params: Mapping[str, Any]) -> float:
        return sum(weights[key] * _apart(range_of, settings[key], params[key]) for key, range_of in parameters.items())

    nearest = sorted(known, key=lambda each: apart(each[0]))[:NEAREST]
    return max(took for _, took in nearest)


def _apart(range_of: BaseDistribution, one: Any, other: Any) -> float:
    if isinstance(range_of, CategoricalDistribution):
        return float(one != other)
    return abs(height(range_of, one) - height(range_of, other))


def _linked(range_of: BaseDistribution, values: Sequence[Any], logs: Sequence[float]) -> float:
    """Return the share of the variance of `logs` that goes with `values`: between choices, or along a straight line."""
    mean = statistics.fmean(logs)
    whole = sum((each - mean) ** 2 for each in logs)
    if whole <= 0 or len(set(values)) < 2:
        return 0.0
    if not isinstance(range_of, CategoricalDistribution):
        heights = [height(range_of, value) for value in values]
        return statistics.correlation(heights, logs) ** 2
    between = 0.0
    for choice in set(values):
        own = [each for value, each in zip(values, logs, strict=True) if value == choice]
        between += len(own) * (statistics.fmean(own) - mean) ** 2
    return between / whole
