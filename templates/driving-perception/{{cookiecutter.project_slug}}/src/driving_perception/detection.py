"""Detection: a box around each object, found by its centre.

Each cell of a grid at 1/4 of the image says how likely an object's centre lies in it, by class (CenterNet, Zhou et al.
2019), and how far the object's four sides are from the cell (FCOS, Tian et al. 2019). There are no anchors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception import boxes, figures
from driving_perception.config import Config, Train
from driving_perception.data import Scenes
from driving_perception.tasks import Evaluation, gate_class
from paceline import device
from paceline.errors import PacelineError

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import layers, ops  # noqa: E402 -- after its backend

STRIDE = 4
SURE = 254  # a cell's target of 1; 255 is ignored
NEAR_CENTRE = 0.5  # cells with at least this target learn the sides too
PRIOR = 0.01  # of a centre, what the head says before training
LEAST_SCORE = 0.05
SHOWN_SCORE = 0.3


@dataclass(frozen=True)
class Detection:
    """The task for images of one size; an answer is `centres`, logits by class, and `sides`, distances in pixels.

    Attributes:
        classes: the categories of the boxes.
        image_size_px: height and width of what the network sees.
    """

    classes: tuple[str, ...]
    image_size_px: tuple[int, int]
    monitor = "loss"
    larger_is_better = False

    def head(self, x: Any) -> dict[str, Any]:
        """Return both answers, in float32."""
        x = layers.Conv2D(x.shape[-1], 3, padding="same", activation="relu", name="head_detection_conv")(x)
        centres = layers.Conv2D(
            len(self.classes),
            1,
            bias_initializer=keras.initializers.Constant(math.log(PRIOR / (1 - PRIOR))),
            name="head_centres",
            dtype="float32",
        )(x)
        sides = layers.Conv2D(4, 1, name="head_sides", dtype="float32")(x)
        sides = layers.Activation("softplus", name="positive_sides", dtype="float32")(sides)
        return {"centres": centres, "sides": layers.Rescaling(2.0 * STRIDE, name="sides", dtype="float32")(sides)}

    def finish(self, answer: Any) -> Any:
        """Return the answer as it is."""
        return answer

    def targets(self, scenes: Scenes) -> dict[str, NDArray[Any]]:
        """Return `centres` (rows, columns, classes) of uint8 and `sides` (rows, columns, 4) of float16, -1 for none."""
        known = _known(scenes)
        rows, columns = (-(-side // STRIDE) for side in self.image_size_px)
        centres = np.zeros((len(known), rows, columns, len(self.classes)), np.uint8)
        sides = np.full((len(known), rows, columns, 4), -1, np.float16)
        for place, (objects, ignored) in enumerate(known):
            _render(objects, ignored, centres[place], sides[place])
        return {"centres": centres, "sides": sides}

    def loss(self, config: Train, targets: Any) -> dict[str, Any]:
        """Return a loss for each of the two."""
        return {"centres": CentreLoss(), "sides": SideLoss()}

    def metrics(self) -> list[Any]:
        """Return none: the validation loss is watched."""
        return []

    def flip(self, target: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return both, mirrored: left and right sides change places."""
        return {
            "centres": target["centres"][:, ::-1].copy(),
            "sides": target["sides"][:, ::-1][..., [2, 1, 0, 3]].copy(),
        }

    def evaluate(
        self, scenes: Scenes, rows: NDArray[np.int64], train: NDArray[np.int64], answers: Iterable[Any], config: Config
    ) -> Evaluation:
        """Return AP50 beside the floor, each class's median box, by slice, and the frames with most misses."""
        known = _known(scenes)
        found = [self.decide(answer) for answer in answers]
        truth = [known[row] for row in rows]
        floor = boxes.median_boxes([known[row][0] for row in train], len(self.classes))
        height_px = self.image_size_px[0]
        matched = boxes.match(truth, found, self.classes, height_px=height_px)
        report, seed, sequences = config.report, config.train.seed, scenes.sequences[rows]
        gate = gate_class(self.classes, report)
        scores = boxes.score(matched, sequences, gate_class=gate, resamples=report.resamples, seed=seed)
        of_floor = boxes.match(truth, [floor] * len(truth), self.classes, height_px=height_px)
        for name, value in boxes.score(of_floor, sequences, gate_class=gate, resamples=0, seed=seed).items():
            if name in scores:
                scores[name]["floor"] = {"name": "median box", **value}
        missed = boxes.missed(matched)
        worst = np.argsort(-missed, kind="stable")[: report.worst_frames]
        shown = []
        for place in worst:
            image = np.asarray(scenes.images[rows[place]])
            line = f"{scenes.names[rows[place]]}: {missed[place]} missed"
            drawn = boxes.draw(image, found[place][found[place][:, 5] >= SHOWN_SCORE], self.classes)
            shown.append((boxes.draw(image, truth[place][0], self.classes), f"{line}, truth"))
            shown.append((drawn, "answer"))
        attributes = {name: values[rows] for name, values in scenes.attributes.items()}
        by_class = boxes.by_class(matched)
        return Evaluation(
            scores=scores,
            slices=boxes.slices(matched, {**attributes, "sequence": sequences}, gate_class=gate),
            notes=boxes.NOTES,
            figures=figures.of_objects(by_class, boxes.precision_recall(matched), shown),
        )

    def decide(self, answer: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return (boxes, 6): class, x1, y1, x2, y2 in pixels of the network's image, score; the surest first."""
        scores = 1 / (1 + np.exp(-answer["centres"].astype(np.float32)))
        peaks = np.stack(
            [cv2.dilate(scores[..., place], np.ones((3, 3), np.uint8)) for place in range(scores.shape[-1])], -1
        )
        rows, columns, classes = np.nonzero((scores == peaks) & (scores >= LEAST_SCORE))
        sides = answer["sides"][rows, columns]
        x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
        height, width = self.image_size_px
        found = np.stack(
            [
                classes,
                np.clip(x - sides[:, 0], 0, width),
                np.clip(y - sides[:, 1], 0, height),
                np.clip(x + sides[:, 2], 0, width),
                np.clip(y + sides[:, 3], 0, height),
                scores[rows, columns, classes],
            ],
            axis=-1,
        ).astype(np.float32)
        return boxes.suppress(found[np.argsort(-found[:, 5], kind="stable")])

    def draw(self, image: NDArray[np.uint8], answer: Any) -> NDArray[np.uint8]:
        """Return `image` with the surer boxes on it."""
        found = self.decide(answer)
        scaled = boxes.scale(found[found[:, 5] >= SHOWN_SCORE], self.image_size_px, image.shape[:2])
        return boxes.draw(image, scaled, self.classes)

    def describe(self, answer: Any, size_px: tuple[int, int]) -> dict[str, Any]:
        """Return `boxes` of an image of (height, width): `category`, `score`, `box` as x1, y1, x2, y2."""
        found = boxes.scale(self.decide(answer), self.image_size_px, size_px)
        return {
            "boxes": [
                {
                    "category": self.classes[int(row[0])],
                    "score": round(float(row[5]), 4),
                    "box": [round(float(side), 1) for side in row[1:5]],
                }
                for row in found
            ]
        }


class CentreLoss(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
    """Focal loss of centres (Law & Deng 2018): cells near one count less, one image's by its number of objects."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return a loss for each image."""
        target = ops.cast(y_true, "float32")
        counted = ops.cast(target <= SURE, "float32")
        target = ops.minimum(target / SURE, 1.0)
        logits = ops.cast(y_pred, "float32")
        probability = ops.sigmoid(logits)
        is_centre = ops.cast(target >= 1.0, "float32")
        of_centres = is_centre * (1 - probability) ** 2 * ops.softplus(-logits)
        of_others = (1 - is_centre) * (1 - target) ** 4 * probability**2 * ops.softplus(logits)
        total = ops.sum(counted * (of_centres + of_others), axis=(1, 2, 3))
        return total / ops.maximum(ops.sum(is_centre, axis=(1, 2, 3)), 1.0)


class SideLoss(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
    """1 less the intersection over union of the boxes that cells near a centre say and should say (Yu et al. 2016)."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return a loss for each image."""
        truth, found = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        there = ops.cast(truth[..., 0] >= 0, "float32")
        truth = ops.maximum(truth, 0.0)
        common = ops.minimum(truth, found)
        inner = (common[..., 0] + common[..., 2]) * (common[..., 1] + common[..., 3])
        areas = [(each[..., 0] + each[..., 2]) * (each[..., 1] + each[..., 3]) for each in (truth, found)]
        overlap = (inner + 1.0) / (areas[0] + areas[1] - inner + 1.0)
        return ops.sum(there * -ops.log(overlap), axis=(1, 2)) / ops.maximum(ops.sum(there, axis=(1, 2)), 1.0)


def _known(scenes: Scenes) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    if scenes.boxes is None:
        raise PacelineError("The data have no boxes.", "Choose another data.source, or another model.task.")
    ignored = scenes.ignored_boxes or (np.zeros((0, 4), np.float32),) * len(scenes.boxes)
    return list(zip(scenes.boxes, ignored, strict=True))


def _render(
    objects: NDArray[np.float32], ignored: NDArray[np.float32], centres: NDArray[np.uint8], sides: NDArray[np.float16]
) -> None:
    """Write the targets of a frame; where objects meet, the smaller one's sides stay."""
    rows, columns = centres.shape[:2]
    y, x = (np.arange(rows) + 0.5) * STRIDE, (np.arange(columns) + 0.5) * STRIDE
    for x1, y1, x2, y2 in ignored:
        centres[np.ix_((y >= y1) & (y <= y2), (x >= x1) & (x <= x2))] = 255
    order = np.argsort(-(objects[:, 3] - objects[:, 1]) * (objects[:, 4] - objects[:, 2]))
    for number, x1, y1, x2, y2 in objects[order]:
        middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
        column, row = min(int(middle_x // STRIDE), columns - 1), min(int(middle_y // STRIDE), rows - 1)
        wide, high = max(STRIDE / 2, (x2 - x1) / 6), max(STRIDE / 2, (y2 - y1) / 6)
        near = np.exp(-(((x - x[column]) / wide) ** 2)[None] / 2 - (((y - y[row]) / high) ** 2)[:, None] / 2)
        plane = centres[..., int(number)]
        value = np.where(near >= 1, SURE, np.minimum(near * SURE, SURE - 1)).astype(np.uint8)
        plane[...] = np.where(plane == 255, plane, np.maximum(plane, value))
        inside = ((x > x1) & (x < x2))[None] & ((y > y1) & (y < y2))[:, None] & (near >= NEAR_CENTRE)
        inside[row, column] = True
        at = np.nonzero(inside)
        found = np.stack([x[at[1]] - x1, y[at[0]] - y1, x2 - x[at[1]], y2 - y[at[0]]], axis=-1)
        sides[at] = np.maximum(found, 0)
