"""The time-savers of the medical template: what is offered, and that each can be set and trained."""

from __future__ import annotations

import pytest

from medical_imaging import levers
from medical_imaging.config import Config
from paceline import config as configuration
from paceline.levers import convergence


@pytest.mark.parametrize("name", ["frozen", "fine_tuned", "resnet18"])
def test_every_setting_is_one_of_the_configuration(name: str) -> None:
    """With a lever and without it the configuration is valid, and the two differ."""
    config = configuration.replace(Config(), {"model.name": name}, source="test")
    found = levers.levers(config)
    for lever in found:
        without = configuration.replace(config, lever.without, source="test")
        assert without != configuration.replace(config, lever.settings, source="test"), lever.name
        configuration.replace(config, {**lever.settings, **levers.lasting(config)}, source="test")
    names = [lever.name for lever in found]
    assert len(names) == len(set(names))
    assert (name == "frozen") == ("mixed precision" not in names)
    assert (name == "resnet18") == ("frozen features" not in names)


def test_a_training_is_watched_and_images_of_another_size_are_prepared_anew(small: Config) -> None:
    """A score for each epoch; another side is another set of images."""
    prepared = levers.prepare(small)
    other = configuration.replace(small, {"data.image_size_px": 64}, source="test")
    for config in (small, other):
        trained = convergence.train(levers.TASK, prepared, config, seed=1, until=1e9, read=lambda: 0.0)
        assert 2 == len(trained.rows)
        assert all(0 <= score <= 1 for _, score in trained.rows)
