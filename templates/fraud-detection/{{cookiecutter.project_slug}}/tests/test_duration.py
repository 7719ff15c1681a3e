"""The time of a run: what is refused, and what becomes of a run whose time is up before all of it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fraud_detection import predict, retrain, train
from fraud_detection.config import Config
from paceline import config as configuration
from paceline import record
from paceline.budget import Ceiling, TooLittleTimeError
from paceline.errors import PacelineError


def test_a_cluster_is_given_no_ceiling(small: Config, tmp_path: Path) -> None:
    """Nothing there would keep to it, so it is refused before any data are read."""
    changes = {"train.external_memory": True, "train.scheduler": "tcp://10.0.0.1:8786"}
    config = configuration.replace(small, changes, source="test")
    with pytest.raises(PacelineError, match=r"^--time-budget 60s was given to a Dask cluster"):
        train.train(config, runs_folder=tmp_path, ceiling=Ceiling(60.0, "--time-budget 60s"))
    assert [] == list(tmp_path.iterdir())


def test_a_run_without_time_to_train_again_keeps_what_it_has(
    small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of the days before is scored on the test and saved; it is said that it is that."""

    def no_time(*arguments: Any, **named: Any) -> Any:
        raise TooLittleTimeError("There is no time.", "Give more.")

    monkeypatch.setattr(retrain, "fit", _after_the_first(retrain.fit, no_time))
    answer = train.train(small, runs_folder=tmp_path)
    found = record.read(Path(answer["run"]))
    assert ("done", {"select"}) == (found["status"], set(found["training"]) | {found["history"]["stage"]})
    assert any(text.startswith("No time was left to train again on the latest days") for text in found["warnings"])
    again = predict.evaluate(Path(answer["run"]))
    expected = answer["scores"]["average_precision"]["value"]
    assert expected == pytest.approx(again["scores"]["average_precision"]["value"])


def _after_the_first(first: Any, then: Any) -> Any:
    calls = iter([first])
    return lambda *arguments, **named: next(calls, then)(*arguments, **named)
