"""The networks: what they hold and what a frame costs, as the README says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from driving_perception import model
from driving_perception.config import Config
from driving_perception.labels import CITYSCAPES
from driving_perception.model import ENCODERS
from driving_perception.segmentation import Segmentation
from paceline import config

import keras  # isort: skip  # the backend is settled by the imports before

README = Path(__file__).parents[1] / "README.md"


def state(name: str) -> dict[str, float]:
    """Return what the record says of a preset: the default size, the classes of the drawn frames."""
    chosen = config.replace(Config(), {"model.name": name}, source="test")
    size_px = (chosen.data.image_height_px, chosen.data.image_width_px)
    classes = tuple(name for name, _, _ in CITYSCAPES)
    return model.build(chosen, Segmentation(classes, size_px), size_px).state()


@pytest.mark.parametrize("name", ENCODERS)
def test_the_readme_has_the_presets_as_they_are(name: str) -> None:
    """Parameters, arithmetic and depth are those of the network that the configuration builds."""
    found = state(name)
    row = f"| `{name}` | {found['parameters'] / 1e6:.2f} M | {found['gflop_per_frame']:.2f} | {found['layers']} |"
    assert row in README.read_text(encoding="utf-8")
    assert 1 == len(re.findall(rf"^\| `{name}` \|", README.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_arithmetic_is_that_of_the_weights() -> None:
    """Dense, depthwise and grouped: each weight is multiplied and added once for every place of the answer."""
    image = keras.Input((8, 8, 4))
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(image)
    x = keras.layers.Conv2D(6, 1, groups=2)(x)
    network = keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
    found = [model.operations(layer) for layer in network.layers if isinstance(layer, model.WEIGHTED)]
    assert [2 * 16 * 9 * 4, 2 * 16 * 6 * 2, 2 * 6 * 5] == found
