"""What a run must not pass over in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fraud_detection import doubts
from fraud_detection.decisions import Decision
from fraud_detection.examples import Examples
from fraud_detection.linear import Linear
from paceline import calibrate

MODEL = Linear(np.zeros(1), np.ones(1), np.ones(1), 0.0)


def scores(*, value: float = 0.6, floor: float = 0.5, savings: float = 0.3) -> dict[str, Any]:
    """Return the scores that doubts look at."""
    return {"average_precision": {"value": value, "floor": {"value": floor}}, "savings": {"value": savings}}


def with_frauds(examples: Examples, count: int) -> Examples:
    """Return the examples with so many frauds."""
    y = np.zeros(len(examples.y), dtype=np.int8)
    y[:count] = 1
    return replace(examples, y=y)


def about(examples: Examples, *, frauds: int = 60, threshold: float = 0.5, alerts: int = 5, **how: float) -> list[str]:
    """Return the doubts about a run with so many frauds and alerts."""
    part = with_frauds(examples, frauds)
    probabilities = np.zeros(len(part.y))
    probabilities[:alerts] = 1.0
    decision = Decision(calibrate.Sigmoid(1.0, 0.0), "cost", threshold)
    return doubts.about(decision, MODEL, part, part, probabilities, scores(**how))


def test_a_sound_run_raises_no_doubt(examples: Examples) -> None:
    """Enough frauds, some alerts, better than the floor, money saved."""
    assert [] == about(examples)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"threshold": 1.5}, "alerts on no transaction of the test days: alerting on nothing was cheapest"),
        ({"alerts": 0}, "alerts on no transaction of the test days: none reaches it"),
        ({"alerts": 100}, "alerts on "),
        ({"value": 0.4}, "below that of logistic regression"),
        ({"savings": -0.2}, "The alerts cost more than they save: savings of -20% of the fraud amount"),
    ],
)
def test_a_doubtful_run_says_so(examples: Examples, how: dict[str, float], expected: str) -> None:
    """Each doubt is one sentence with its figure."""
    (sentence,) = about(examples, **how)  # type: ignore[arg-type] # counts are whole numbers in the table above
    assert expected in sentence


def test_few_frauds_are_told_for_each_window(examples: Examples) -> None:
    """Under fifty the figures are left to chance."""
    assert [f"The {name} days hold 3 frauds: the figures are left to chance." for name in ("validation", "test")] == (
        about(examples, frauds=3)
    )
