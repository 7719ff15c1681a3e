"""What every format comes down to: frames with a mask, boxes or lanes, in pixels of the image as it is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driving_perception.labels import Labels
from paceline.cache import Refused
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}  # as folders are called
UNDEFINED = "undefined"  # BDD100K's word for an attribute that is not known
ATTRIBUTES = ("weather", "timeofday", "scene")
SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_COORDINATE_PX = 1e6


@dataclass(frozen=True)
class Box:
    """An object's box, edges in pixels; `ignored` ones mark a region that is neither object nor background."""

    category: str
    x1: float
    y1: float
    x2: float
    y2: float
    ignored: bool = False


@dataclass(frozen=True)
class Frame:
    """One image and what is known of it.

    Attributes:
        name: its path in the data set, without the suffix.
        image: the file.
        sequence: the drive that it is of, or the shortest piece of one that the format tells apart.
        official: "train", "val" or "test" where the data set says, else "".
        mask: the file.
        boxes: of its objects.
        lanes: (points, 2), x and y, one array a lane.
        attributes: of `ATTRIBUTES`, where known.
    """

    name: str
    image: Path
    sequence: str
    official: str = ""
    mask: Path | None = None
    boxes: tuple[Box, ...] = ()
    lanes: tuple[NDArray[np.float32], ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """The frames of a data set, before any of them is opened.

    Attributes:
        frames: in the order of their names.
        labels: what their masks mean; None without masks.
        categories: of their boxes; the place is the class index.
    """

    frames: tuple[Frame, ...]
    labels: Labels | None = None
    categories: tuple[str, ...] = ()


def refuse(quarantine: Quarantine, source: str, location: str, reason: str, example: str = "") -> None:
    """Count one frame as read and hand it over; see `Quarantine.add`."""
    quarantine.count(read=1)
    quarantine.add(source, location, reason, example)


def numbers(values: Any, count: int) -> list[float]:
    """Return `count` finite coordinates.

    Raises:
        Refused: there are not as many, or one is no number in pixels.
    """
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        found = []
    if len(found) != count or not all(abs(value) <= MAX_COORDINATE_PX for value in found):
        raise Refused("a coordinate is missing or no number")
    return found


def edges(values: Any) -> tuple[float, float, float, float]:
    """Return the four coordinates of a box; see `numbers`."""
    one, two, three, four = numbers(values, 4)
    return one, two, three, four


def fitted_boxes(
    boxes: Sequence[Box], size_px: tuple[int, int], image_px: tuple[int, int], categories: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return boxes cut off at the frame's edges and scaled from `size_px` to `image_px`, both (width, height).

    Returns:
        The objects as (objects, 5), class index, x1, y1, x2, y2; the ignored regions as (regions, 4).

    Raises:
        Refused: a box has no area, or none within the frame.
    """
    width, height = size_px
    scale_x, scale_y = image_px[0] / width, image_px[1] / height
    objects: list[list[float]] = []
    regions: list[list[float]] = []
    for box in boxes:
        if not (box.x1 < box.x2 and box.y1 < box.y2):
            raise Refused("a box has no area")
        x1, x2 = (min(max(x, 0.0), width) * scale_x for x in (box.x1, box.x2))
        y1, y2 = (min(max(y, 0.0), height) * scale_y for y in (box.y1, box.y2))
        if not (x1 < x2 and y1 < y2):
            raise Refused("a box lies outside its frame")
        if box.ignored:
            regions.append([x1, y1, x2, y2])
        else:
            objects.append([categories.index(box.category), x1, y1, x2, y2])
    return np.array(objects, np.float32).reshape(-1, 5), np.array(regions, np.float32).reshape(-1, 4)


def fitted_lanes(
    lanes: Sequence[NDArray[np.float32]], size_px: tuple[int, int], image_px: tuple[int, int]
) -> tuple[NDArray[np.float32], ...]:
    """Return lanes scaled from `size_px` to `image_px`, both (width, height)."""
    scale = np.array([image_px[0] / size_px[0], image_px[1] / size_px[1]], np.float32)
    return tuple(lane * scale for lane in lanes)


def read_json(file: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        PacelineError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PacelineError(f"'{file}' cannot be read: {error.strerror}.", "Check data.path.") from None
    except (ValueError, RecursionError) as error:
        raise PacelineError(f"'{file}' is no valid JSON: {error}.", "Fetch or write it again.") from None


def attributes(given: Any) -> dict[str, str]:
    """Return the attributes of a frame that are known.

    >>> attributes({"weather": "rainy", "scene": "", "speed": 3})
    {'weather': 'rainy'}
    """
    if not isinstance(given, Mapping):
        return {}
    return {name: given[name] for name in ATTRIBUTES if isinstance(given.get(name), str) and given[name]}


def pictures_in(folder: Path, *, deep: bool = True) -> list[Path]:
    """Return the PNG and JPEG files in `folder`, and with `deep` below it, by name; none where there is no folder."""
    found = folder.rglob("*") if deep else folder.glob("*")
    return sorted(file for file in found if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
