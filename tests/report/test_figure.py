"""Figures are checked when they are made, so that a mistake shows where it is made and not in the report."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from paceline.report import figure

GOOD = {"title": "T", "kind": "line", "x_label": "x", "y_label": "y", "series": [{"name": "s", "x": [1], "y": [2]}]}


def test_constructors_give_plain_json() -> None:
    """NumPy arrays and NaN become JSON types."""
    curve = figure.series("s", np.array([1, 2]), np.array([0.5, np.nan]))
    spec = figure.line("T", [curve], x_label="x", y_label="y", lines=[{"name": "l", "y": np.float64(1)}])
    assert json.loads(json.dumps(spec))["series"][0]["y"] == [0.5, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": ""}, "needs a title"),
        ({"kind": "pie"}, "'pie'"),
        ({"series": []}, "no series"),
        ({"series": [{"name": "s", "x": [1]}]}, "name, x and y"),
        ({"series": [{"name": "s", "x": [1], "y": [1, 2]}]}, "lengths"),
        ({"series": [{"name": "s", "x": ["a"], "y": [1]}]}, "text in x"),
        ({"series": [{"name": "s", "x": [1], "y": ["<b>"]}]}, "text in y"),
        ({"kind": "interval"}, "low and high"),
        ({"kind": "bar", "series": [{"name": "s", "x": list(range(99)), "y": [0] * 99}]}, "99 rows"),
        ({"x_scale": "cubic"}, "cubic"),
        ({"lines": [{"name": "l"}]}, "a line needs"),
        ({"points": [{"name": "p", "x": 1}]}, "a point needs"),
        ({"lines": [{"name": "l", "from": [0], "to": [1, 1]}]}, "a line needs"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], message: str) -> None:
    """Each kind of mistake is refused with what is wrong."""
    with pytest.raises(ValueError, match=message):
        figure.check(GOOD | change)
