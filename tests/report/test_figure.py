"""Figures are checked when they are made, so that a mistake shows where it is made and not in the report."""

from __future__ import annotations

import base64
import json
from typing import Any

import cv2
import numpy as np
import pytest

from paceline.report import figure

PICTURE = {
    "name": "first",
    "description": "a grey square",
    "width_px": 2,
    "height_px": 2,
    "type": "image/png",
    "data": base64.b64encode(b"\x89PNG\r\n\x1a\n...").decode(),
}
GOOD = {"title": "T", "kind": "line", "x_label": "x", "y_label": "y", "series": [{"name": "s", "x": [1], "y": [2]}]}


def test_constructors_give_plain_json() -> None:
    """NumPy arrays and NaN become JSON types."""
    curve = figure.series("s", np.array([1, 2]), np.array([0.5, np.nan]))
    spec = figure.line("T", [curve], x_label="x", y_label="y", lines=[{"name": "l", "y": np.float64(1)}])
    assert json.loads(json.dumps(spec))["series"][0]["y"] == [0.5, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": ""}, "needs a title"),
        ({"kind": "pie"}, "'pie'"),
        ({"series": []}, "no series"),
        ({"series": [{"name": "s", "x": [1]}]}, "name, x and y"),
        ({"series": [{"name": "s", "x": [1], "y": [1, 2]}]}, "lengths"),
        ({"series": [{"name": "s", "x": ["a"], "y": [1]}]}, "text in x"),
        ({"series": [{"name": "s", "x": [1], "y": ["<b>"]}]}, "text in y"),
        ({"kind": "interval"}, "low and high"),
        ({"kind": "bar", "series": [{"name": "s", "x": list(range(99)), "y": [0] * 99}]}, "99 rows"),
        ({"x_scale": "cubic"}, "cubic"),
        ({"lines": [{"name": "l"}]}, "a line needs"),
        ({"points": [{"name": "p", "x": 1}]}, "a point needs"),
        ({"lines": [{"name": "l", "from": [0], "to": [1, 1]}]}, "a line needs"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], message: str) -> None:
    """Each kind of mistake is refused with what is wrong."""
    with pytest.raises(ValueError, match=message):
        figure.check(GOOD | change)


def test_pictures_are_held_by_the_figure() -> None:
    """Arrays become encoded pictures of JSON types: a red one stays red, and what is lossless comes back exactly."""
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 200
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    names = {"names": ["red", "grey"], "descriptions": ["a red field", "a ramp"]}
    spec = json.loads(json.dumps(figure.pictures("P", [red, grey], lossless=True, **names)))
    raw = [np.frombuffer(base64.b64decode(item["data"]), np.uint8) for item in spec["pictures"]]
    assert red.tolist() == cv2.imdecode(raw[0], cv2.IMREAD_COLOR)[..., ::-1].tolist()
    assert grey.tolist() == cv2.imdecode(raw[1], cv2.IMREAD_UNCHANGED).tolist()
    assert [(6, 4), (6, 4)] == [(item["width_px"], item["height_px"]) for item in spec["pictures"]]


def test_pictures_of_a_wrong_shape_are_refused() -> None:
    """Floats and layouts with channels first are a mistake of the caller's."""
    for image in (np.zeros((4, 4)), np.zeros((3, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="of shape"):
            figure.pictures("P", [image], names=["n"], descriptions=["d"])  # type: ignore[list-item] # the mistake


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "<svg onload=x>"}, "not base64"),
        ({"data": "QUJD"}, "no image/png"),
        ({"type": "image/svg+xml"}, "svg"),
        ({"width_px": "9"}, "pixels"),
        ({"width_px": 9999, "height_px": 9999}, "pixels"),
        ({"name": None}, "needs a name"),
    ],
)
def test_a_picture_that_is_none_is_refused(change: dict[str, Any], message: str) -> None:
    """A record that somebody edited brings no other content into the page."""
    good = {"kind": "pictures", "title": "P", "pictures": [PICTURE]}
    assert good == figure.check(good)
    with pytest.raises(ValueError, match=message):
        figure.check({**good, "pictures": [PICTURE | change]})
