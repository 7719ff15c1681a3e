"""From the terms of a run to a prediction of its time, and what simpler rules would have said."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline import estimate
from paceline.forecast import Forecast
from paceline.hindsight import LEVELS, Outcome
from paceline.terms import Measured, Stage, Terms

BASELINES = {"progress_bar": 1.0, "first_epoch": 2.0, "mean_step": 3.0}


def terms(error: float = 0.05, drift: float = 0.03) -> Terms:
    """Return a run of 10 s set up, 100 epochs of 1 s, 5 s to finish."""
    return Terms({"setup": 10.0}, (Stage("fit", 100, Measured(1.0, error)),), Measured(5.0, 0.2), drift=drift)


@given(st.floats(0.0, 0.5), st.floats(0.0, 0.3), st.integers(0, 100))
def test_quantiles_are_in_order_and_beyond_what_was_spent(error: float, drift: float, seed: int) -> None:
    """Whatever the errors; the median is near the sum of the phases where they are small."""
    found = estimate.predict(terms(error, drift), baselines=BASELINES, seed=seed)
    values = [found.seconds[level] for level in LEVELS]
    assert sorted(values) == values
    assert values[0] > 10.0
    assert 115.0 == pytest.approx(sum(found.phases.values()))
    assert 115.0 == pytest.approx(found.seconds[50], rel=0.02 + 0.6 * (error**2 + drift**2))


def test_less_certain_terms_make_wider_intervals() -> None:
    """The interval is what the errors and the drift of the machine make of it."""
    narrow, wide = (estimate.predict(terms(error), baselines=BASELINES).seconds for error in (0.01, 0.2))
    assert 3 * (narrow[95] - narrow[5]) < wide[95] - wide[5]


def test_possible_ends_widen_it_and_are_told() -> None:
    """Where patience may end the training: quantiles of the end, and whether nothing is known."""
    ends = np.linspace(20.0, 100.0, 400)
    forecast = Forecast(ends, ends - 10, np.array([]), "6 scores are too few")
    known = Terms({"setup": 10.0}, (Stage("fit", 100, Measured(1.0)),), Measured(), ends={"fit": ends})
    found = estimate.predict(known, baselines=BASELINES, forecast=forecast)
    assert 70.0 == pytest.approx(found.seconds[50], abs=1.0)
    assert 34.0 == pytest.approx(found.seconds[5], abs=1.0)
    assert (28.0, 92.0) == (pytest.approx(found.stopping["end"]["p10"]), pytest.approx(found.stopping["end"]["p90"]))
    assert "6 scores are too few" == found.stopping["abstains"]


def test_the_project_corrects_it_once_it_has_twenty_runs() -> None:
    """Runs that all took a fifth longer than predicted move the next prediction up; what was computed stays beside."""
    computed = estimate.predict(terms(), baselines=BASELINES).computed
    late = Outcome(computed, computed, 1.2 * computed[50])
    before = estimate.predict(terms(), baselines=BASELINES, outcomes=[late] * 19)
    after = estimate.predict(terms(), baselines=BASELINES, outcomes=[late] * 20)
    assert computed == before.seconds
    assert 1.2 * computed[50] == pytest.approx(after.seconds[50])
    assert computed == after.computed
    assert (20, 0.0) == (after.history["runs"], after.history["inside_90"])


def test_what_simpler_rules_say() -> None:
    """The rate so far, the first epoch, the mean step: each times the epochs, after what had passed before."""
    found = estimate.baselines(
        before_seconds=10.0, fit_seconds=12.0, done=4.0, epochs=20.0, first_epoch_seconds=6.0, step_epoch=1.5
    )
    assert {"progress_bar": 70.0, "first_epoch": 130.0, "mean_step": 40.0} == found


def test_a_prediction_is_plain_json() -> None:
    """With the names that `estimate --json` promises."""
    state = json.loads(json.dumps(estimate.predict(terms(), baselines=BASELINES).state(), allow_nan=False))
    names = {f"p{level:02}_seconds" for level in LEVELS}
    assert names | {"phases", "baselines", "stopping", "target", "terms", "computed", "history"} == set(state)
    assert names == set(state["computed"])


def test_a_prediction_is_one_line() -> None:
    """How long, between what, done when; another day is named, and what is not known is said."""
    made = {
        "p05_seconds": 70.0,
        "p50_seconds": 76.0,
        "p95_seconds": 88.0,
        "made_after_seconds": 16.0,
        "stopping": {},
        "target": {},
    }
    expected = "predicted: 1 min 16 s in all (90 % interval 1 min 10 s to 1 min 28 s), done"
    assert f"{expected} at 16:16." == estimate.line(made, datetime(2026, 3, 1, 16, 15))
    assert f"{expected} on Monday 00:00." == estimate.line(made, datetime(2026, 3, 1, 23, 59, 30))
    unknown = made | {"stopping": {"abstains": "too few scores"}}
    assert estimate.line(unknown, datetime(2026, 3, 1, 16, 15)).endswith("it is not known yet: too few scores.")
