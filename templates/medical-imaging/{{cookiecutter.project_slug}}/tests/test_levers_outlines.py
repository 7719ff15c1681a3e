"""The time-savers of a model that outlines lesions: what is offered, and that each can be set and trained."""

from __future__ import annotations

import numpy as np
import pytest

from medical_imaging import levers, levers_outlines, segmentation
from medical_imaging.config import Config
from paceline import config as configuration
from paceline.errors import PacelineError
from paceline.levers import convergence


@pytest.fixture
def outlining(small: Config) -> Config:
    """The small configuration, of a model that outlines."""
    return configuration.replace(small, {"model.task": "segmentation", "data.patients": 40}, source="test")


def test_the_task_is_the_configured_one(small: Config, outlining: Config) -> None:
    """Outlines are judged by the loss that their training watches, which is to fall."""
    assert levers.TASK is levers.task(small)
    task = levers.task(outlining)
    assert ("validation_overlap_loss", False) == (task.monitor, task.larger_is_better)


@pytest.mark.parametrize("name", ["frozen", "fine_tuned"])
def test_every_setting_is_one_that_a_model_of_outlines_takes(name: str) -> None:
    """With a lever and without it the configuration is valid and can be trained, and the two differ."""
    config = configuration.replace(Config(), {"model.task": "segmentation", "model.name": name}, source="test")
    found = levers_outlines.of_outlines(config)
    for lever in found:
        sides = [configuration.replace(config, side, source="test") for side in (lever.without, lever.settings)]
        assert sides[0] != sides[1], lever.name
        for side in sides:
            segmentation.refuse_early(side)
        configuration.replace(config, {**lever.settings, **levers.lasting(config)}, source="test")
    names = [lever.name for lever in found]
    assert len(names) == len(set(names))
    assert {"early stopping", "L2 penalty", "frozen features", "batch normalisation"} <= set(names)
    assert (name == "frozen") == ("mixed precision" not in names)


def test_a_training_is_watched_and_images_of_another_size_are_prepared_anew(outlining: Config) -> None:
    """A loss for each epoch, and the best is the smallest; another side is another set of images."""
    prepared = levers_outlines.prepare(outlining)
    other = configuration.replace(outlining, {"data.image_size_px": 64}, source="test")
    for config in (outlining, other):
        trained = convergence.train(levers_outlines.TASK, prepared, config, seed=1, until=1e9, read=lambda: 0.0)
        assert 2 == len(trained.rows)
        assert min(loss for _, loss in trained.rows) == trained.best


def test_fewer_data_are_fewer_patients(outlining: Config) -> None:
    """Whole patients, others with another seed; those that watch stay."""
    prepared = levers_outlines.prepare(outlining)
    patients = prepared.cohort.patients
    part, examples = levers_outlines.fewer(prepared, 0.5, 0)
    kept, everyone = part.folds[0].train, prepared.folds[0].train
    assert examples == len(kept)
    assert np.array_equal(prepared.folds[0].validation, part.folds[0].validation)
    assert not set(patients[kept]) & set(patients[np.setdiff1d(everyone, kept)])
    assert round(0.5 * len(set(patients[everyone]))) == len(set(patients[kept]))
    assert set(kept) != set(levers_outlines.fewer(prepared, 0.5, 1)[0].folds[0].train)


def test_a_network_without_maps_is_refused_before_data_are_read(outlining: Config) -> None:
    """By the time-savers' frame, which asks first."""
    with pytest.raises(PacelineError, match="gives no maps to outline from"):
        levers_outlines.TASK.refuse_early(configuration.replace(outlining, {"model.name": "resnet18"}, source="test"))
