"""Label maps: published ones, configured ones, and what they do with values they do not name."""

from __future__ import annotations

import numpy as np
import pytest

from driving_perception import labels
from paceline.errors import PacelineError


def test_cityscapes_label_ids_become_train_ids() -> None:
    """Road is 7 and becomes 0, bicycle 33 becomes 18; void and the licence plate (-1 in the file) are ignored."""
    encoded = labels.cityscapes("labelIds").encode(np.array([[7, 33, 0, 255]], np.uint8))
    assert [[0, 18, 255, 255]] == encoded.tolist()


def test_cityscapes_train_ids_stay() -> None:
    """Masks of train ids are class indices already; 19 is none of them."""
    encoded = labels.cityscapes("trainIds").encode(np.array([[0, 18, 255, 19]], np.uint8))
    assert [[0, 18, 255, labels.UNKNOWN]] == encoded.tolist()


def test_camvid_colours_fall_into_eleven_groups() -> None:
    """Lane markings are road, a truck is a car, void is ignored; 32 colours make 11 classes."""
    found = labels.camvid("colour")
    colours = np.array([[[128, 0, 192], [192, 128, 192], [0, 0, 0], [1, 2, 3]]], np.uint8)
    assert [[3, 8, 255, labels.UNKNOWN]] == found.encode(colours).tolist()
    assert (32, 11) == (len(found.indices), len(found.classes))


def test_unknown_values_are_written_as_in_the_configuration() -> None:
    """A message can name them so that they can be copied into config.toml."""
    assert ["12"] == labels.camvid("value").unknown(np.array([[0, 12]], np.uint8))
    assert ["#010203"] == labels.comma10k().unknown(np.array([[[1, 2, 3], [0x40, 0x20, 0x20]]], np.uint8))


def test_configured_colours_are_drawn_as_they_are() -> None:
    """A class is drawn in the first of its colours."""
    found = labels.configured({"road": ("#804080", "#800000"), "ignore": "#000000"})
    assert ("colour", ("road",), ((128, 64, 128),)) == (found.by, found.classes, found.colours)
    assert [[0, 0, 255]] == found.encode(np.array([[[128, 64, 128], [128, 0, 0], [0, 0, 0]]], np.uint8)).tolist()


@pytest.mark.parametrize(
    ("table", "cause"),
    [
        ({}, "names 0 classes"),
        ({"ignore": 0}, "names 0 classes"),
        ({"road": 0, "car": "#000000"}, "mixes values and colours"),
        ({"road": 0, "car": 0}, "taken already"),
        ({"road": -1}, "no value of a mask"),
        ({"road": "#80408"}, "is '#80408'"),
        ({"road": ()}, "road is empty"),
    ],
)
def test_a_label_map_that_cannot_be_meant_is_refused(table: dict[str, int | str], cause: str) -> None:
    """The message says which entry."""
    with pytest.raises(PacelineError, match=cause):
        labels.configured(table)
