"""What a search came to, as facts."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from paceline.tune import charts, outcome, plan, ranking


def trial(number: int, seconds: float, value: float, ended: str = "complete") -> FrozenTrial:
    """Return a finished trial with a learning rate of a tenth of its value."""
    state = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}.get(ended, TrialState.PRUNED)
    facts = {"facts": {"seconds": seconds, "steps": 3, "ended": ended}} if ended != "killed" else {}
    attributes: dict[str, Any] = {"user_attrs": facts, "params": {"train.rate": value / 10}}
    attributes["distributions"] = {"train.rate": FloatDistribution(0.0, 1.0)}
    made = optuna.create_trial(state=state, value=None if state == TrialState.FAIL else value, **attributes)
    made.number = number
    return made


TRIALS = [
    trial(0, 10.0, 0.5),
    trial(1, 4.0, 0.4),
    trial(2, 2.0, 0.1, plan.PRUNED),
    trial(3, 3.0, 0.2, plan.DEADLINE),
    trial(4, 1.0, 0.0, "failed"),
    trial(5, 6.0, 0.45),
    trial(6, 0.0, 0.3, "killed"),
]


def test_time_by_how_trials_ended_sums_to_all_of_it() -> None:
    """A killed one left no time; what did not happen is no row."""
    rows = outcome.by_state(TRIALS)
    assert ["complete", plan.PRUNED, plan.DEADLINE, "failed", "killed"] == [row["ended"] for row in rows]
    assert [3, 1, 1, 1, 1] == [row["trials"] for row in rows]
    assert 26.0 == sum(row["seconds"] for row in rows)
    assert pytest.approx(1.0) == sum(row["share_of_time"] for row in rows)
    assert ["complete"] == [row["ended"] for row in outcome.by_state(TRIALS[:1])]


@pytest.mark.parametrize(("expected", "larger_is_better"), [([0, 5, 1], True), ([1, 5, 0], False)])
def test_the_best_trials_come_first(expected: list[int], larger_is_better: bool) -> None:
    """With their settings; pruned ones have no value."""
    rows = outcome.rows(TRIALS, larger_is_better=larger_is_better)
    assert expected == [row["trial"] for row in rows]
    assert {"rate"} == set(rows[0]["settings"])
    assert 2 == len(outcome.rows(TRIALS, larger_is_better=larger_is_better, most=2))


def test_the_front_rises_from_the_quickest() -> None:
    """Each of it is better than all that are quicker."""
    assert [1, 5, 0] == [trial.number for trial in ranking.front(plan.complete(TRIALS), larger_is_better=True)]
    assert [1] == [trial.number for trial in ranking.front(plan.complete(TRIALS), larger_is_better=False)]


def test_charts_leave_out_what_there_is_nothing_of() -> None:
    """No complete trial, no chart; without a comparison and with few trials, the course and the front."""
    study = optuna.create_study(direction="maximize")
    ranges = {"train.rate": FloatDistribution(0.0, 1.0)}
    assert [] == charts.draw(study, TRIALS[2:4], ranges, {}, score="auroc", larger_is_better=True)
    drawn = charts.draw(study, TRIALS, ranges, {}, score="auroc", larger_is_better=True)
    assert ["How the search went", "Quality against training time"] == [chart["title"] for chart in drawn]


def test_the_lead_says_what_matters() -> None:
    """And is silent of what did not happen."""
    facts: dict[str, Any] = {
        "score": "average precision",
        "trials": 7,
        "best_value": 0.5,
        "best_trial": 3,
        "value_before": None,
        "verdict": "The best settings were not compared with further seeds.",
        "time_by_trial_state": [],
        "saved_by_pruning_seconds": 0.0,
        "limits_exceeded": "none",
        "best_run_shortened": False,
        "config_reproduces_best_run": True,
        "best_run_is_a_trial": False,
    }
    plain = "The best average precision of 7 trials is 0.5000 (trial 3), judged without the test"
    assert f"{plain}. The best settings were not compared with further seeds." == outcome.lead(facts)
    facts |= {"value_before": 0.4, "limits_exceeded": {"latency": 0.1}, "best_run_shortened": True}
    facts |= {"time_by_trial_state": [{"ended": plan.PRUNED, "trials": 2}], "saved_by_pruning_seconds": 90.0}
    said = outcome.lead(facts)
    assert said.startswith(f"{plain}; the settings it began from have 0.4000.")
    for part in (
        "Pruning 2 trials saved 1 min 30 s.",
        "No trial keeps all limits: the best exceeds latency.",
        "shortened",
    ):
        assert part in said
    assert "the result is the model of trial 3 itself, which has not seen the test." in outcome.lead(
        {**facts, "best_run_is_a_trial": True}
    )
