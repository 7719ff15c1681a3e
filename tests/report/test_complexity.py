"""Complexity against time over several runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from paceline import report
from paceline.report import complexity, sections

Record = Callable[..., dict[str, Any]]


def network(bare_record: Record, parameters: int, rate: float, flops: float | None = 6.4e7) -> dict[str, Any]:
    """Return the record of a network of this size that was trained at `rate` examples a second."""
    facts = {"steps": 100, "batch_size": 32, "micro_batches": 1, "parameters": parameters}
    short = facts | {"steps": 1, "examples_per_second": 1e6, "flops_per_step": 1e3}
    training = {"head": short, "fit": facts | {"examples_per_second": rate, "flops_per_step": flops}}
    return sections.prepare(bare_record(training=training))


def trees(bare_record: Record, rounds: int, depth: int | None, rate: float = 1e6) -> dict[str, Any]:
    """Return the record of trees that were boosted at `rate` rows a second in each round."""
    facts = {"steps": rounds, "rows": 1000, "features": 8, "max_depth": depth, "examples_per_second": rate}
    return sections.prepare(bare_record(training={"fit": facts}))


def test_networks_are_drawn_by_parameters_and_by_operations(bare_record: Record) -> None:
    """Milliseconds an example of the longest training; operations only where runs differ in them and they are known."""
    runs = [network(bare_record, 1000, 500.0), network(bare_record, 4000, 250.0, 1.28e8), trees(bare_record, 9, 3)]
    parameters, operations = complexity.charts(["A", "B", "C"], runs)
    assert ([1000, 4000], [2.0, 4.0]) == tuple(parameters["series"][0][axis] for axis in "xy")
    assert ["A", "B"] == [point["name"] for point in parameters["points"]]
    assert "At 4.00 times the size an example took 2.00 times as long." in parameters["caption"]
    assert [2.0, 4.0] == operations["series"][0]["x"]
    assert ["Time against parameters"] == [
        chart["title"] for chart in complexity.charts(["A", "B"], [runs[0], network(bare_record, 4000, 250.0, None)])
    ]


def test_boosting_is_drawn_by_trees_and_their_depth(bare_record: Record) -> None:
    """100 trees of depth 3 against 200 of depth 6; trees without a bound have no place."""
    runs = [trees(bare_record, 100, 3), trees(bare_record, 200, 6, 5e5), trees(bare_record, 50, None)]
    (chart,) = complexity.charts(["A", "B", "C"], runs)
    assert ([300, 1200], [0.1, 0.4]) == tuple(chart["series"][0][axis] for axis in "xy")


def test_runs_of_one_size_say_nothing(bare_record: Record) -> None:
    """No chart that would show a single upright line, and none of runs without figures."""
    assert [] == complexity.charts(["A", "B"], [network(bare_record, 1000, 500.0), network(bare_record, 1000, 400.0)])
    assert [] == complexity.charts(
        ["A", "B"], [sections.prepare(bare_record(training={"fit": odd})) for odd in (3, {})]
    )


def test_the_comparison_and_the_index_show_it_with_a_text(bare_record: Record) -> None:
    """Each chart says what it shows to those who do not see it; the index names runs as the chart does."""
    runs = [network(bare_record, 1000, 500.0) | {"run": "small"}, network(bare_record, 4000, 250.0) | {"run": "large"}]
    for page in (report.compare(runs), report.index(runs)):
        assert "Time against parameters" in page
        assert re.search(r"<desc[^>]*>[^<]*milliseconds an example", page)
        assert re.search(r"[AB]: small", page)
    assert ">small</a>" in report.index(runs[:1])
