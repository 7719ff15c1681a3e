"""A search's charts: the course of it, what mattered, parameters beside values, quality against time."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial

from paceline.report import figure
from paceline.report import format as fmt
from paceline.tune import plan, ranking
from paceline.tune.space import Space, height

MOST_DRAWN = 24  # trials in the parallel coordinates, of each kind
FEWEST_FOR_IMPORTANCE = 6


def draw(
    study: optuna.Study,
    trials: Sequence[FrozenTrial],
    parameters: Space,
    comparison: dict[str, Any],
    *,
    score: str,
    larger_is_better: bool,
) -> list[dict[str, Any]]:
    """Return the charts of finished `trials`; those without anything to show are left out."""
    complete = plan.complete(trials)
    if not complete:
        return []
    name = fmt.label(score)
    charts = [_history(complete, name, larger_is_better)]
    if comparison:
        charts.append(_comparison(comparison, name))
    if shares := importance(study, complete):
        charts.append(
            figure.bar(
                "What mattered",
                [figure.series("share", list(shares), list(shares.values()))],
                x_label="parameter",
                y_label=f"share of what the {name} depends on",
                caption="PED-ANOVA (Watanabe et al. 2023) on the complete trials; rough with fewer than about 30.",
            )
        )
    if len(complete) > 2 and len(parameters) > 1:
        charts.append(_parallel(complete, parameters, name, larger_is_better))
    charts.append(_front(complete, name, larger_is_better))
    return charts


def importance(study: optuna.Study, complete: Sequence[FrozenTrial]) -> dict[str, float]:
    """Return each parameter's share of what the first objective depends on; empty with too few trials."""
    if len(complete) < FEWEST_FOR_IMPORTANCE:
        return {}
    several = len(study.directions) > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a parameter never varied
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            found = optuna.importance.get_param_importances(
                study, target=(lambda trial: trial.values[0]) if several else None
            )
        except (RuntimeError, ValueError):  # nothing varied, or all values are the same
            return {}
    return {name: float(share) for name, share in found.items() if share == share}


def _history(complete: Sequence[FrozenTrial], name: str, larger_is_better: bool) -> dict[str, Any]:
    ordered = sorted(complete, key=lambda trial: trial.number)
    numbers, values = [trial.number for trial in ordered], [trial.values[0] for trial in ordered]
    choose = max if larger_is_better else min
    best = [choose(values[: place + 1]) for place in range(len(values))]
    return figure.line(
        "How the search went",
        [figure.series("best so far", numbers, best), figure.series("trial", numbers, values)],
        x_label="trial",
        y_label=f"{name}, judged without the test",
        caption="Complete trials; pruned ones have no value. Trial 0 is the settings that the search began from.",
        lines=[{"name": "began from", "y": values[0]}] if numbers[0] == 0 else [],
    )


def _comparison(comparison: dict[str, Any], name: str) -> dict[str, Any]:
    names = [key for key in comparison if key not in ("difference", "seeds")]
    found = [comparison[key] for key in names]
    ends = [[row[end] if row[end] is not None else row["value"] for row in found] for end in ("low", "high")]
    return figure.interval(
        "Was it worth it?",
        [figure.series("further seeds", names, [row["value"] for row in found], *ends)],
        x_label=f"mean {name} over {comparison['seeds']} further seeds, with its 95 % interval",
        y_label="",
        caption="The same seeds and folds for both; the seed that chose the best settings is not among them.",
    )


def _parallel(complete: Sequence[FrozenTrial], parameters: Space, name: str, larger_is_better: bool) -> dict[str, Any]:
    """Parallel coordinates as two curves, each of many trials: forth along one trial, back along the next."""
    ranked = sorted(complete, key=lambda trial: -trial.values[0] if larger_is_better else trial.values[0])
    tenth = max(1, min(MOST_DRAWN, len(ranked) // 5))
    values = [trial.values[0] for trial in ranked]
    low, high = min(values), max(values)

    def heights(trial: FrozenTrial) -> list[float]:
        own = [height(parameters[key], trial.params[key]) for key in parameters]
        return [*own, (trial.values[0] - low) / (high - low) if high > low else 0.5]

    def snake(trials: Sequence[FrozenTrial]) -> tuple[list[int], list[float]]:
        xs: list[int] = []
        ys: list[float] = []
        for place, trial in enumerate(trials):
            path = list(enumerate(heights(trial), start=1))
            for x, y in path if place % 2 == 0 else reversed(path):
                xs.append(x)
                ys.append(y)
        return xs, ys

    drawn = [("the others", ranked[tenth:][:MOST_DRAWN]), (f"the best {tenth}", ranked[:tenth])]
    keys = [key.rpartition(".")[2] for key in parameters]
    axes = "; ".join(f"{place} {fmt.label(key)}" for place, key in enumerate([*keys, name], start=1))
    return figure.line(
        "Settings beside their value",
        [figure.series(label, *snake(trials)) for label, trials in drawn if trials],
        x_label="axis",
        y_label="",
        caption="A line goes through one trial's settings, from the lowest (0) to the highest (1) of each range. "
        f"Axes: {axes}.",
        lines=[{"name": str(place), "x": place} for place in range(1, len(parameters) + 2)],
    )


def _front(complete: Sequence[FrozenTrial], name: str, larger_is_better: bool) -> dict[str, Any]:
    seconds = [float(plan.facts(trial)["seconds"]) for trial in complete]
    values = [trial.values[0] for trial in complete]
    best = ranking.front(complete, larger_is_better=larger_is_better)
    edge = [float(plan.facts(trial)["seconds"]) for trial in best], [trial.values[0] for trial in best]
    return figure.interval(
        "Quality against training time",
        [
            figure.series("trials", seconds, values, values, values),
            figure.series("Pareto front", *edge, edge[1], edge[1]),
        ],
        x_label="seconds of the trial",
        y_label=name,
        caption="On the front no other trial is both better and quicker.",
    )
