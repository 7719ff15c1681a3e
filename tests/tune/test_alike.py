"""What settings will take, by the trials that are most like them."""

from __future__ import annotations

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial

from paceline.tune import alike, plan

SPACE = {
    "model.name": CategoricalDistribution(("small", "large")),
    "train.rate": FloatDistribution(0.01, 1.0, log=True),
    "train.l2": FloatDistribution(0.0, 1.0),
}
SECONDS = {"small": 10.0, "large": 100.0}


def trial(name: str, rate: float, l2: float) -> FrozenTrial:
    """Return a complete trial, whose time depends on the model alone."""
    return optuna.create_trial(
        value=0.5,
        params={"model.name": name, "train.rate": rate, "train.l2": l2},
        distributions=SPACE,
        user_attrs={"facts": {"seconds": SECONDS[name] + l2, "steps": 10, "ended": "complete"}},
    )


def trials() -> list[FrozenTrial]:
    """Return eight, of which the large ones have low rates."""
    return [trial(name, rate, 0.1) for name, low in (("small", 0.05), ("large", 0.01)) for rate in (low, 0.1, 0.4, 1.0)]


def test_what_time_depends_on_decides_which_trials_are_alike() -> None:
    """The rate and the penalty of the new settings are those of trials of the other model, which says nothing."""
    for name in SECONDS:
        found = alike.seconds(trials(), {"model.name": name, "train.rate": 0.1, "train.l2": 1.0}, SPACE)
        assert SECONDS[name] + 0.1 == found


def test_a_number_that_time_depends_on_decides_too() -> None:
    """Trials near to it in its range, here of the rate, and of three the longest."""
    known = [trial("small", rate, 0.0) for rate in (0.01, 0.02, 0.03, 0.06, 0.1, 0.3, 0.5, 1.0)]
    for each in known:
        each.user_attrs["facts"]["seconds"] = 100 * each.params["train.rate"]
    assert 3.0 == alike.seconds(known, {"model.name": "large", "train.rate": 0.015, "train.l2": 0.9}, SPACE)


def test_a_few_trials_say_nothing() -> None:
    """Nor do those whose time is not known; one that was ended for its time counts with what it would have taken."""
    settings = {"model.name": "large", "train.rate": 0.1, "train.l2": 0.1}
    assert alike.seconds(trials()[:7], settings, SPACE) is None
    ended = trial("large", 0.1, 0.1)
    ended.state = optuna.trial.TrialState.PRUNED
    ended.user_attrs["facts"] |= {"ended": plan.DEADLINE, "seconds": 1.0}
    assert alike.seconds([*trials()[:7], ended], settings, SPACE) is None
    ended.user_attrs["facts"]["projected_seconds"] = 90.0
    assert 100.1 == alike.seconds([*trials()[:7], ended], settings, SPACE)
