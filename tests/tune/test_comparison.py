"""The best settings beside the first, by further seeds: same seeds for both, intervals, and a sentence."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from paceline.tune import comparison


def compared(quadratic: ModuleType, *, repeats: int = 3, time_for: Any = lambda seconds: True) -> dict[str, Any]:
    """Return the comparison of a rate of 0.1 with one of 0.5; the task adds a thousandth of the seed to both."""
    settings = {
        name: quadratic.Config(train=quadratic.Train(rate=rate)) for name, rate in (("best", 0.1), ("before", 0.5))
    }
    return comparison.repeat(
        quadratic.TASK, settings, "prepared", repeats=repeats, time_for=time_for, read=quadratic.time
    )


def test_both_have_the_same_further_seeds(quadratic: ModuleType) -> None:
    """The seed that chose the best is not among them; what the seed adds falls out of the difference."""
    found = compared(quadratic)
    assert 3 == found["seeds"]
    assert [0.9 + 0.001 * seed for seed in (1, 2, 3)] == pytest.approx(found["best"]["values"])
    assert pytest.approx(0.4) == found["difference"]["value"]
    assert found["best"]["low"] < found["best"]["value"] < found["best"]["high"]
    assert pytest.approx(4.302653 * 0.001 / 3**0.5) == found["best"]["high"] - found["best"]["value"]


def test_fewer_seeds_where_time_is_short(quadratic: ModuleType) -> None:
    """Asked before each round with what the last one took: none, or one, which shows no interval."""
    asked: list[float] = []

    def once(seconds: float) -> bool:
        asked.append(seconds)
        return len(asked) == 1

    found = compared(quadratic, time_for=once)
    assert (1, None) == (found["seeds"], found["difference"]["low"])
    assert [0.0, 2 * 2 * 10.0] == asked
    assert {} == compared(quadratic, time_for=lambda seconds: False)
    assert {} == compared(quadratic, repeats=0)


def test_a_seed_that_time_runs_out_for_does_not_count(quadratic: ModuleType) -> None:
    """It is ended within: what both went through before is compared."""
    settings = {name: quadratic.Config(train=quadratic.Train(rate=rate)) for name, rate in (("a", 0.1), ("b", 0.5))}
    quadratic.time.reading = 0.0
    found = comparison.repeat(
        quadratic.TASK,
        settings,
        "prepared",
        repeats=3,
        time_for=lambda seconds: True,
        overdue=lambda seconds: "no time left" if quadratic.time.reading >= 55 else "",
        read=quadratic.time,
    )
    assert 1 == found["seeds"]
    assert 55 == quadratic.time.reading


@pytest.mark.parametrize(
    ("expected", "low", "high", "larger_is_better"),
    [
        ("better than the settings it began from.", 0.01, 0.03, True),
        ("worse than the settings it began from.", 0.01, 0.03, False),
        ("no difference is shown.", -0.01, 0.05, True),
        ("one seed shows no interval.", None, None, True),
    ],
)
def test_the_sentence_says_what_is_shown(expected: str, low: Any, high: Any, larger_is_better: bool) -> None:
    """Better or worse only where the interval says so."""
    found = {"difference": {"value": 0.02, "low": low, "high": high}, "seeds": 1 if low is None else 3}
    sentence = comparison.verdict("average precision", found, larger_is_better=larger_is_better)
    assert sentence.startswith(f"On {found['seeds']} further seed")
    assert sentence.endswith(expected)
    assert "average precision by +0.0200" in sentence
    assert "not compared" in comparison.verdict("average precision", {}, larger_is_better=True)
