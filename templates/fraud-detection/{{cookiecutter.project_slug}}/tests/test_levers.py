"""The time-savers of the fraud template: what is offered, and that each can be set and trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fraud_detection import data, levers
from fraud_detection.config import Config
from paceline import config as configuration
from paceline import device
from paceline.errors import PacelineError
from paceline.levers import command, convergence, data_sizes, probe_run, turns
from paceline.levers.turns import Handover, Side
from paceline.progress import Unseen


@pytest.mark.parametrize("name", ["xgboost", "mlp", "logistic_regression"])
def test_every_setting_is_one_of_the_configuration(small: Config, name: str) -> None:
    """With a lever and without it the configuration is valid, and the two differ."""
    config = configuration.replace(small, {"model.name": name}, source="test")
    found = levers.levers(config)
    assert (name == "logistic_regression") == (not found)
    for lever in found:
        without = configuration.replace(config, lever.without, source="test")
        assert without != configuration.replace(config, lever.settings, source="test"), lever.name
        configuration.replace(config, {**lever.settings, **levers.lasting(small)}, source="test")
    names = {lever.name for lever in found}
    assert len(found) == len(names)
    of_networks = {"learning-rate schedule", "gradient clipping", "batch normalisation"}
    assert (of_networks if name == "mlp" else set()) == of_networks & names
    assert (name != "logistic_regression") == ("L1 penalty" in names)


def test_both_sides_of_a_lever_train_in_turns(small: Config) -> None:
    """A whole training of the project hands over after its turn and goes on; the test days are not there to be seen."""
    fold = levers.prepare(small)

    def side(settings: dict[str, Any]) -> Side:
        config = configuration.replace(small, {**settings, **levers.lasting(small)}, source="test")

        def train(handover: Handover) -> None:
            with probe_run.opened(config) as run:
                run.pace = handover
                levers.train(fold, config, run, Unseen())

        return Side(train, turn_seconds=0.01)

    readings = iter(range(100))
    found = turns.pairs(side({}), side({"model.max_depth": 2}), seconds=3.0, read=lambda: float(next(readings)))
    assert 3 <= len(found)
    assert all(turn.epochs >= 1 for pair in found for turn in pair)
    trained = convergence.train(levers.TASK, fold, small, seed=1, until=1e9, read=lambda: 0.0)
    assert 8 < len(trained.rows) <= 20


def test_fewer_data_are_the_latest_days(small: Config) -> None:
    """The watched days stay, and what is left out is the oldest."""
    fold = levers.prepare(small)
    (part, watched), examples = levers.fewer(fold, 0.25, 0)
    assert fold[1] is watched
    assert round(0.25 * len(fold[0].y)) == examples == len(part.X) == len(part.days)
    assert np.array_equal(fold[0].X[-examples:], part.X)
    assert fold[0].days.max() == part.days.max()


@pytest.mark.parametrize("asked", ["gpu", "tpu"])
def test_a_device_that_is_not_here_is_refused_before_data_are_read(
    asked: str, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, with the remedy: no lever is listed as not measured, one by one, after minutes of reading."""
    monkeypatch.setattr(device, "gpus", lambda: ())
    monkeypatch.setattr(data, "load", lambda *given, **named: pytest.fail("data were read"))
    wanted = configuration.replace(small, {"train.device": asked}, source="test")
    for measure in (command.levers, data_sizes.measure):
        with pytest.raises(PacelineError, match=r"^(A [GT]PU was asked for|XGBoost does not run on a TPU)"):
            measure(levers.TASK, wanted, budget_seconds=60.0, output=tmp_path / "page.html")
    assert [] == list(tmp_path.iterdir())
