"""The search of a model that outlines: what it may vary, and that no patient of the test has a say in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from medical_imaging import data, predict, splits, tune_outlines
from medical_imaging.cohort import Cohort
from medical_imaging.config import Config, Model
from paceline import config as configuration
from paceline.budget import Ceiling
from paceline.errors import PacelineError
from paceline.tune import command, deadline, space
from paceline.tune.settings import Tune


@pytest.fixture
def outlining(small: Config) -> Config:
    """The small configuration, of a model that outlines."""
    return configuration.replace(small, {"model.task": "segmentation", "data.patients": 40}, source="test")


@pytest.mark.parametrize("folds", [1, 2])
def test_no_patient_of_the_test_or_the_external_site_has_a_say(
    folds: int, outlining: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all their images and masks changed, trials get the same, digit for digit; no patient is in two parts."""
    config = outlining.model_copy(update={"tune": Tune(folds=folds)})
    honest = tune_outlines.prepare(config)
    load = data.load

    def poison(*arguments: Any) -> Cohort:
        cohort = load(*arguments)
        split = splits.divide(cohort, config.data, config.train.seed)
        rows = np.concatenate([split.test, split.external])
        assert len(rows)
        assert cohort.masks is not None
        images, masks = np.array(cohort.images), np.array(cohort.masks)
        images[rows], masks[rows] = 255 - images[rows], 1 - masks[rows]
        return replace(cohort, images=images, masks=masks)

    monkeypatch.setattr(data, "load", poison)
    other = tune_outlines.prepare(config)
    np.testing.assert_array_equal(honest.cohort.images, other.cohort.images)
    np.testing.assert_array_equal(honest.masks, other.masks)
    assert folds == len(honest.folds)
    patients, known = honest.cohort.patients, honest.cohort.has_mask
    assert known is not None
    for mine, theirs in zip(honest.folds, other.folds, strict=True):
        np.testing.assert_array_equal(mine.train, theirs.train)
        np.testing.assert_array_equal(mine.validation, theirs.validation)
        assert not set(patients[mine.train]) & set(patients[mine.validation])
        assert known[mine.train].all()
        assert known[mine.validation].all()
        assert 0 == len(mine.test) == len(mine.external)


@pytest.mark.parametrize(
    "chosen",
    [Model(), Model(name="fine_tuned"), Model(name="fine_tuned", backbone="none")],
    ids=lambda model: f"{model.name}-{model.backbone}",
)
def test_the_default_settings_lie_in_the_space(chosen: Model) -> None:
    """Every range holds the default, and every end of it is allowed; nothing of a classifier's is varied."""
    config = Config(model=chosen.model_copy(update={"task": "segmentation"}))
    ranges = tune_outlines.space(config)
    assert ranges == space.chosen(ranges, config, ())
    assert not {"model.head", "train.loss", "train.l1", "train.l2"} & set(ranges)
    assert ("train.augment" in ranges) == (chosen.name != "frozen")
    for key, distribution in ranges.items():
        if isinstance(distribution, CategoricalDistribution):
            values = distribution.choices
        else:
            assert isinstance(distribution, (FloatDistribution, IntDistribution))
            values = (distribution.low, distribution.high)
        for value in values:
            space.applied(config, {key: value})


def test_without_masks_there_is_nothing_to_search_by(outlining: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence each for no masks at all, and for none with a lesion."""
    load = data.load
    monkeypatch.setattr(data, "load", lambda *given: replace(load(*given), masks=None))
    with pytest.raises(PacelineError, match="There are no masks to learn from"):
        tune_outlines.prepare(outlining)

    def healthy(*given: Any) -> Cohort:
        cohort = load(*given)
        assert cohort.masks is not None
        return replace(cohort, masks=np.zeros_like(cohort.masks))

    monkeypatch.setattr(data, "load", healthy)
    with pytest.raises(PacelineError, match=r"No mask that would be learned from in one of 2 fold\(s\) has a lesion"):
        tune_outlines.prepare(outlining)


@pytest.mark.slow
def test_a_search_ends_with_a_run(outlining: Config, tmp_path: Path) -> None:
    """Two folds a trial, each from the start, judged by the loss, its Dice noted."""
    config = configuration.replace(outlining, {"train.epochs": 1}, source="test")
    tune = Tune(sampler="grid", vary=("train.learning_rate=0.001,0.003",), repeats=0)
    answer = command.tune(
        tune_outlines.TASK,
        config.model_copy(update={"tune": tune}),
        runs_folder=tmp_path / "runs",
        folder=tmp_path / "tune",
    )
    assert 2 == answer["trials"]
    assert answer["best_value"] > 0
    assert (Path(answer["best_run"]) / "model.keras").exists()
    rows = json.loads((tmp_path / "tune" / "study" / "report.json").read_text())["best_trials"]
    assert all(0 <= row["dice"] <= 1 for row in rows)


@pytest.mark.slow
def test_the_model_of_a_trial_outlines(outlining: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no time is left for a final run, the trial's own is a run that `evaluate` scores on the test."""
    monkeypatch.setattr(deadline.Budget, "final_run_fits", lambda self, trial_seconds: False)
    config = configuration.replace(outlining, {"train.epochs": 1}, source="test")
    answer = command.tune(
        tune_outlines.TASK,
        config.model_copy(update={"tune": Tune(repeats=0, folds=1)}),
        runs_folder=tmp_path / "runs",
        folder=tmp_path / "tune",
        trials=1,
        ceiling=Ceiling(600.0, "--time-budget 600s"),
    )
    assert answer["best_run_is_a_trial"]
    assert 0 <= predict.evaluate(Path(answer["best_run"]))["scores"]["dice"]["value"] <= 1
