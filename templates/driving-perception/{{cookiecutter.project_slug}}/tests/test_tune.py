"""The search of the driving template: what it may vary, and that no sequence of the test has a say in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from driving_perception import data, splits, tune
from driving_perception.config import Config
from driving_perception.data import Scenes
from paceline import config as configuration
from paceline import device
from paceline.errors import PacelineError
from paceline.tune import command, space
from paceline.tune.settings import Tune


@pytest.mark.parametrize("folds", [1, 3])
def test_no_sequence_of_the_test_has_a_say(
    folds: int, small: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all its frames and masks changed trials get the same, digit for digit; no sequence is in two parts."""
    config = small().model_copy(update={"tune": Tune(folds=folds)})
    honest = tune.prepare(config)
    load = data.load

    def poison(*arguments: Any) -> Scenes:
        scenes = load(*arguments)
        rows = splits.divide(scenes, config.data, config.train.seed).test
        assert len(rows)
        images, masks = np.array(scenes.images), np.array(scenes.masks)
        images[rows], masks[rows] = 255 - images[rows], 0
        return replace(scenes, images=images, masks=masks)

    monkeypatch.setattr(data, "load", poison)
    other = tune.prepare(config)
    np.testing.assert_array_equal(honest.scenes.images, other.scenes.images)
    np.testing.assert_array_equal(np.asarray(honest.scenes.masks), np.asarray(other.scenes.masks))
    assert folds == len(honest.folds)
    for mine, theirs in zip(honest.folds, other.folds, strict=True):
        np.testing.assert_array_equal(mine.train, theirs.train)
        np.testing.assert_array_equal(mine.validation, theirs.validation)
        sequences = honest.scenes.sequences
        assert not set(sequences[mine.train]) & set(sequences[mine.validation])


def test_folds_of_sequences_need_as_many_sequences(small: Callable[..., Config]) -> None:
    """One sentence says how many there are."""
    with pytest.raises(PacelineError, match=r"tune\.folds is 7, and there are 6 sequences beside the test's"):
        tune.prepare(small().model_copy(update={"tune": Tune(folds=7)}))


@pytest.mark.parametrize("name", ["frozen", "small"])
@pytest.mark.parametrize("task", ["segmentation", "detection", "lanes"])
def test_the_default_settings_lie_in_the_space(name: str, task: str) -> None:
    """Every range holds the default, every end of it is allowed, and a loss that judges is not varied."""
    config = configuration.replace(Config(), {"model.name": name, "model.task": task}, source="test")
    ranges = tune.space(config)
    assert ranges == space.chosen(ranges, config, ())
    assert (task == "segmentation") == ("train.loss" in ranges)
    for key, distribution in ranges.items():
        if isinstance(distribution, CategoricalDistribution):
            values = distribution.choices
        else:
            assert isinstance(distribution, (FloatDistribution, IntDistribution))
            values = (distribution.low, distribution.high)
        for value in values:
            space.applied(config, {key: value})


@pytest.mark.slow
def test_a_search_ends_with_a_run_and_keeps_the_limit(small: Callable[..., Config], tmp_path: Path) -> None:
    """Two folds a trial; the time of a frame is measured where it is a limit."""
    config = small(epochs=2)
    changes: dict[str, Any] = {
        "tune": Tune(sampler="grid", vary=("train.learning_rate=0.001,0.003",), repeats=0, limits=("latency",)),
        "report": config.report.model_copy(update={"latency_budget_ms": 1e6}),
        # Weights of the classes are constants of the program, others in each fold: without them it is compiled once.
        "train": config.train.model_copy(update={"class_weights": "none"}),
    }
    answer = command.tune(
        tune.task(config), config.model_copy(update=changes), runs_folder=tmp_path / "runs", folder=tmp_path / "tune"
    )
    assert 2 == answer["trials"]
    assert 0 <= answer["best_value"] <= 1
    assert (Path(answer["best_run"]) / "model.keras").exists()


@pytest.mark.parametrize("asked", ["gpu", "tpu"])
def test_a_device_that_is_not_here_is_refused_before_data_are_read(
    asked: str, small: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, with the remedy, and no study is begun."""
    monkeypatch.setattr(device, "gpus", lambda: ())
    monkeypatch.setattr(data, "load", lambda *given, **named: pytest.fail("data were read"))
    wanted = configuration.replace(small(), {"train.device": asked}, source="test")
    with pytest.raises(PacelineError, match=r"^(A [GT]PU was asked for|XGBoost does not run on a TPU)"):
        command.tune(tune.task(wanted), wanted, runs_folder=tmp_path / "runs", folder=tmp_path / "tune")
    assert [] == list(tmp_path.iterdir())
