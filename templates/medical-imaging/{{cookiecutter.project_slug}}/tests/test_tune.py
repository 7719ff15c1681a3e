"""The search of the medical template: what it may vary, and that no patient of the test has a say in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from medical_imaging import data, splits, train, tune, tune_outlines
from medical_imaging.cohort import Cohort, rows_of
from medical_imaging.config import Config, Model, Train
from paceline import config as configuration
from paceline import device
from paceline.errors import PacelineError
from paceline.tune import command, space
from paceline.tune.settings import Tune


@pytest.mark.parametrize("folds", [1, 2])
def test_no_patient_of_the_test_or_the_external_site_has_a_say(
    folds: int, small: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all their images and labels changed, trials get the same, digit for digit; no patient is in two parts."""
    config = small.model_copy(update={"tune": Tune(folds=folds)})
    honest = tune.prepare(config)
    load = data.load

    def poison(*arguments: Any) -> Cohort:
        cohort = load(*arguments)
        split = splits.divide(cohort, config.data, config.train.seed)
        rows = np.concatenate([split.test, split.external])
        assert len(rows)
        images, labels = np.array(cohort.images), cohort.labels.copy()
        images[rows] = 255 - images[rows]
        poisoned = replace(cohort, images=images, labels=labels)
        monkeypatch.setattr(splits, "divide", lambda *arguments: split)  # labels have a say in the division alone
        labels[rows] = 1 - labels[rows]
        return poisoned

    monkeypatch.setattr(data, "load", poison)
    other = tune.prepare(config)
    np.testing.assert_array_equal(honest.cohort.images, other.cohort.images)
    np.testing.assert_array_equal(honest.cohort.labels, other.cohort.labels)
    assert folds == len(honest.folds)
    for (learn_on, judge_on), pair in zip(honest.folds, other.folds, strict=True):
        np.testing.assert_array_equal(learn_on, pair[0])
        np.testing.assert_array_equal(judge_on, pair[1])
        assert not set(honest.cohort.patients[learn_on]) & set(honest.cohort.patients[judge_on])


@pytest.mark.parametrize(
    "chosen",
    [Model(), Model(name="fine_tuned"), Model(name="fine_tuned", backbone="none"), Model(name="resnet18")],
    ids=lambda model: f"{model.name}-{model.backbone}",
)
def test_the_default_settings_lie_in_the_space(chosen: Model) -> None:
    """Every range holds the default, so that nothing has to be widened, and every end of it is allowed."""
    config = Config(model=chosen)
    ranges = tune.space(config)
    assert ranges == space.chosen(ranges, config, ())
    for key, distribution in ranges.items():
        if isinstance(distribution, CategoricalDistribution):
            values = distribution.choices
        else:
            assert isinstance(distribution, (FloatDistribution, IntDistribution))
            values = (distribution.low, distribution.high)
        for value in values:
            space.applied(config, {key: value})


def test_another_size_is_of_the_same_images(small: Config) -> None:
    """Row by row, so that trials of all sizes are judged by the same patients; few sizes are kept in memory."""
    prepared = tune.prepare(small)
    assert [32, 64] == list(tune.space(small)["data.image_size_px"].choices)  # type: ignore[attr-defined]
    assert prepared.cohort is prepared.of_size(small)
    for size_px in (48, 64, 96):
        other = configuration.replace(small, {"data.image_size_px": size_px}, source="test")
        found = prepared.of_size(other)
        assert (size_px, size_px) == found.images.shape[1:3]
        assert prepared.cohort.items == found.items
        np.testing.assert_array_equal(prepared.cohort.labels, found.labels)
        np.testing.assert_array_equal(prepared.cohort.patients, found.patients)
        assert found is prepared.of_size(other)
    assert [64, 96] == list(prepared._sized)


def test_images_that_another_size_loses_are_no_trial(small: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be judged by fewer: one sentence, and the trial counts as failed."""
    prepared, load = tune.prepare(small), data.load

    def one_less(*arguments: Any) -> Cohort:
        cohort = load(*arguments)
        return rows_of(cohort, np.setdiff1d(np.arange(len(cohort.items)), [cohort.items.index(first)]))

    first = prepared.cohort.items[0]
    monkeypatch.setattr(data, "load", one_less)
    other = configuration.replace(small, {"data.image_size_px": 64}, source="test")
    with pytest.raises(PacelineError, match=r"^With 64 px 1 images are blank or equal to others"):
        prepared.of_size(other)


@pytest.mark.slow
def test_sizes_are_searched(small: Config, tmp_path: Path) -> None:
    """A grid of two sizes makes two trials, and the better one is the configuration that is written."""
    settings = Tune(sampler="grid", vary=("data.image_size_px=32,64",), folds=1, repeats=0)
    config = small.model_copy(update={"tune": settings, "train": small.train.model_copy(update={"epochs": 1})})
    answer = command.tune(tune.TASK, config, runs_folder=tmp_path / "runs", folder=tmp_path / "tune")
    assert 2 == answer["trials"]
    assert configuration.load(Config, Path(answer["config"])).data.image_size_px in (32, 64)


def test_a_model_that_outlines_has_a_search_of_its_own(small: Config) -> None:
    """What is of classifiers refuses it in one sentence."""
    outlining = small.model_copy(update={"model": Model(task="segmentation")})
    assert tune_outlines.TASK is tune.task(outlining)
    assert tune.TASK is tune.task(small)
    with pytest.raises(PacelineError, match=r"model.task is 'segmentation', and this is of classifiers"):
        tune.prepare(outlining)


def test_the_final_run_is_that_of_the_command() -> None:
    """So it is held below what the search's ceiling leaves, and may be shortened."""
    assert train.train is tune.TASK.train


@pytest.mark.slow
def test_a_search_ends_with_a_run(small: Config, tmp_path: Path) -> None:
    """Two folds a trial, each from the start, and the limit on calibration measured."""
    changes = {
        "tune": Tune(sampler="grid", vary=("train.learning_rate=0.001,0.003",), repeats=0),
        "train": Train(epochs=1, device="cpu", checkpoint_seconds=0, l2=0),
    }
    answer = command.tune(
        tune.TASK, small.model_copy(update=changes), runs_folder=tmp_path / "runs", folder=tmp_path / "tune"
    )
    assert 2 == answer["trials"]
    assert 0 <= answer["best_value"] <= 1
    assert (Path(answer["best_run"]) / "model.keras").exists()


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
