"""BDD100K, and the synthetic scenes, which have its layout.

```
images/{10k,100k}/<split>/<name>.jpg          labels/sem_seg/masks/<split>/<name>.png   Cityscapes' train ids
labels/det_20/det_<split>.json                labels/lane/polygons/lane_<split>.json
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driving_perception import labels
from driving_perception.annotations import (
    Box,
    Frame,
    Listing,
    attributes,
    edges,
    numbers,
    pictures_in,
    read_json,
    refuse,
)
from paceline.cache import Refused
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

CATEGORIES = (
    "pedestrian",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
    "traffic light",
    "traffic sign",
)
IGNORED = ("other vehicle", "other person", "trailer")
FORMERLY = {"person": "pedestrian", "bike": "bicycle", "motor": "motorcycle"}  # names of the labels of 2018
NO_LANES = ("crosswalk", "road curb")
CURVE_POINTS = 8  # that a cubic Bézier curve becomes
SPLITS = ("train", "val", "test")


def find(root: Path, task: str, quarantine: Quarantine) -> Listing:
    """Return the frames that have a mask (segmentation), boxes (detection) or lane markings (lanes).

    Attributes and the video's name come from the boxes' file. Without a `videoName` each frame is a sequence: BDD100K
    took one frame of each of its videos. Lanes are the markings along the road, without kerbs and crosswalks.

    Raises:
        PacelineError: there is no annotation for the task, or a split's are without an image.
    """
    known = {split: _entries(root / f"labels/det_20/det_{split}.json") for split in SPLITS}
    marked = {split: _entries(root / f"labels/lane/polygons/lane_{split}.json") for split in SPLITS}
    frames: list[Frame] = []
    for split in SPLITS:
        images = {
            file.stem: file
            for size in ("100k", "10k")
            for file in pictures_in(root / "images" / size / split, deep=False)
        }
        masks = {file.stem: file for file in pictures_in(root / "labels/sem_seg/masks" / split, deep=False)}
        wanted: dict[str, Mapping[str, Any]] = {
            "segmentation": masks,
            "detection": known[split],
            "lanes": marked[split],
        }
        annotated = wanted[task]
        if not images and not annotated:
            continue
        if annotated and not images:
            raise PacelineError(
                f"The split '{split}' in '{root}' has annotations and no image.", f"Fetch images/100k/{split}."
            )
        smaller = {file.stem for file in pictures_in(root / "images/10k" / split, deep=False)}
        for name in sorted(smaller - annotated.keys()) if task == "segmentation" else ():
            refuse(quarantine, str(images[name]), "", "the image has no mask")  # all of the 10k have one
        for name in sorted(annotated):
            if name not in images:
                refuse(quarantine, name, split, "the annotation has no image")
                continue
            entry = known[split].get(name) or marked[split].get(name) or {}
            try:
                frames.append(_frame(f"{split}/{name}", images[name], split, entry, task, annotated[name]))
            except Refused as error:
                refuse(quarantine, name, split, error.reason)
    if not frames and not quarantine.read:
        raise PacelineError(
            f"There is no annotation for {task} in '{root}'.",
            "It lies in labels/sem_seg/masks, labels/det_20 and labels/lane/polygons beside images/.",
        )
    return Listing(tuple(frames), labels.cityscapes("trainIds") if task == "segmentation" else None, CATEGORIES)


def _frame(name: str, image: Path, split: str, entry: Mapping[str, Any], task: str, annotation: Any) -> Frame:
    return Frame(
        name,
        image,
        sequence=str(entry.get("videoName") or name),
        official=split,
        mask=annotation if task == "segmentation" else None,
        boxes=tuple(_boxes(annotation)) if task == "detection" else (),
        lanes=tuple(_lanes(annotation)) if task == "lanes" else (),
        attributes=attributes(entry.get("attributes")),
    )


def _entries(file: Path) -> dict[str, Mapping[str, Any]]:
    """Return the file's entries by the name of their image, without its suffix; nothing where there is no file."""
    if not file.exists():
        return {}
    entries = read_json(file)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "name" in entry for entry in entries):
        raise PacelineError(f"'{file}' is no list of frames with names.", "Fetch it again, in the format of 2020.")
    return {Path(str(entry["name"])).stem: entry for entry in entries}


def _objects(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = entry.get("labels") or ()  # a frame without objects has null
    if not isinstance(found, list | tuple) or not all(isinstance(item, dict) for item in found):
        raise Refused("the labels are no list of objects")
    yield from found


def _boxes(entry: Mapping[str, Any]) -> Iterator[Box]:
    for item in _objects(entry):
        box = item.get("box2d")
        if box is None:
            continue
        category = FORMERLY.get(str(item.get("category")), str(item.get("category")))
        if category not in CATEGORIES + IGNORED:
            raise Refused("a box has an unknown category")
        found = edges([box.get(edge) for edge in ("x1", "y1", "x2", "y2")] if isinstance(box, dict) else ())
        yield Box(category, *found, ignored=category in IGNORED)


def _lanes(entry: Mapping[str, Any]) -> Iterator[NDArray[np.float32]]:
    for item in _objects(entry):
        along = (item.get("attributes") or {}).get("laneDirection", "parallel") == "parallel"
        if not along or item.get("category") in NO_LANES:
            continue
        for line in item.get("poly2d") or ():
            if not isinstance(line, dict) or not isinstance(line.get("vertices"), list) or len(line["vertices"]) < 2:
                raise Refused("a lane has no two points")
            points = np.array([numbers(point, 2) for point in line["vertices"]], np.float32)
            yield _flattened(points, str(line.get("types") or "L" * len(points)))


def _flattened(points: NDArray[np.float32], types: str) -> NDArray[np.float32]:
    """Return a polyline through vertices (L) and the cubic Bézier curves that pairs of control points (CC) stand for.

    >>> _flattened(np.array([[0, 0], [0, 0], [9, 9], [9, 9]], np.float32), "LCCL")[[0, -1]].tolist()
    [[0.0, 0.0], [9.0, 9.0]]
    """
    if len(types) != len(points):
        raise Refused("a lane has other types than points")
    found = [points[:1]]
    place = 1
    while place < len(points):
        if types[place : place + 2] == "CC" and place + 2 < len(points):
            t = np.linspace(0, 1, CURVE_POINTS + 1, dtype=np.float32)[1:, None]
            a, b, c, d = points[place - 1 : place + 3]
            found.append((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)
            place += 3
        else:
            found.append(points[place : place + 1])
            place += 1
    return np.concatenate(found).astype(np.float32)
