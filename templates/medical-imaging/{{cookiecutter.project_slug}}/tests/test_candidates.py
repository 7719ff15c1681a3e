"""Backbones ranked for a data set: the best first, those that cannot be had last, and what there is to refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from medical_imaging import candidates, tune, tune_outlines
from medical_imaging.config import Config
from paceline import config as configuration
from paceline import fit_keras

import keras  # isort: skip  # the backend is settled by the imports before


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own backbone that sees little."""
    images = keras.Input((32, 32, 3))
    maps = keras.layers.Conv2D(2, 16, strides=16, kernel_initializer=keras.initializers.GlorotNormal(0))(images)
    path = tmp_path_factory.mktemp("backbone") / "coarse.keras"
    fit_keras.save_model(keras.Model(images, maps), path)
    return path


def test_the_best_comes_first(coarse: Path, small: Config) -> None:
    """The configured one is among them; what cannot be had stands last with its reason."""
    found = candidates.rank(small, [str(coarse), "Nowhere"])
    first, second, last = found["backbones"]
    assert {"none", str(coarse)} == {first["backbone"], second["backbone"]}
    assert found["best"] == first["backbone"]
    assert first["logme"] >= second["logme"]
    assert 0 <= first["probe"]["low"] <= first["probe"]["value"] <= first["probe"]["high"] <= 1
    assert "There is no backbone 'Nowhere'" in last["error"]


def test_only_training_and_validation_have_a_say(small: Config, coarse: Path) -> None:
    """As many images as a search sees."""
    assert len(tune.prepare(small).cohort.items) == candidates.rank(small, [str(coarse)])["images"]


def test_outlines_are_ranked_by_their_pixels(small: Config, coarse: Path) -> None:
    """The same answer, of as many pixels in lesions as beside them; the images are those of a search."""
    config = configuration.replace(small, {"model.task": "segmentation", "data.patients": 40}, source="test")
    found = candidates.rank(config, [str(coarse), "Nowhere"])
    first, second, last = found["backbones"]
    assert {"none", str(coarse)} == {first["backbone"], second["backbone"]}
    assert found["best"] == first["backbone"]
    assert first["logme"] >= second["logme"]
    assert first["pixels"] == second["pixels"] > 0
    assert 0 == first["pixels"] % 2
    assert "There is no backbone 'Nowhere'" in last["error"]
    split = tune_outlines.prepare(config).folds[0]
    assert len(split.train) + len(split.validation) == found["images"]
    assert "pixels on the grid of stride 16, as many in lesions as beside them" == found["examples"]
