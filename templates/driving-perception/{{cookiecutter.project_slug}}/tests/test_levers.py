"""The time-savers of the driving template: what is offered, and that each can be set and trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from driving_perception import data, levers, splits
from driving_perception.config import Config
from paceline import config as configuration
from paceline import device
from paceline.errors import PacelineError
from paceline.levers import command, convergence, data_sizes
from paceline.quarantine import Quarantine


@pytest.mark.parametrize("name", ["frozen", "small"])
@pytest.mark.parametrize("task", ["segmentation", "detection", "lanes"])
def test_every_setting_is_one_of_the_configuration(name: str, task: str) -> None:
    """With a lever and without it the configuration is valid, and the two differ; loss is watched but for maps."""
    config = configuration.replace(Config(), {"model.name": name, "model.task": task}, source="test")
    found = levers.levers(config)
    for lever in found:
        without = configuration.replace(config, lever.without, source="test")
        assert without != configuration.replace(config, lever.settings, source="test"), lever.name
    names = [lever.name for lever in found]
    assert len(names) == len(set(names))
    assert {"batch normalisation", "transfer learning"} <= set(names)
    assert (name == "small") == ("progressive resizing" in names)
    assert (task == "segmentation") == levers.task(config).larger_is_better


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"model.name": "frozen"}, [({"model.name": "small"}, {"model.name": "frozen"})]),
        ({"model.name": "base"}, [({"model.name": "base"}, {"model.name": "frozen"})]),
        ({"model.backbone": "none"}, []),
        (
            {"model.name": "small", "transfer.from_run": "runs/1"},
            [({"transfer.from_run": ""}, {"transfer.from_run": "runs/1"})],
        ),
    ],
)
def test_weights_of_others_are_compared_with_a_network_from_scratch(
    settings: dict[str, str], expected: list[tuple[dict[str, str], dict[str, str]]]
) -> None:
    """Those of an earlier run where one is named, else the pretrained backbone's."""
    found = levers.levers(configuration.replace(Config(), settings, source="test"))
    assert expected == [(each.without, each.settings) for each in found if each.name == "transfer learning"]


@pytest.mark.parametrize(("gpus", "asked", "offered"), [(0, "auto", False), (1, "gpu", False), (2, "auto", True)])
def test_devices_are_compared_where_there_are_several(
    gpus: int, asked: str, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All against one."""
    monkeypatch.setattr(device, "gpus", lambda: ({"name": "a GPU"},) * gpus)
    found = levers.levers(configuration.replace(Config(), {"train.device": asked}, source="test"))
    sides = [(each.without, each.settings) for each in found if each.name == "devices"]
    assert sides == [({"train.devices": 1}, {"train.devices": "auto"})] * offered


def test_frames_of_the_test_are_left_behind(small: Callable[..., Config]) -> None:
    """What trainings share holds every other frame, divided as a run divides them."""
    config = small("segmentation")
    scenes = data.load(config.data, "segmentation", Quarantine())
    split = splits.divide(scenes, config.data, config.train.seed)
    prepared = levers.prepare(config)
    test = {scenes.names[row] for row in split.test}
    assert test
    assert not test & set(prepared.scenes.names)
    expected = [scenes.names[row] for row in split.validation]
    assert expected == [prepared.scenes.names[row] for row in prepared.split.validation]
    np.testing.assert_array_equal(scenes.images[split.train], prepared.scenes.images[prepared.split.train])


def test_a_training_is_watched(small: Callable[..., Config]) -> None:
    """A score for each epoch."""
    config = small("segmentation", epochs=2)
    trained = convergence.train(
        levers.task(config), levers.prepare(config), config, seed=1, until=1e9, read=lambda: 0.0
    )
    assert 2 == len(trained.rows)
    assert all(0 <= score <= 1 for _, score in trained.rows)


def test_fewer_data_are_fewer_sequences(small: Callable[..., Config]) -> None:
    """Whole sequences, at least one; those that watch stay."""
    prepared = levers.prepare(small())
    sequences, split = prepared.scenes.sequences.astype(str), prepared.split
    part, examples = levers.fewer(prepared, 0.5, 0)
    assert examples == len(part.split.train) < len(split.train)
    assert np.array_equal(split.validation, part.split.validation)
    assert not set(sequences[part.split.train]) & set(sequences[np.setdiff1d(split.train, part.split.train)])
    assert 1 == len(set(sequences[levers.fewer(prepared, 0.0, 0)[0].split.train]))


@pytest.mark.parametrize("asked", ["gpu", "tpu"])
def test_a_device_that_is_not_here_is_refused_before_data_are_read(
    asked: str, small: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, with the remedy: no lever is listed as not measured, one by one, after minutes of reading."""
    monkeypatch.setattr(device, "gpus", lambda: ())
    monkeypatch.setattr(data, "load", lambda *given, **named: pytest.fail("data were read"))
    wanted = configuration.replace(small(), {"train.device": asked}, source="test")
    for measure in (command.levers, data_sizes.measure):
        with pytest.raises(PacelineError, match=r"^(A [GT]PU was asked for|XGBoost does not run on a TPU)"):
            measure(levers.task(wanted), wanted, budget_seconds=60.0, output=tmp_path / "page.html")
    assert [] == list(tmp_path.iterdir())
