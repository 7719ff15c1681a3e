"""The loop of one process: what is begun, what is ended, what becomes of a trial that does not end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import optuna
import pytest
import sqlalchemy
from hypothesis import strategies as st
from optuna.trial import TrialState

from paceline.errors import PacelineError, Stopped
from paceline.tune import kept, plan, ranking, search, space, storage
from paceline.tune.deadline import Budget
from paceline.tune.settings import Tune


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[optuna.storages.RDBStorage]:
    """A storage for the test."""
    with storage.connected(storage.url_of("", tmp_path)) as found:
        yield found


@pytest.fixture
def make(quadratic: ModuleType, backend: optuna.storages.RDBStorage) -> Any:
    """A function that opens a search of so many seconds, on a clock that the task's steps move."""

    def search_of(seconds: float | None = None, *, trials: int | None = None, **settings: Any) -> Any:
        train, waited = settings.pop("train", {}), settings.pop("waited", lambda: 0.0)
        study, kept = settings.pop("study", None), settings.pop("kept", None)
        config = quadratic.Config(train=quadratic.Train(**train), tune=Tune(**{"folds": 1, **settings}))
        parameters = space.chosen(quadratic.space(config), config, ())
        study = study or storage.open_study(backend, "study", ["maximize"], {})
        if not study.trials:
            study.enqueue_trial(space.present(parameters, config))
        budget = Budget(
            seconds, setup_seconds=4, finish_seconds=4, trainings=1, waited=waited, read=lambda: quadratic.time.reading
        )
        return search.Search(
            quadratic.TASK, config, study, parameters, "prepared", budget, trials=trials, seed=0, kept=kept
        )

    return search_of


def states(one: Any) -> list[str]:
    """Return how each trial ended."""
    return [plan.facts(trial).get("ended", "") for trial in one.study.trials]


def test_what_would_not_end_is_not_begun(make: Any, quadratic: ModuleType) -> None:
    """A trial takes 10 s, a final run 1.25 times (4 + 4 + 10): of 67 s there are 44.5 to search in, four trials."""
    one = make(67, pruner="none")
    assert "the time left is less than a trial takes" == one.run()
    assert ["complete"] * 4 == states(one)
    assert 40 == quadratic.time.reading


def test_a_trial_is_ended_at_the_deadline(make: Any, quadratic: ModuleType) -> None:
    """Trials become slower at the end, so that the third does not end in time: it is ended within, its steps kept."""
    one = make(60, pruner="none")

    def slower(running: Any) -> None:
        quadratic.step_seconds = 1.0 if quadratic.time.reading < 27 else 5.0

    one.tell = slower
    one.run()
    assert ["complete", "complete", plan.DEADLINE] == states(one)
    assert TrialState.PRUNED == one.study.trials[-1].state
    assert 27 < quadratic.time.reading <= 60 - one.budget.reserve(10.0) + 5
    assert 0 < plan.facts(one.study.trials[-1])["steps"] < 10
    best = ranking.best(one.finished, larger_is_better=True)
    assert best is not None
    assert best.state == TrialState.COMPLETE


@pytest.mark.parametrize("folds", [1, 2])
def test_a_trial_that_cannot_end_in_time_is_ended_as_soon_as_that_is_seen(
    folds: int, make: Any, quadratic: ModuleType
) -> None:
    """After two trials steps become five times as slow: the third ends at its second, and one more is tried at most."""
    one = make(60 * folds + 10, pruner="none", folds=folds)

    def slower(running: Any) -> None:
        quadratic.step_seconds = 1.0 if quadratic.time.reading < 20 * folds else 5.0

    one.tell = slower
    one.run()
    assert ["complete", "complete", plan.DEADLINE] == states(one)[:3]
    third = plan.facts(one.study.trials[2])
    assert (2, 50.0 * folds) == (third["steps"], third["projected_seconds"])
    assert len(states(one)) <= 4
    assert quadratic.time.reading <= 20 * folds + 20


def test_other_work_that_begins_ends_the_search_earlier(make: Any, quadratic: ModuleType) -> None:
    """Of 67 s four trials fit; from 20 s on cores are waited for half the time: 1.5 times (16 + 10) is kept, two."""
    one = make(67, pruner="none", waited=lambda: 0.5 if quadratic.time.reading >= 20 else 0.0)
    one.run()
    assert ["complete"] * 2 == states(one)


def test_a_step_that_would_not_end_in_time_is_not_begun(make: Any, quadratic: ModuleType) -> None:
    """Steps take 5 s; of 48 s there are 38 to search in, less 2.25 for each of the trial: after 15 less than a step."""
    quadratic.step_seconds = 5.0
    one = make(48, pruner="none")
    one.run()
    assert [plan.DEADLINE] == states(one)
    left = 48 - quadratic.time.reading - one.budget.reserve(quadratic.time.reading)
    assert 0 < left <= 5.0


def test_a_first_trial_may_use_the_final_runs_time(make: Any, quadratic: ModuleType, tmp_path: Path) -> None:
    """Where its model is kept: 26 s are too short for a trial and a run, but not for a model that can be used."""
    short = make(26, pruner="none", study=optuna.create_study(direction="maximize"))
    short.run()
    assert [plan.DEADLINE] == states(short)
    quadratic.time.reading = 0.0
    object.__setattr__(quadratic.TASK, "keeps_models", True)
    one = make(26, pruner="none", kept=tmp_path / "kept")
    one.run()
    assert ["complete"] == states(one)
    assert kept.has(tmp_path / "kept", 0)


def test_a_first_trial_that_time_ends_leaves_its_model(make: Any, quadratic: ModuleType, tmp_path: Path) -> None:
    """It is all there is: of 12 s, 6.25 are for making a run of it; after 5 another second would not end in time."""
    object.__setattr__(quadratic.TASK, "keeps_models", True)
    one = make(12, pruner="none", kept=tmp_path / "kept")
    one.run()
    assert [plan.DEADLINE] == states(one)
    assert [0] == kept.numbers(tmp_path / "kept")


def test_the_best_trials_model_is_kept(make: Any, tmp_path: Path) -> None:
    """One alone, that of the best so far."""
    one = make(trials=12, kept=tmp_path / "kept")
    one.run()
    best = ranking.best(one.finished, larger_is_better=True)
    assert best is not None
    assert best.number
    assert [str(best.number)] == [place.name for place in (tmp_path / "kept").iterdir()]


@hypothesis.settings(max_examples=20, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(seconds=st.integers(5, 120), paces=st.lists(st.floats(0.5, 4.0), min_size=1, max_size=6))
def test_the_time_to_search_is_never_exceeded(
    seconds: int, paces: list[float], make: Any, quadratic: ModuleType
) -> None:
    """Whatever steps take: beyond the moment from which the final run's time is kept there is one step at most."""
    quadratic.time.reading, quadratic.step_seconds = 0.0, paces[0]
    one = make(seconds, pruner="none", study=optuna.create_study(direction="maximize"))

    def unsteady(running: Any) -> None:
        quadratic.step_seconds = paces[int(quadratic.time.reading) % len(paces)]

    one.tell = unsteady
    one.run()
    longest = max((plan.facts(trial)["seconds"] for trial in plan.complete(one.finished)), default=0.0)
    # A last step also lengthens what is kept, by its margin.
    assert quadratic.time.reading <= max(0.0, seconds - one.budget.reserve(longest)) + 2.25 * max(paces)
    if seconds <= one.budget.reserve(0.0):
        assert 0.0 == quadratic.time.reading


@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_a_poor_trial_is_pruned_and_its_steps_are_kept(pruner: str, make: Any) -> None:
    """It ends at a rung, by the trainer's own stop and not within it, and the others go on."""
    one = make(trials=25, pruner=pruner, folds=2)
    one.run()
    assert 25 == len(one.finished)
    assert pruner == one.study.user_attrs[plan.PRUNER]
    pruned = [trial for trial in one.finished if plan.facts(trial)["ended"] == plan.PRUNED]
    assert len(pruned) > 3
    assert all(0 < plan.facts(trial)["steps"] < 20 for trial in pruned)
    assert all(trial.intermediate_values for trial in pruned)
    assert 0 < plan.saved_seconds(one.finished) <= 20 * len(pruned)


def test_the_pruner_is_chosen_when_the_trials_that_fit_are_known(make: Any) -> None:
    """Not before the first trial; then by number, the same for everyone who joins the study."""
    one = make(trials=20)
    seen = []
    one.tell = lambda running: seen.append(type(running.study.pruner).__name__)
    one.run()
    assert {"NopPruner"} == set(seen[:10])
    assert "MedianPruner" == seen[-1]
    assert "median" == one.study.user_attrs[plan.PRUNER]


def test_a_stopped_trial_is_done_again(make: Any, quadratic: ModuleType) -> None:
    """A signal within a training puts the trial back with its settings; the next session begins with it."""
    one = make(trials=4)
    real = quadratic.objective

    def stops(prepared: str, trial: Any) -> Any:
        if trial.number == 2:
            trial.run.log({"step": 1, "validation_quality": 0.1})
            raise Stopped("SIGTERM ended it after 1 rounds.", resumable=True)
        return real(prepared, trial)

    object.__setattr__(one.task, "objective", stops)
    with pytest.raises(Stopped):
        one.run()
    object.__setattr__(one.task, "objective", real)
    lost, waiting = one.study.trials[2], one.study.trials[3]
    assert (TrialState.FAIL, TrialState.WAITING) == (lost.state, waiting.state)
    assert lost.params == waiting.params
    again = make(trials=4)
    again.run()
    assert lost.params == again.study.trials[3].params
    assert 4 == len(again.finished), "the lost trial is not counted twice"


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed:UserWarning")  # a process that dies is played
def test_a_trial_whose_heart_stopped_is_done_again(make: Any, backend: optuna.storages.RDBStorage) -> None:
    """What a killed process of another machine was at is found by the next to ask, its settings kept."""
    one = make(trials=1)
    one.run()
    assert "as many trials as asked for" == one.run()
    lost = one.study.ask()
    params = space.suggest(lost, one.parameters)
    backend.record_heartbeat(lost._trial_id)
    with backend.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    another = make(trials=2)
    another.run()
    assert TrialState.FAIL == another.study.trials[lost.number].state
    assert {lost.number} == storage.requeued(another.study.trials)
    redone = [trial for trial in another.study.trials if trial.system_attrs.get("failed_trial") == lost.number]
    assert [params] == [trial.params for trial in redone]
    assert all(trial.state.is_finished() for trial in redone)


def test_nothing_but_failures_ends_the_search(make: Any) -> None:
    """The present settings fail: so does the search, at once, with the reason."""
    with pytest.raises(PacelineError, match="The present settings fail: ZeroDivisionError"):
        make(trials=9, train={"behave": "fail"}).run()


def test_the_best_keeps_its_limits() -> None:
    """A better value that exceeds a limit comes after every one that keeps it; of two that exceed, the lesser."""

    def trial(number: int, value: float, limit: float) -> optuna.trial.FrozenTrial:
        made = optuna.create_trial(value=value, user_attrs={"facts": {"seconds": 1.0}}, constraints={"latency": limit})
        made.number = number
        return made

    within, beyond, far = trial(0, 0.5, -1.0), trial(1, 0.9, 0.1), trial(2, 0.95, 2.0)
    assert within == ranking.best([within, beyond, far], larger_is_better=True)
    assert beyond == ranking.best([beyond, far], larger_is_better=True)
    assert ranking.best([], larger_is_better=True) is None


def test_two_machines_make_as_many_trials_as_asked_for_together(make: Any, quadratic: ModuleType) -> None:
    """One begins while the other is at its fourth of five: that one counts, finished or not, and so do all before."""
    one = make(trials=5)
    another = make(trials=5, study=optuna.load_study(storage=one.study._storage, study_name="study"))
    real = quadratic.objective

    def meanwhile(prepared: str, trial: Any) -> Any:
        if trial.number == 3:
            object.__setattr__(quadratic.TASK, "objective", real)
            assert "as many trials as asked for" == another.run()
        return real(prepared, trial)

    object.__setattr__(quadratic.TASK, "objective", meanwhile)
    one.run()
    object.__setattr__(quadratic.TASK, "objective", real)
    assert [1, 1, 1, 1, 1] == [trial.state.value for trial in one.study.trials]
    assert 1 == len([trial for trial in one.study.trials if trial.number == 4])


def test_a_trial_that_another_machine_was_ahead_of_is_given_up(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have seen room for one and have begun one: the later by number is no trial, and nothing is trained."""
    one = make(trials=2)
    others = []
    seen = one._may_begin

    def as_before_the_other(number: int | None = None) -> bool:
        if number is None and len(one.study.trials) == 1 and one.finished:
            found = seen()
            others.append(one.study.ask().number)
            return bool(found)
        return bool(seen(number))

    monkeypatch.setattr(one, "_may_begin", as_before_the_other)
    with pytest.warns(UserWarning, match="Heartbeat of storage is supposed"):
        one.run()
    assert [1] == others
    assert ["complete", "", plan.NOT_BEGUN] == states(one)
    assert [0] == [trial.number for trial in ranking.finished(one.study)]


@pytest.mark.parametrize("seconds", [450, 540])
def test_settings_whose_like_take_too_long_are_not_begun(seconds: int, make: Any, quadratic: ModuleType) -> None:
    """Deep ones take eight times as long as flat ones: at the end those alone are tried, and none is cut off."""
    real = quadratic.objective

    def by_depth(prepared: str, trial: Any) -> Any:
        quadratic.step_seconds = trial.config.model.depth / 2
        return real(prepared, trial)

    object.__setattr__(quadratic.TASK, "objective", by_depth)
    one = make(seconds, pruner="none", sampler="random")
    one.run()
    ends = states(one)
    first = ends.index(plan.NOT_BEGUN)
    assert "complete" in ends[first:], "a quicker one follows"
    assert plan.DEADLINE not in ends
    assert plan.NOT_BEGUN not in [plan.facts(trial)["ended"] for trial in one.finished]
