"""Runs side by side: time to the same quality, and which runs are worth their time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from paceline.report import comparison

Record = Callable[..., dict[str, Any]]


def history(
    values: Sequence[float], seconds: Sequence[float], monitor: str = "validation_auc", mode: str = "max"
) -> Any:
    """Return a history that watched `monitor`, its steps ended after `seconds`."""
    rows = [
        {"step": step, "elapsed_seconds": second, monitor: value}
        for step, (value, second) in enumerate(zip(values, seconds, strict=True), start=1)
    ]
    return {"monitor": monitor, "mode": mode, "rows": rows}


def scored(bare_record: Record, seconds: float, value: float) -> dict[str, Any]:
    """Return the record of a run of this wall time and leading score."""
    return bare_record(wall_seconds=seconds, scores={"auc": {"value": value, "low": value - 0.1, "high": value + 0.1}})


def test_time_to_the_quality_that_all_reached(bare_record: Record) -> None:
    """The target is the lesser run's best score; each run counts from its start to the first step at least as good."""
    one = bare_record(history=history([0.5, 0.8, 0.9], [2, 4, 6]))
    two = bare_record(history=history([0.6, 0.7, 0.8], [10, 20, 30]))
    found = comparison.time_to_quality([one, two])
    assert found
    assert (0.8, [4, 30]) == (found["target"], found["seconds"])
    assert found["sentence"].startswith("All reached a validation AUC of 0.800; A was there first, after 4.0 s")


def test_a_loss_is_better_when_it_is_smaller(bare_record: Record) -> None:
    """The run's own mode says which way is better."""
    one = bare_record(history=history([3.0, 1.0], [1, 2], "validation_loss", "min"))
    two = bare_record(history=history([2.0, 0.5], [1, 2], "validation_loss", "min"))
    found = comparison.time_to_quality([one, two])
    assert found
    assert (1.0, [2, 2]) == (found["target"], found["seconds"])
    assert found["sentence"].endswith("all after about the same time.")


def test_earlier_sessions_count(bare_record: Record) -> None:
    """A resumed run's clock starts anew; the time before is added."""
    resumed = bare_record(history=history([0.5, 0.6, 0.7], [5, 9, 3]), earlier_sessions=[{"wall_seconds": 10.0}])
    found = comparison.time_to_quality([resumed, bare_record(history=history([0.7], [1]))])
    assert found
    assert [13.0, 1] == found["seconds"]


@pytest.mark.parametrize("other", [{}, history([1.0], [1], "validation_loss", "min"), history([], [])])
def test_runs_that_watched_different_scores_are_not_compared(bare_record: Record, other: dict[str, Any]) -> None:
    """No figure is better than one of two different things."""
    assert comparison.time_to_quality([bare_record(history=history([0.5], [1])), bare_record(history=other)]) is None


def test_the_front_holds_the_runs_that_no_other_beats(bare_record: Record) -> None:
    """A slower run has to be better, a worse one faster; a run without the score is not on it."""
    runs = [scored(bare_record, *place) for place in [(10, 0.7), (20, 0.9), (30, 0.8), (20, 0.6)]]
    assert [True, True, False, False, False] == comparison.front([*runs, bare_record()])
    assert [True, True] == comparison.front([runs[0], runs[0]])


def test_charts_name_the_runs_by_letters(bare_record: Record) -> None:
    """Quality against time, the front in the caption; the watched score over time beside it."""
    runs = [scored(bare_record, 10, 0.7), bare_record(), scored(bare_record, 20, 0.9)]
    runs = [run | {"history": history([0.5, 0.6], [1, 2])} for run in runs]
    quality, course = comparison.charts(runs)
    assert ["A", "C"] == [point["name"] for point in quality["points"]]
    assert "A and C" in quality["caption"]
    assert ["A", "B", "C"] == [series["name"] for series in course["series"]]
    assert [] == comparison.charts([])
    assert [] == comparison.charts(runs[:1])


def test_letters_go_on_past_z() -> None:
    """Every run has a name of its own."""
    assert 60 == len(set(comparison.letters(60)))
    assert "A1" == comparison.letters(27)[26]
