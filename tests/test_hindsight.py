"""Predictions that are sealed, compared with what became of them, and corrected by that."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline import hindsight
from paceline.hindsight import LEVELS, Outcome

NORMAL = dict(zip(LEVELS, (-1.645, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.645), strict=True))


def levels(median: float, spread: float) -> dict[int, float]:
    """Return log-normal quantiles."""
    return {level: median * math.exp(spread * z) for level, z in NORMAL.items()}


def made(**parts: Any) -> dict[str, Any]:
    """Return a sealed prediction."""
    named = {f"p{level:02}_seconds": value for level, value in levels(60.0, 0.05).items()}
    return hindsight.seal({"kind": "wall", "of": "xgboost-cpu", **named, "computed": named, **parts})


def test_a_changed_prediction_does_not_count() -> None:
    """One second more in one place, and it is no longer the one that was made."""
    record = {"status": "done", "wall_seconds": 62.0, "predictions": [made()]}
    assert hindsight.outcome(record) is not None
    record["predictions"][0]["p50_seconds"] = 62.0
    assert hindsight.outcome(record) is None


@pytest.mark.parametrize(
    "other", [{"status": "stopped"}, {"earlier_sessions": [{}]}, {"budget": {"changed": True}}, {"predictions": []}]
)
def test_a_run_that_went_otherwise_does_not_count(other: dict[str, Any]) -> None:
    """Stopped, resumed, cut by a budget, not predicted: the outcome is of another run than was predicted."""
    record = {"status": "done", "wall_seconds": 62.0, "predictions": [made()], **other}
    assert hindsight.outcome(record) is None


def test_outcomes_are_read_from_the_runs_of_a_kind(tmp_path: Path) -> None:
    """Another kind, a damaged record and a folder without one are passed over."""
    for name, kind in (("a", "xgboost-cpu"), ("b", "keras-cpu")):
        (tmp_path / name).mkdir()
        record = {"status": "done", "wall_seconds": 66.0, "predictions": [made(of=kind)]}
        (tmp_path / name / "run.json").write_text(json.dumps(record))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "run.json").write_text("{")
    (tmp_path / "d").mkdir()
    found = hindsight.of_runs(tmp_path, "xgboost-cpu")
    assert [66.0] == [each.actual_seconds for each in found]
    assert 60 / 66 - 1 == pytest.approx(found[0].error)


@pytest.mark.parametrize(("bias", "noise"), [(1.0, 0.15), (1.2, 0.05), (0.9, 0.3)])
def test_corrected_intervals_cover_what_they_promise(bias: float, noise: float) -> None:
    """Computed intervals that are too narrow, or beside the truth, are mended by 20 to 60 outcomes."""
    rng, inside, runs = np.random.default_rng(0), {80: 0, 90: 0}, 1500
    for _ in range(runs):
        computed = levels(60.0, 0.05)
        actual = 60.0 * bias * np.exp(noise * rng.standard_normal(int(rng.integers(20, 60)) + 1))
        outcomes = [Outcome(computed, computed, float(each)) for each in actual[1:]]
        shown = Outcome(computed, hindsight.corrected(computed, outcomes), float(actual[0]))
        for level in inside:
            inside[level] += shown.inside(level)
    for level, count in inside.items():
        assert level / 100 - 0.02 <= count / runs <= level / 100 + 0.08


@given(st.lists(st.floats(20.0, 200.0), min_size=20, max_size=40), st.floats(0.01, 1.0))
def test_corrected_levels_are_in_order(actual: list[float], spread: float) -> None:
    """Whatever happened before, a higher level is a longer time."""
    computed = levels(60.0, spread)
    shown = hindsight.corrected(computed, [Outcome(computed, computed, each) for each in actual])
    assert sorted(shown.values()) == list(shown.values())


def test_the_summary_counts() -> None:
    """Sizes and signs of the errors, and how many were inside."""
    computed = levels(60.0, 0.05)
    found = hindsight.summary([Outcome(computed, computed, actual) for actual in (60.0, 50.0, 75.0)])
    assert 3 == found["runs"]
    assert 0.2 == pytest.approx(found["median_error"])
    assert 0.0 == pytest.approx(found["bias"])
    assert 1 / 3 == pytest.approx(found["inside_90"])
    assert {"runs": 0} == hindsight.summary([])


MODEL, MACHINE = {"name": "xgboost"}, {"cpu": "one", "cores": 2, "memory_gb": 8.0}


def finished(took: float, computed: float = 2.0, **other: Any) -> dict[str, Any]:
    """Return a record whose scores and report took `took` seconds, a second for the floor before that left out."""
    prediction = {
        "phases": {"finalise": 1.0 + 3.0},
        "terms": {"finalise_seconds": 3.0},
        "finalise_computed_seconds": computed,
    }
    return {
        "status": "done",
        "earlier_sessions": [],
        "config": {"model": MODEL},
        "hardware": {**MACHINE, "memory_gb": 16.0},
        "predictions": [prediction],
        "phases": {"train": 50.0, "score": 0.75 + took, "finalise": 0.25},
        **other,
    }


def test_the_part_after_training_is_learned_from_the_last_runs() -> None:
    """The median of the newest five, as times what was computed for each; the error is their spread."""
    records = [finished(took) for took in (3.0, 3.2, 2.8, 3.0, 3.0, 200.0)]
    found = hindsight.after_training(records, MODEL, MACHINE)
    assert found is not None
    assert 1.5 == pytest.approx(found[0])
    assert hindsight.LEAST_SPREAD == found[1]
    once = hindsight.after_training([finished(4.0)], MODEL, MACHINE)
    assert (2.0, hindsight.ONE_RUN_SPREAD) == once
    far = hindsight.after_training([finished(2000.0)], MODEL, MACHINE)
    assert far is not None
    assert hindsight.MOST_TIMES == pytest.approx(far[0])


@pytest.mark.parametrize(
    "other",
    [
        {"status": "failed"},
        {"earlier_sessions": [{}]},
        {"config": {"model": {"name": "mlp"}}},
        {"hardware": {"cpu": "another", "cores": 2}},
        {"predictions": []},
        {"predictions": [{"phases": {}}]},
        {"config": None},
    ],
)
def test_a_run_of_something_else_teaches_nothing(other: dict[str, Any]) -> None:
    """Not done, resumed, another model or machine, an older record."""
    assert None is hindsight.after_training([finished(4.0, **other)], MODEL, MACHINE)
