"""The search of the fraud template: what it may vary, and that no test day has a say in it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fraud_detection import data, train, tune
from fraud_detection.config import Config, Model
from fraud_detection.splits import PrequentialSplit
from paceline import budget, device
from paceline import config as configuration
from paceline.budget import Ceiling
from paceline.errors import PacelineError
from paceline.pace import Pace
from paceline.tune import command, space
from paceline.tune.settings import Tune


def test_no_test_day_has_a_say(small: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every label and amount from the test's first day on changed, a trial gets the same, digit for digit."""
    honest = tune.prepare(small).folds(small.data)
    load, poisoned = data.load, []

    def poison(*arguments: Any) -> pl.DataFrame:
        table = load(*arguments)
        later = pl.col("datetime") >= PrequentialSplit(table, small.data).test_start
        changed = table.with_columns(pl.when(later).then(1 - pl.col("fraud")).otherwise(pl.col("fraud")).alias("fraud"))
        poisoned.append(int((changed["fraud"] != table["fraud"]).sum()))
        return changed.with_columns(pl.when(later).then(0.01).otherwise(pl.col("amount")).alias("amount"))

    monkeypatch.setattr(data, "load", poison)
    other = tune.prepare(small).folds(small.data)
    assert poisoned[0] > 100
    assert len(honest) == len(other) == small.tune.folds
    for one, two in zip(itertools.chain(*honest), itertools.chain(*other), strict=True):
        for name in ("X", "y", "amounts", "customers"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        assert one.days.equals(two.days)


def test_the_best_settings_train_to_the_same_model(small: Config, tmp_path: Path) -> None:
    """`train` with the config.toml that a search wrote gives the final run's model, byte for byte."""
    config = small.model_copy(update={"tune": Tune(trials=2, folds=1, repeats=0)})
    answer = command.tune(tune.TASK, config, runs_folder=tmp_path / "runs", folder=tmp_path / "tune")
    best = configuration.load(Config, Path(answer["config"]))
    again = train.train(best, runs_folder=tmp_path / "again")
    assert (Path(answer["best_run"]) / "model.ubj").read_bytes() == (Path(again["run"]) / "model.ubj").read_bytes()
    assert json.loads((Path(answer["best_run"]) / "run.json").read_text())["config"] == best.model_dump(mode="json")


def test_the_settings_of_a_shortened_run_train_to_the_same_model(
    small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ceiling ends boosting after 7 rounds: config.toml asks for 7, and `train` gives the same bytes without one."""
    at_the_end = Pace.end
    monkeypatch.setattr(Pace, "end", lambda pace, done: 7.0 if pace.stage == "select" else at_the_end(pace, done))
    config = small.model_copy(update={"tune": Tune(trials=1, folds=1, repeats=0)})
    config = configuration.replace(config, {"train.subsample": 0.7}, source="test")
    answer = command.tune(
        tune.TASK,
        config,
        runs_folder=tmp_path / "runs",
        folder=tmp_path / "tune",
        trials=1,
        ceiling=Ceiling(3600.0, "--time-budget 1h"),
    )
    assert answer["config_reproduces_best_run"]
    best = configuration.load(Config, Path(answer["config"]))
    assert 7 == best.train.rounds
    again = train.train(best, runs_folder=tmp_path / "again")
    assert (Path(answer["best_run"]) / "model.ubj").read_bytes() == (Path(again["run"]) / "model.ubj").read_bytes()


def test_a_refit_that_was_cut_has_no_settings() -> None:
    """Its rounds were chosen by a training that went further; nor has a network, whose schedule is compressed."""
    ended = {"stop_reason": f"{budget.ENDED}, after 7 rounds", "rows": [{"step": 7}]}
    found: dict[str, Any] = {"history": ended, "budget": {"changed": True}, "warnings": []}
    shorter = tune.reproduction(Config(), found)
    assert shorter is not None
    assert 7 == shorter.train.rounds
    assert tune.reproduction(Config(), {**found, "budget": {"changed": True, "refit": {}}}) is None
    assert tune.reproduction(Config(), {**found, "warnings": [f"{train.NOT_REFITTED}: so."]}) is None
    assert tune.reproduction(Config(), {**found, "history": {"stop_reason": "all 9 rounds", "rows": []}}) is None
    assert tune.reproduction(Config(model=Model(name="mlp")), found) is None


@pytest.mark.parametrize("name", ["xgboost", "mlp", "logistic_regression"])
def test_the_default_settings_lie_in_the_space(name: Any) -> None:
    """Every range holds the default, so that nothing has to be widened, and every end of it is allowed."""
    config = Config(model=Model(name=name))
    ranges = tune.space(config)
    assert ranges == space.chosen(ranges, config, ())
    for key, distribution in ranges.items():
        if isinstance(distribution, CategoricalDistribution):
            values = list(distribution.choices)
        else:
            assert isinstance(distribution, (FloatDistribution, IntDistribution))
            values = [distribution.low, distribution.high]
        for value in values:
            space.applied(config, {key: value})


def test_windows_vary_where_they_run_over_something(small: Config) -> None:
    """Not where the data name no party, nor where the model goes on from one that has its windows."""
    assert "data.windows_days" in tune.space(small)
    for section, changes in (("data", {"source": "ulb"}), ("transfer", {"from_run": "runs/x"})):
        other = small.model_copy(update={section: getattr(small, section).model_copy(update=changes)})
        assert "data.windows_days" not in tune.space(other), section


def test_windows_can_be_named(small: Config) -> None:
    """Of all keys of [data] these alone, whose values change no row that trials are judged by."""
    found = space.chosen(tune.space(small), small, ("data.windows_days=[1, 7],[2, 9]",))
    assert {"[1, 7]", "[2, 9]"} <= set(found["data.windows_days"].choices)
    with pytest.raises(PacelineError, match=r"'data\.test_days' cannot vary"):
        space.chosen(tune.space(small), small, ("data.test_days=7,14",))


def test_the_size_of_a_network_varies() -> None:
    """As widths of its hidden layers, a list that is a text in the study and a list in the settings of a trial."""
    config = Config(model=Model(name="mlp"))
    found = space.chosen(tune.space(config), config, ("model.hidden_units",))
    assert {"model.hidden_units": "[128, 64]"} == space.present(found, config)
    assert (256, 128, 64) == space.applied(config, {"model.hidden_units": "[256, 128, 64]"}).model.hidden_units


def test_other_windows_are_other_columns_of_the_same_rows(small: Config) -> None:
    """What is judged stays, so trials compare; features of few windows are kept in memory, the newest."""
    prepared = tune.prepare(small)
    (learn, judge), *_ = prepared.folds(small.data)
    for windows in ((1, 3), (2,), (3,), (4,)):
        (other_learn, other_judge), *_ = prepared.folds(small.data.model_copy(update={"windows_days": windows}))
        assert learn.names != other_learn.names
        np.testing.assert_array_equal(learn.y, other_learn.y)
        np.testing.assert_array_equal(judge.amounts, other_judge.amounts)
    assert [(2,), (3,), (4,)] == list(prepared._made)
    np.testing.assert_array_equal(judge.X, prepared.folds(small.data)[0][1].X)


def test_cards_alerted_a_day_counts_a_card_once_a_day(examples: Any) -> None:
    """Two alerts on one card and day are one call."""
    assert 0 == tune.cards_alerted_a_day(examples, np.zeros(len(examples.y), bool))
    day, card = examples.days[0], examples.customers[0]
    same = ((examples.days == day).to_numpy()) & (examples.customers == card)
    assert same.sum() > 1
    assert 1 / examples.days.n_unique() == tune.cards_alerted_a_day(examples, same)


@pytest.mark.parametrize("asked", ["gpu", "tpu"])
def test_a_device_that_is_not_here_is_refused_before_data_are_read(
    asked: str, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, with the remedy, and no study is begun."""
    monkeypatch.setattr(device, "gpus", lambda: ())
    monkeypatch.setattr(data, "load", lambda *given, **named: pytest.fail("data were read"))
    wanted = configuration.replace(small, {"train.device": asked}, source="test")
    with pytest.raises(PacelineError, match=r"^(A [GT]PU was asked for|XGBoost does not run on a TPU)"):
        command.tune(tune.TASK, wanted, runs_folder=tmp_path / "runs", folder=tmp_path / "tune")
    assert [] == list(tmp_path.iterdir())
