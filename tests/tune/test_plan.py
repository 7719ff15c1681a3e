"""Which sampler and pruner suit the trials that fit, and what the seconds of trials say about those to come."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from paceline.errors import PacelineError
from paceline.tune import plan


def trial(seconds: float, ended: str = "complete", steps: int = 10) -> FrozenTrial:
    """Return a finished trial that took so long."""
    facts = {"seconds": seconds, "steps": steps, "ended": ended}
    state = TrialState.COMPLETE if ended == "complete" else TrialState.PRUNED
    return optuna.create_trial(state=state, value=0.5, user_attrs={"facts": facts})


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        ("TPESampler", "tpe"),
        ("RandomSampler", "random"),
        ("RandomSampler", "grid"),
        ("QMCSampler", "qmc"),
        ("CmaEsSampler", "cmaes"),
    ],
)
def test_a_sampler_is_made(expected: str, name: str) -> None:
    """By its name, without a warning."""
    assert expected == type(plan.sampler(name, seed=1, trials=20, objectives=1)).__name__


def test_a_sampler_whose_package_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is named, and what works without it."""
    monkeypatch.setattr(plan.importlib.util, "find_spec", lambda name: None)
    for name, package in (("gp", "torch"), ("cmaes", "cmaes")):
        with pytest.raises(PacelineError, match=rf"tune.sampler is '{name}', but '{package}' is not installed"):
            plan.sampler(name, seed=0, trials=None, objectives=1)


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        ("NopPruner", "none"),
        ("MedianPruner", "median"),
        ("SuccessiveHalvingPruner", "halving"),
        ("HyperbandPruner", "hyperband"),
    ],
)
@pytest.mark.parametrize("most_steps", [1, 30, 600])
def test_a_pruner_is_made(expected: str, name: str, most_steps: int) -> None:
    """By its name, for few steps and many."""
    assert expected == type(plan.pruner(name, part_steps=most_steps)).__name__


def brackets(parts: int) -> int:
    """Return how many brackets Hyperband has for trials of so many trainings of 30 steps."""
    made = plan.pruner("hyperband", part_steps=30, parts=parts)
    study = optuna.create_study(pruner=made)
    trial = study.ask()
    trial.report(0.5, 1)
    trial.should_prune()
    assert isinstance(made, optuna.pruners.HyperbandPruner)
    return len(made._pruners)


def test_hyperband_has_brackets_for_all_trainings_of_a_trial() -> None:
    """From 2 of 30 steps on a third of the trials goes on each time: 3 rungs fit one training, 4 fit two, 5 fit six."""
    assert [3, 4, 5] == [brackets(parts) for parts in (1, 2, 6)]


@pytest.mark.parametrize("most_steps", [1, 2, 10, 600, 5000])
def test_rungs_are_few_and_rise(most_steps: int) -> None:
    """From a twentieth of the steps on, each further than the last, and seldom: a report is a transaction."""
    steps = plan.rungs(most_steps)
    assert steps == sorted(set(steps))
    assert plan.first_rung(most_steps) == steps[0]
    assert steps[-1] <= most_steps < 1.3 * steps[-1] + 1
    assert len(steps) <= 14


def test_the_next_trial_is_taken_to_be_a_long_one() -> None:
    """The upper quartile of the complete ones; pruned ones say nothing about it, no trial nothing at all."""
    assert plan.trial_seconds([]) is None
    assert plan.trial_seconds([trial(1.0, "pruned")]) is None
    assert 4.0 == plan.trial_seconds([trial(4.0)])
    assert 4.0 == plan.trial_seconds([trial(seconds) for seconds in (1.0, 2.0, 3.0, 4.0, 5.0)])


def test_a_trial_that_would_have_been_long_counts_for_the_next() -> None:
    """With the seconds that were projected when it was ended: nothing else has shown what its like would take."""
    ended = trial(2.0, "no time left")
    ended.user_attrs["facts"]["projected_seconds"] = 50.0
    assert 30.0 == plan.trial_seconds([trial(10.0), trial(10.0), ended])
    assert plan.trial_seconds([ended]) is None


def test_the_steps_left_are_those_of_the_complete_trials() -> None:
    """The median of those that went further, as a share of the most there can be; nothing where none did."""
    known = []
    for steps in (4, 6, 10):
        known.append(trial(1.0, steps=steps))
        known[-1].user_attrs["facts"]["most_steps"] = 10
    assert 4.0 == plan.steps_left(known, 2, 10)
    assert 3.0 == plan.steps_left(known, 5, 10)
    assert 10.0 == plan.steps_left(known, 2, 20)
    assert 0.0 == plan.steps_left(known, 10, 10)
    assert 0.0 == plan.steps_left([], 2, 10)


def test_the_trials_that_fit_are_the_fewer_of_number_and_time() -> None:
    """Those done count; by time the mean of all says how many follow; unknown before the first with a budget."""
    done = [trial(9.0), trial(3.0, "pruned")]
    assert plan.trials_that_fit([], 100.0, 20) is None
    assert 20 == plan.trials_that_fit([], None, 20)
    assert 7 == plan.trials_that_fit(done, 30.0, None)
    assert 5 == plan.trials_that_fit(done, 30.0, 5)
    assert 2 == plan.trials_that_fit(done, -1.0, None)


def test_pruning_saves_what_complete_trials_took_more() -> None:
    """On average, trial by trial, never less than nothing; a trial ended at the deadline saved nothing."""
    assert 0.0 == plan.saved_seconds([trial(1.0, "pruned")])
    done = [trial(8.0), trial(12.0), trial(1.0, "pruned"), trial(4.0, "pruned"), trial(15.0, "pruned")]
    assert 15.0 == plan.saved_seconds([*done, trial(2.0, "no time left")])
