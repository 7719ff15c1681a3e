"""Was it worth it? The best settings beside those the search began from, by seeds that neither was chosen by.

The best of many trials looks better than it is: it was chosen for its value. So both are trained again with the same
further seeds on the same folds. What remains is that the folds themselves chose the settings; the test, which the final
run looks at once, is free of that.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import optuna
from pydantic import BaseModel

from paceline import clock, config
from paceline.tune.task import Task
from paceline.tune.trial import Trial

Config = TypeVar("Config", bound=BaseModel)
Prepared = TypeVar("Prepared")

LEVEL = 0.95


def repeat(
    task: Task[Config, Prepared],
    settings: dict[str, Config],
    prepared: Prepared,
    *,
    repeats: int,
    time_for: Callable[[float], bool],
    overdue: Callable[[float], str] = lambda seconds: "",
    read: Callable[[], float] = clock.now,
) -> dict[str, Any]:
    """Return the values of each of `settings` with the same further seeds, their means, and the mean difference.

    Args:
        task: the project's side.
        settings: two configurations, the one to be compared first.
        prepared: of `task.prepare`.
        repeats: seeds at most.
        time_for: whether there is time for so many seconds more; fewer seeds where there is not.
        overdue: given the seconds of the training under way, returns why it has to end, or an empty text; a seed that
            is not gone through by both does not count.
        read: the source of time.

    Returns:
        By name, and as `difference` (the first less the second, seed by seed): `value`, `low` and `high` of the 95 % t
        interval of the mean (None with fewer than two seeds), `values`; and `seeds`. Empty without any.
    """
    values: dict[str, list[float]] = {name: [] for name in settings}
    seconds = 0.0
    for seed in range(1, repeats + 1):
        began = read()
        if not time_for(seconds):
            break
        try:
            round_of = {name: _value(task, chosen, prepared, seed, overdue, read) for name, chosen in settings.items()}
        except optuna.TrialPruned:
            break
        for name, value in round_of.items():
            values[name].append(value)
        seconds = read() - began
    first, second = values.values()
    if not first:
        return {}
    differences = [a - b for a, b in zip(first, second, strict=True)]
    found = {name: _interval(got) for name, got in {**values, "difference": differences}.items()}
    return {**found, "seeds": len(first)}


def _value(
    task: Task[Config, Prepared],
    settings: Config,
    prepared: Prepared,
    seed: int,
    overdue: Callable[[float], str],
    read: Callable[[], float],
) -> float:
    began = read()
    train = settings.train  # type: ignore[attr-defined] # every project's configuration has it
    other = config.replace(settings, {"train.seed": train.seed + seed}, source="tune")
    with tempfile.TemporaryDirectory(prefix="tune-") as folder:
        trial = Trial(
            other,
            None,
            part_steps=task.part_steps(settings),
            monitor=task.monitor,
            larger_is_better=task.larger_is_better,
            ask=lambda place, score: "",
            overdue=lambda goes_on: overdue(read() - began),
            folder=Path(folder),
            clock=clock.Clock(read=read),
            tell=lambda step: None,
        )
        return task.objective(prepared, trial).value


def _interval(values: Sequence[float]) -> dict[str, Any]:
    from scipy.special import stdtrit  # with scikit-learn

    mean, low, high = statistics.fmean(values), None, None
    if len(values) > 1:
        half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * statistics.stdev(values) / math.sqrt(len(values))
        low, high = mean - half, mean + half
    return {"value": mean, "low": low, "high": high, "level": LEVEL, "values": list(values)}


def verdict(score: str, comparison: dict[str, Any], *, larger_is_better: bool) -> str:
    """Return whether the best settings are better than those the search began from, in a sentence."""
    if not comparison:
        return "The best settings were not compared with further seeds."
    difference = comparison["difference"]
    change = difference["value"] if larger_is_better else -difference["value"]
    seeds = comparison["seeds"]
    text = f"On {seeds} further seed{'s' * (seeds > 1)} the best settings change {score} by {difference['value']:+.4f}"
    if difference["low"] is None:
        return f"{text}; one seed shows no interval."
    text += f" (95 % interval {difference['low']:+.4f} to {difference['high']:+.4f})"
    shown = difference["low"] > 0 or difference["high"] < 0
    if not shown:
        return f"{text}: no difference is shown."
    return f"{text}: {'better' if change > 0 else 'worse'} than the settings it began from."
