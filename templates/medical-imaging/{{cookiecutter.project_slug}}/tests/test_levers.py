"""The time-savers of the medical template: what is offered, and that each can be set and trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medical_imaging import data, levers
from medical_imaging.config import Config
from paceline import config as configuration
from paceline import device
from paceline.errors import PacelineError
from paceline.levers import command, convergence, data_sizes


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
    assert (name == "resnet18") == ("batch normalisation" in names) == ("progressive resizing" in names)


@pytest.mark.parametrize(("gpus", "asked", "offered"), [(0, "auto", False), (1, "gpu", False), (2, "auto", True)])
def test_devices_are_compared_where_there_are_several(
    gpus: int, asked: str, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All against one."""
    monkeypatch.setattr(device, "gpus", lambda: ({"name": "a GPU"},) * gpus)
    found = levers.levers(configuration.replace(Config(), {"train.device": asked}, source="test"))
    sides = [(each.without, each.settings) for each in found if each.name == "devices"]
    assert sides == [({"train.devices": 1}, {"train.devices": "auto"})] * offered


def test_a_training_is_watched_and_images_of_another_size_are_prepared_anew(small: Config) -> None:
    """A score for each epoch; another side is another set of images."""
    prepared = levers.prepare(small)
    other = configuration.replace(small, {"data.image_size_px": 64}, source="test")
    for config in (small, other):
        trained = convergence.train(levers.TASK, prepared, config, seed=1, until=1e9, read=lambda: 0.0)
        assert 2 == len(trained.rows)
        assert all(0 <= score <= 1 for _, score in trained.rows)


def test_fewer_data_are_fewer_patients(small: Config) -> None:
    """Whole patients, others with another seed; those that watch stay."""
    prepared = levers.prepare(small)
    patients = prepared.cohort.patients
    part, examples = levers.fewer(prepared, 0.5, 0)
    (kept, watched), (everyone, watching) = part.folds[0], prepared.folds[0]
    assert examples == len(kept)
    assert np.array_equal(watching, watched)
    assert not set(patients[kept]) & set(patients[np.setdiff1d(everyone, kept)])
    assert round(0.5 * len(set(patients[everyone]))) == len(set(patients[kept]))
    assert set(kept) != set(levers.fewer(prepared, 0.5, 1)[0].folds[0][0])


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
