"""Boxes: which answer is which object, average precision from that, and how they are drawn.

Boxes are rows of class, x1, y1, x2, y2 in pixels, answers with their score behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception import metrics
from driving_perception.figures import colours
from paceline import intervals

ENOUGH = 0.5  # overlap, of AP50
SAME = 0.55  # of two answers that are taken for one
MOST_BOXES = 100  # of a frame
FoundBoxes = NDArray[np.float32]
NOTES = {
    "ap50": "Average precision at an overlap of 0.5, mean over the classes that the test has; area under the curve.",
}


@dataclass(frozen=True)
class Matched:
    """Every answer of a test, and whether it is an object.

    Attributes:
        classes: the categories.
        frame: of each answer.
        number: class of each answer.
        sure: score of each answer.
        right: whether it has an object to itself.
        objects: (frames, classes), how many objects there are.
        band: of each answer, the place in `metrics.BANDS` of its object, or where it has none, its own.
        objects_by_band: (bands, frames, classes), the objects by the band that their lower edge is in.
    """

    classes: tuple[str, ...]
    frame: NDArray[np.int64]
    number: NDArray[np.int64]
    sure: NDArray[np.float64]
    right: NDArray[np.bool_]
    objects: NDArray[np.int64]
    band: NDArray[np.int64]
    objects_by_band: NDArray[np.int64]


def overlaps(some: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Return intersection over union of boxes (n, 4) and (m, 4), as (n, m).

    >>> overlaps(np.array([[0, 0, 2, 2]]), np.array([[0, 0, 2, 1], [5, 5, 6, 6]])).tolist()
    [[0.5, 0.0]]
    """
    corners = np.minimum(some[:, None, 2:], others[None, :, 2:]) - np.maximum(some[:, None, :2], others[None, :, :2])
    common = np.prod(np.maximum(corners, 0), axis=-1).astype(np.float64)
    areas = [np.prod(each[:, 2:] - each[:, :2], axis=-1).astype(np.float64) for each in (some, others)]
    either = areas[0][:, None] + areas[1][None] - common
    shares: NDArray[np.float64] = np.divide(common, either, out=np.zeros_like(common), where=either > 0)
    return shares


def suppress(found: FoundBoxes) -> FoundBoxes:
    """Return answers, the surest first, without those that repeat a surer one of their class."""
    kept: list[int] = []
    same = overlaps(found[:, 1:5], found[:, 1:5]) > SAME
    for place in range(len(found)):
        if not any(same[place, other] and found[place, 0] == found[other, 0] for other in kept):
            kept.append(place)
        if len(kept) == MOST_BOXES:
            break
    return found[kept]


def match(
    truth: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
    found: Sequence[FoundBoxes],
    classes: tuple[str, ...],
    *,
    height_px: int,
) -> Matched:
    """Give each object of each frame to the surest answer of its class that overlaps it enough.

    Args:
        truth: of each frame the objects, and the regions (n, 4) in which an answer counts neither way.
        found: the answers of each frame.
        classes: the categories.
        height_px: of the image that the boxes are of.
    """
    rows: list[tuple[int, int, float, bool, int]] = []
    objects = np.zeros((len(metrics.BANDS), len(truth), len(classes)), np.int64)
    for frame, ((there, ignored), answers) in enumerate(zip(truth, found, strict=True)):
        np.add.at(objects[:, frame], (metrics.bands_of(there[:, 4], height_px), there[:, 0].astype(np.intp)), 1)
        for number in np.unique(answers[:, 0]).astype(int):
            mine = answers[answers[:, 0] == number]
            mine = mine[np.argsort(-mine[:, 5], kind="stable")]
            mates = there[there[:, 0] == number][:, 1:5]
            shared, covered = overlaps(mine[:, 1:5], mates), _covered(mine[:, 1:5], ignored)
            taken = np.zeros(len(mates), bool)
            for place, answer in enumerate(mine):
                free = np.where(taken, 0.0, shared[place]) if len(mates) else np.zeros(1)
                best = int(free.argmax())
                right = bool(free[best] >= ENOUGH)
                if right:
                    taken[best] = True
                elif covered[place] >= ENOUGH:
                    continue
                lowest = mates[best, 3] if right else answer[4]
                band = int(metrics.bands_of(lowest, height_px))
                rows.append((frame, number, float(answer[5]), right, band))
    columns = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
    return Matched(
        classes,
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.float64),
        np.array(columns[3], bool),
        objects.sum(axis=0),
        np.array(columns[4], np.int64),
        objects,
    )


def _covered(found: NDArray[Any], regions: NDArray[Any]) -> NDArray[np.float64]:
    """Return how much of each box the region has that has most of it."""
    if not len(regions):
        return np.zeros(len(found))
    corners = np.minimum(found[:, None, 2:], regions[None, :, 2:]) - np.maximum(
        found[:, None, :2], regions[None, :, :2]
    )
    common = np.prod(np.maximum(corners, 0), axis=-1)
    area = np.maximum(np.prod(found[:, 2:4] - found[:, :2], axis=-1), 1e-6)
    return np.asarray((common / area[:, None]).max(axis=1), np.float64)


def average_precision(sure: NDArray[Any], right: NDArray[Any], weights: NDArray[Any], objects: float) -> float:
    """Return the area under precision against recall, precision made falling; NaN without objects.

    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), np.ones(3), 2)
    0.8333333333333333
    """
    if objects <= 0:
        return float("nan")
    order = np.argsort(-sure, kind="stable")
    hits, count = np.cumsum((weights * right)[order]), np.cumsum(weights[order])
    precision = np.divide(hits, count, out=np.zeros_like(hits, dtype=np.float64), where=count > 0)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(hits, prepend=0.0) * falling) / objects)


def score(
    matched: Matched, sequences: NDArray[Any], *, gate_class: str, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Return `ap50` and the recall of `gate_class`, with intervals by bootstrap over whole sequences."""

    def values(weights: NDArray[np.float64]) -> dict[str, float]:
        known = [each for each in _by_class(matched, weights) if not np.isnan(each)]
        found = {"ap50": float(np.mean(known)) if known else float("nan")}
        if gate_class in matched.classes:
            found[f"{gate_class}_recall"] = _recall(matched, matched.classes.index(gate_class), weights)
        return found

    found = intervals.bootstrap_many(values, sequences.astype(str), resamples=resamples, seed=seed)
    return {name: interval.state() for name, interval in found.items() if not np.isnan(interval.value)}


def slices(matched: Matched, groups: Mapping[str, NDArray[Any]], *, gate_class: str) -> list[dict[str, Any]]:
    """Return a row for each value of each group of frames, and for each band of the image that objects stand in.

    Returns:
        `slice`, `frames`, `ap50`, and where the class is known `<gate_class>_recall`, None where there is no object.
    """
    parts: list[tuple[str, Matched, NDArray[np.float64]]] = []
    for name, values in groups.items():
        known = values.astype(str)
        parts += [
            (f"{name}: {value}", matched, (known == value).astype(np.float64))
            for value in sorted(set(known) - {"", "undefined"})
        ]
    every = np.ones(len(matched.objects))
    parts += [(f"distance: {band}", _in_band(matched, place), every) for place, band in enumerate(metrics.BANDS)]
    rows = []
    for name, part, weights in parts:
        precisions = [each for each in _by_class(part, weights) if not np.isnan(each)]
        if not precisions:
            continue
        row: dict[str, Any] = {"slice": name, "frames": int(weights.sum()), "ap50": float(np.mean(precisions))}
        if gate_class in part.classes:
            share = _recall(part, part.classes.index(gate_class), weights)
            row[f"{gate_class}_recall"] = None if np.isnan(share) else share
        rows.append(row)
    return rows


def by_class(matched: Matched) -> list[dict[str, Any]]:
    """Return `class`, `objects`, `ap50` and `recall` of each class that the test has."""
    weights = np.ones(len(matched.objects))
    return [
        {
            "class": name,
            "objects": int(matched.objects[:, place].sum()),
            "ap50": precision,
            "recall": _recall(matched, place, weights),
        }
        for place, (name, precision) in enumerate(zip(matched.classes, _by_class(matched, weights), strict=True))
        if not np.isnan(precision)
    ]


def precision_recall(matched: Matched, points: int = 60) -> list[tuple[str, list[float], list[float]]]:
    """Return recall and precision of each class, over falling scores, thinned to `points`."""
    curves = []
    for place, name in enumerate(matched.classes):
        mine, objects = matched.number == place, matched.objects[:, place].sum()
        if not objects or not mine.any():
            continue
        hits = np.cumsum(matched.right[mine][np.argsort(-matched.sure[mine], kind="stable")])
        kept = np.unique(np.linspace(0, len(hits) - 1, points).round().astype(int))
        curves.append((name, (hits[kept] / objects).tolist(), (hits[kept] / (kept + 1)).tolist()))
    return curves


def missed(matched: Matched) -> NDArray[np.int64]:
    """Return how many objects of each frame no answer has."""
    hits = np.bincount(matched.frame[matched.right], minlength=len(matched.objects))
    return np.asarray(matched.objects.sum(axis=1) - hits, np.int64)


def median_boxes(objects: Sequence[NDArray[np.float32]], classes: int) -> FoundBoxes:
    """Return each class's median box, the floor: what can be said without an image."""
    every = np.concatenate(objects) if len(objects) else np.zeros((0, 5), np.float32)
    rows = [
        [number, *np.median(every[every[:, 0] == number][:, 1:5], axis=0), 1.0]
        for number in range(classes)
        if (every[:, 0] == number).any()
    ]
    return np.array(rows, np.float32).reshape(-1, 6)


def scale(found: NDArray[np.float32], from_px: tuple[int, int], to_px: tuple[int, int]) -> NDArray[np.float32]:
    """Return boxes of an image of (height, width) `from_px` as those of one of `to_px`."""
    scaled = found.copy()
    scaled[:, [1, 3]] *= to_px[1] / from_px[1]
    scaled[:, [2, 4]] *= to_px[0] / from_px[0]
    return scaled


def draw(image: NDArray[np.uint8], found: NDArray[np.float32], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Return `image` with boxes in the colours of their classes, their names above."""
    drawn, palette = np.ascontiguousarray(image).copy(), colours(classes)
    wide = max(1, image.shape[1] // 320)
    for row in found:
        colour = [int(value) for value in palette[int(row[0])]]
        x1, y1, x2, y2 = (round(float(side)) for side in row[1:5])
        cv2.rectangle(drawn, (x1, y1), (x2, y2), colour, wide)
        name = classes[int(row[0])]
        cv2.putText(drawn, name, (x1, max(8, y1 - 2)), cv2.FONT_HERSHEY_SIMPLEX, 0.3 * wide, colour, wide)
    return drawn


def _in_band(matched: Matched, place: int) -> Matched:
    """Return the objects of a band, and the answers that are one of them or stand where they would."""
    mine = matched.band == place
    return replace(
        matched,
        frame=matched.frame[mine],
        number=matched.number[mine],
        sure=matched.sure[mine],
        right=matched.right[mine],
        band=matched.band[mine],
        objects=matched.objects_by_band[place],
    )


def _by_class(matched: Matched, frame_weights: NDArray[np.float64]) -> list[float]:
    weights, objects = frame_weights[matched.frame], frame_weights @ matched.objects
    found = []
    for place in range(len(matched.classes)):
        mine = matched.number == place
        found.append(average_precision(matched.sure[mine], matched.right[mine], weights[mine], float(objects[place])))
    return found


def _recall(matched: Matched, place: int, frame_weights: NDArray[np.float64]) -> float:
    objects = float(frame_weights @ matched.objects[:, place])
    hits = float(frame_weights[matched.frame] @ (matched.right & (matched.number == place)))
    return hits / objects if objects else float("nan")
