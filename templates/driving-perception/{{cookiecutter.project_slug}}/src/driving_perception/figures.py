"""The domain's own charts and pictures in the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception import metrics
from paceline import intervals
from paceline.report import figure

PICTURE_WIDTH_PX = 240  # of the worst frames: a page has 1 MB for everything
OVERLAY = 0.55  # share of the colour
# Cityscapes' colours by name; other classes get the colours after these.
COLOURS: dict[str, tuple[int, int, int]] = {
    "road": (128, 64, 128), "sidewalk": (244, 35, 232), "pavement": (244, 35, 232), "building": (70, 70, 70),
    "wall": (102, 102, 156), "fence": (190, 153, 153), "pole": (153, 153, 153), "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0), "signsymbol": (220, 220, 0), "vegetation": (107, 142, 35), "tree": (107, 142, 35),
    "terrain": (152, 251, 152), "sky": (70, 130, 180), "person": (220, 20, 60), "pedestrian": (220, 20, 60),
    "rider": (255, 0, 0), "car": (0, 0, 142), "truck": (0, 0, 70), "bus": (0, 60, 100), "train": (0, 80, 100),
    "motorcycle": (0, 0, 230), "bicycle": (119, 11, 32), "bicyclist": (255, 0, 0),
}  # fmt: skip


def colours(classes: Sequence[str]) -> NDArray[np.uint8]:
    """Return an RGB colour for each class, the usual one where its name is known."""
    found = np.empty((len(classes), 3), np.uint8)
    for place, name in enumerate(classes):
        hue = np.array([[[place * 180 // max(1, len(classes)), 200, 220]]], np.uint8)
        found[place] = COLOURS.get(name.lower(), cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
    return found


def overlay(image: NDArray[np.uint8], labels: NDArray[np.uint8], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Return `image` with `labels` (height, width) in their colours over it; 255 is left as it is."""
    palette = np.vstack([colours(classes), np.zeros((256 - len(classes), 3), np.uint8)])
    painted = cv2.addWeighted(image, 1 - OVERLAY, palette[labels], OVERLAY, 0)
    return np.where((labels < len(classes))[..., None], painted, image).astype(np.uint8)


def resize(values: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Return a map (rows, columns, channels) in another size, any number of channels, interpolated."""
    if values.shape[:2] == (height, width):
        return values
    parts = [  # OpenCV takes four channels at a time
        cv2.resize(values[..., first : first + 4], (width, height), interpolation=cv2.INTER_LINEAR).reshape(
            height, width, -1
        )
        for first in range(0, values.shape[-1], 4)
    ]
    return np.concatenate(parts, axis=-1)


def of_segmentation(
    tally: metrics.Tally,
    by_class: list[dict[str, Any]],
    worst: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], str]],
    classes: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the charts of a test: the classes, calibration, what is taken for what, and the worst frames.

    Args:
        tally: of the test frames.
        by_class: see `metrics.by_class`.
        worst: image, truth, answer and a line about each frame to show.
        classes: their names.
    """
    rows = sorted(by_class, key=lambda row: -row["iou"])
    found = [
        figure.interval(
            "Intersection over union by class",
            [figure.series("test frames", *([row[key] for row in rows] for key in ("class", "iou", "low", "high")))],
            x_label="class",
            y_label="intersection over union",
            caption="Intervals from drawing whole sequences. A class that is rare in the test has a wide one.",
        ),
        _confusions(tally, classes),
        reliability(tally),
    ]
    if worst:
        pictures, names, descriptions = [], [], []
        for image, truth, answer, line in worst:
            wrong = np.where((answer != truth) & (truth != metrics.IGNORE), answer, metrics.IGNORE).astype(np.uint8)
            for labels, what in ((truth, "truth"), (answer, "answer"), (wrong, "what is wrong")):
                pictures.append(small(overlay(image, labels, classes)))
                names.append(f"{line}, {what}" if what == "truth" else what)
                descriptions.append(f"{what} over the frame {line}")
        found.append(
            figure.pictures(
                "The worst frames",
                pictures[: figure.MOST_PICTURES],
                names=names[: figure.MOST_PICTURES],
                descriptions=descriptions[: figure.MOST_PICTURES],
                caption="The test frames with the lowest mean IoU: truth, answer, and the answer where it errs.",
            )
        )
    return found


def small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `image` at the width of the report's pictures."""
    height = round(image.shape[0] * PICTURE_WIDTH_PX / image.shape[1])
    return np.asarray(cv2.resize(image, (PICTURE_WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8)


def _confusions(tally: metrics.Tally, classes: Sequence[str]) -> dict[str, Any]:
    """Return the commonest mistakes: what is taken for what, as a share of the class's pixels."""
    counts = tally.confusion.sum(axis=(0, 1)).astype(np.float64)
    there = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, there, out=np.zeros_like(counts), where=there > 0)
    np.fill_diagonal(share, 0)
    places = np.argsort(share, axis=None)[::-1][:12]
    pairs = [(int(place) // len(classes), int(place) % len(classes)) for place in places]
    return figure.bar(
        "What is taken for what",
        [
            figure.series(
                "test frames", [f"{classes[a]} → {classes[b]}" for a, b in pairs], [share[a, b] for a, b in pairs]
            )
        ],
        x_label="class → answer",
        y_label="share of the class's pixels",
        caption="The twelve commonest mistakes.",
    )


def reliability(tally: metrics.Tally) -> dict[str, Any]:
    """Return the chart of probabilities against the share of pixels that are right."""
    parts = [part for part in tally.sureness.sum(axis=0) if part[0] > 0]
    ends = [intervals.wilson(right, pixels) for pixels, right, _ in parts]
    return figure.interval(
        "Are the probabilities right?",
        [
            figure.series(
                "test pixels",
                [total / pixels for pixels, _, total in parts],
                [end.value for end in ends],
                [end.low for end in ends],
                [end.high for end in ends],
            )
        ],
        x_label="mean probability of the answer",
        y_label="share of pixels that are right",
        caption="Below the dotted line the network is too sure. Pixels of a frame are alike: less is certain.",
        lines=[{"name": "calibrated", "from": [0, 0], "to": [1, 1]}],
    )


def of_objects(
    by_class: list[dict[str, Any]],
    curves: Sequence[tuple[str, list[float], list[float]]],
    shown: Sequence[tuple[NDArray[np.uint8], str]],
) -> list[dict[str, Any]]:
    """Return the charts of detected boxes: AP50 by class, precision against recall, frames with most misses."""
    rows = sorted(by_class, key=lambda row: -row["ap50"])
    found = []
    if rows:
        names = [f"{row['class']} ({row['objects']})" for row in rows]
        found.append(
            figure.bar(
                "AP50 by class",
                [figure.series(key, names, [row[key] for row in rows]) for key in ("ap50", "recall")],
                x_label="class (objects in the test)",
                y_label="AP50; recall of all answers",
            )
        )
    if curves:
        found.append(
            figure.line(
                "Precision against recall",
                [figure.series(name, recall, precision) for name, recall, precision in curves[:6]],
                x_label="share of the objects found",
                y_label="share of the answers that are objects",
                caption="Each point is a threshold of the score; at an overlap of 0.5.",
            )
        )
    return found + grid("The frames with most missed objects", shown)


def of_lanes(slices: list[dict[str, Any]], shown: Sequence[tuple[NDArray[np.uint8], str]]) -> list[dict[str, Any]]:
    """Return the charts of lanes: accuracy by slice, and the worst frames."""
    rows = [row for row in slices if "tusimple_accuracy" in row][: figure.MOST_ROWS]
    found = []
    if rows:
        values = [row["tusimple_accuracy"] for row in rows]
        found.append(
            figure.bar(
                "Accuracy by slice",
                [figure.series("test frames", [row["slice"] for row in rows], values)],
                x_label="slice",
                y_label="TuSimple accuracy",
            )
        )
    return found + grid("The worst frames", shown)


def grid(title: str, shown: Sequence[tuple[NDArray[np.uint8], str]]) -> list[dict[str, Any]]:
    """Return pictures with a line under each as one figure; none without pictures."""
    if not shown:
        return []
    part = list(shown)[: figure.MOST_PICTURES]
    lines = [line for _, line in part]
    return [figure.pictures(title, [small(image) for image, _ in part], names=lines, descriptions=lines)]
