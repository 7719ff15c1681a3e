"""What more data brings, in words, in a table and in charts."""

from __future__ import annotations

from typing import Any

import pytest

from paceline.report import data_sizes, render


def found(changes: list[float], *, larger_is_better: bool = True) -> dict[str, Any]:
    """Return a measurement of half the data and all, whose score changes so, seed by seed."""
    half = {"share": 0.5, "examples": 50, "scores": [0.7] * len(changes), "seconds": [2.0] * len(changes)}
    scores = [0.7 + change for change in changes]
    whole = {"share": 1.0, "examples": 100, "scores": scores, "seconds": [3.0] * len(changes)}
    return {"sizes": [half, whole], "score": "mean_iou", "larger_is_better": larger_is_better}


@pytest.mark.parametrize(
    ("ending", "changes", "larger_is_better"),
    [
        ("more data like these would probably help.", [0.02, 0.03, 0.01], True),
        ("more data like these may not help.", [0.02, -0.03, 0.01], True),
        ("more data like these would probably help.", [-0.02, -0.03, -0.01], False),
        ("more data like these may not help.", [0.02, 0.03, 0.01], False),
        ("1 seed says little of whether that is chance.", [0.02], True),
        ("2 seeds say little of whether that is chance.", [0.02, 0.01], True),
    ],
)
def test_the_last_doubling_is_what_is_said(ending: str, changes: list[float], larger_is_better: bool) -> None:
    """Better with every seed or not, and nothing of one or two."""
    text = data_sizes.verdict(found(changes, larger_is_better=larger_is_better))
    assert text.startswith(f"From 50 % of the data to 100 % the mean IoU changed by {sum(changes) / len(changes):+.3f}")
    assert "took 1.5 times as long." in text
    assert text.endswith(ending)


def test_a_report_shows_it_with_charts(record: dict[str, Any]) -> None:
    """A section of its own; what somebody edited costs no report."""
    page = render({**record, "data_sizes": found([0.02, 0.03, 0.01])})
    assert "What more data brings" in page
    assert "0.720 (0.710 to 0.730)" in page
    assert "What more data brings" not in render(record)
    assert "What more data brings" not in render({**record, "data_sizes": {"sizes": [{"share": "x"}]}})
