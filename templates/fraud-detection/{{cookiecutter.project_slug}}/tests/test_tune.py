"""The search of the fraud template: what it may vary, and that no test day has a say in it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from fraud_detection import data, train, tune
from fraud_detection.config import Config, Model
from fraud_detection.splits import PrequentialSplit
from paceline import config as configuration
from paceline import device
from paceline.errors import PacelineError
from paceline.tune import command, space
from paceline.tune.settings import Tune


def test_no_test_day_has_a_say(small: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every label and amount from the test's first day on changed, a trial gets the same, digit for digit."""
    honest = tune.prepare(small).folds
    load, poisoned = data.load, []

    def poison(*arguments: Any) -> pl.DataFrame:
        table = load(*arguments)
        later = pl.col("datetime") >= PrequentialSplit(table, small.data).test_start
        changed = table.with_columns(pl.when(later).then(1 - pl.col("fraud")).otherwise(pl.col("fraud")).alias("fraud"))
        poisoned.append(int((changed["fraud"] != table["fraud"]).sum()))
        return changed.with_columns(pl.when(later).then(0.01).otherwise(pl.col("amount")).alias("amount"))

    monkeypatch.setattr(data, "load", poison)
    other = tune.prepare(small).folds
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


@pytest.mark.parametrize("name", ["xgboost", "mlp", "logistic_regression"])
def test_the_default_settings_lie_in_the_space(name: Any) -> None:
    """Every range holds the default, so that nothing has to be widened, and every end of it is allowed."""
    config = Config(model=Model(name=name))
    ranges = tune.space(config)
    assert ranges == space.chosen(ranges, config, ())
    for key, distribution in ranges.items():
        assert isinstance(distribution, (FloatDistribution, IntDistribution))
        for end in (distribution.low, distribution.high):
            space.applied(config, {key: end})


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
