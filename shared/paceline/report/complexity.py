"""Complexity against time over several runs: parameters and operations of networks, trees and their depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from paceline.report import figure
from paceline.report import format as fmt

MOST_RUNS = 24  # in a chart; the names of more cover each other

Figures = Mapping[str, Any]  # of a training, see `throughput.facts`
Pair = tuple[float, float]


def charts(names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what training on one example took against the size of what was trained, where two runs differ in it.

    Of each run its longest training counts.

    Args:
        names: a short one for each run.
        records: as `sections.prepare` gives them.
    """
    found = [(name, training) for name, record in zip(names, records, strict=True) if (training := _longest(record))]
    return [
        drawn
        for title, label, pair in (
            ("Time against parameters", "parameters", _parameters),
            ("Time against operations", "operations of training on an example, MFLOP", _operations),
            ("Time against trees", "trees × their most depth", _trees),
        )
        if (drawn := _chart(title, label, pair, found))
    ]


def _chart(
    title: str, label: str, pair: Callable[[Figures], Pair | None], found: Sequence[tuple[str, Figures]]
) -> dict[str, Any] | None:
    places = [(name, known) for name, training in found if (known := pair(training))]
    shown = places[:MOST_RUNS]
    x, y = [x for _, (x, _) in shown], [y for _, (_, y) in shown]
    if len(set(x)) < 2:
        return None
    (small, least), (large, most) = min(zip(x, y, strict=True)), max(zip(x, y, strict=True))
    caption = f"At {fmt.number(large / small)} times the size an example took {fmt.number(most / least)} times as long."
    caption += "" if len(shown) == len(places) else f" {MOST_RUNS} of {len(places)} runs."
    spec = figure.interval(
        title,
        [figure.series("runs", x, y, y, y)],
        x_label=label,
        y_label="milliseconds an example",
        caption=caption,
        x_scale="log",
        y_scale="log",
    )
    return spec | {"points": [{"name": name, "x": x, "y": y} for name, (x, y) in shown]}


def _longest(record: Mapping[str, Any]) -> Figures | None:
    trainings = [each for each in (record.get("training") or {}).values() if isinstance(each, Mapping)]
    known = [each for each in trainings if _positive(each, "steps") and _positive(each, "examples_per_second")]
    return max(known, key=lambda each: _examples(each) * each["steps"] / each["examples_per_second"], default=None)


def _examples(training: Figures) -> float:
    """Return the rows of a step, or of a round."""
    if rows := _positive(training, "rows"):
        return rows
    return (_positive(training, "batch_size") or 1.0) / (_positive(training, "micro_batches") or 1.0)


def _parameters(training: Figures) -> Pair | None:
    parameters = _positive(training, "parameters")
    return (parameters, 1000 / training["examples_per_second"]) if parameters else None


def _operations(training: Figures) -> Pair | None:
    flops = _positive(training, "flops_per_step")
    return (1e-6 * flops / _examples(training), 1000 / training["examples_per_second"]) if flops else None


def _trees(training: Figures) -> Pair | None:
    depth = _positive(training, "max_depth")
    if not depth or not _positive(training, "rows"):
        return None
    return training["steps"] * depth, 1000 * training["steps"] / training["examples_per_second"]


def _positive(training: Figures, name: str) -> float:
    value = training.get(name)
    return float(value) if fmt.is_number(value) and value > 0 else 0.0
