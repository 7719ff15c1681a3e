"""Segmentation: a class for every pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception import figures, losses, metrics
from driving_perception.config import Config, Train
from driving_perception.data import Scenes
from driving_perception.tasks import Evaluation, gate_class
from paceline import device
from paceline.errors import PacelineError

device.keras_backend()  # settles it before Keras looks for one

from keras import layers  # noqa: E402 -- after its backend


@dataclass(frozen=True)
class Segmentation:
    """The task for images of one size; an answer is logits (rows, columns, classes).

    Attributes:
        classes: their names.
        image_size_px: height and width of what the network sees.
    """

    classes: tuple[str, ...]
    image_size_px: tuple[int, int]
    monitor = "mean_iou"
    larger_is_better = True

    def head(self, x: Any) -> Any:
        """Return logits at 1/4 of the image, where the loss is computed at half its size: a sixth of the time."""
        return layers.Conv2D(len(self.classes), 1, name="head_segmentation", dtype="float32")(x)

    def finish(self, answer: Any) -> Any:
        """Return logits of every pixel, interpolated."""
        return layers.Resizing(*self.image_size_px, interpolation="bilinear", name="full_size", dtype="float32")(answer)

    def targets(self, scenes: Scenes) -> NDArray[np.uint8]:
        """Return the masks."""
        if scenes.masks is None:
            raise PacelineError("The data have no masks.", "Choose another data.source, or another model.task.")
        return scenes.masks

    def loss(self, config: Train, targets: NDArray[np.uint8]) -> Any:
        """Return the configured loss, its class weights from the training masks."""
        return losses.from_config(config, targets, len(self.classes))

    def metrics(self) -> list[Any]:
        """Return the mean IoU."""
        return [losses.MeanIoU(len(self.classes))]

    def flip(self, target: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a mask, mirrored."""
        return np.asarray(target[:, ::-1].copy(), np.uint8)

    def evaluate(
        self, scenes: Scenes, rows: NDArray[np.int64], train: NDArray[np.int64], answers: Iterable[Any], config: Config
    ) -> Evaluation:
        """Return the scores beside the location prior, slices, and the worst frames as overlays."""
        masks = self.targets(scenes)
        prior = metrics.location_prior((masks[row] for row in train), len(self.classes))
        tally, floor = metrics.Tally(self.classes), metrics.Tally(self.classes)
        found, (height, width) = [], self.image_size_px
        for row, logits in zip(rows, answers, strict=True):
            answer, sure = decide(figures.resize(logits, width, height))
            truth = np.asarray(masks[row])
            tally.add(truth, answer, sure)
            floor.add(truth, prior)
            found.append(answer)
        sequences, report, seed = scenes.sequences[rows], config.report, config.train.seed
        gate = gate_class(self.classes, report)
        scores = metrics.score(tally, sequences, gate_class=gate, resamples=report.resamples, seed=seed)
        for name, value in metrics.score(floor, sequences, gate_class=gate, resamples=0, seed=seed).items():
            scores[name]["floor"] = {"name": "location prior", **value}
        attributes = {name: values[rows] for name, values in scenes.attributes.items()}
        by_class = metrics.by_class(tally, sequences, resamples=report.resamples, seed=seed)
        quality = [metrics.mean(metrics.iou(counts.sum(axis=0))) for counts in tally.confusion]
        worst = np.argsort(quality)[: report.worst_frames]
        shown = [
            (np.asarray(scenes.images[rows[place]]), np.asarray(masks[rows[place]]), found[place],
             f"{scenes.names[rows[place]]}: mean IoU {quality[place]:.2f}")
            for place in worst
        ]  # fmt: skip
        return Evaluation(
            scores=scores,
            slices=metrics.slices(tally, sequences, attributes, gate_class=gate),
            notes=NOTES,
            figures=figures.of_segmentation(tally, by_class, shown, self.classes),
            warnings=doubts(by_class, sequences),
        )

    def draw(self, image: NDArray[np.uint8], answer: Any) -> NDArray[np.uint8]:
        """Return `image` with the classes in their colours, halfway through."""
        height, width = image.shape[:2]
        classes, _ = decide(figures.resize(answer, width, height))
        return figures.overlay(image, classes, self.classes)

    def describe(self, answer: Any, size_px: tuple[int, int]) -> dict[str, Any]:
        """Return `shares` of the classes in an image of (height, width), and the `map` of its pixels."""
        classes, _ = decide(figures.resize(answer, size_px[1], size_px[0]))
        share = np.bincount(classes.ravel(), minlength=len(self.classes)) / classes.size
        shares = {name: round(float(value), 4) for name, value in zip(self.classes, share, strict=True) if value > 0}
        return {"shares": shares, "map": classes}


def decide(logits: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the likeliest class of each pixel (height, width), and its probability."""
    best = logits.argmax(axis=-1)
    highest = logits.max(axis=-1)
    return best.astype(np.uint8), 1.0 / np.exp(logits - highest[..., None]).sum(axis=-1)


def likeliest(logits: NDArray[np.float32], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the likeliest class of each pixel of an image of (height, width), as `decide` does, in less time.

    It goes class by class: all of them at the size of a camera's frame are more than a processor's cache holds.
    """
    planes = (cv2.resize(plane, size_px[::-1], interpolation=cv2.INTER_LINEAR) for plane in cv2.split(logits))
    highest = next(planes)
    best = np.zeros(size_px, np.uint8)
    for number, plane in enumerate(planes, start=1):
        best[plane > highest] = number
        highest = np.maximum(highest, plane)
    return best


def doubts(by_class: list[dict[str, Any]], sequences: NDArray[Any]) -> list[str]:
    """Return what a reader must know before believing the scores."""
    found = []
    missed = [row["class"] for row in by_class if row["recall"] == 0]
    if missed:
        found.append(f"Nothing of {', '.join(missed)} was found in the test frames.")
    if len(set(sequences)) < 5:
        found.append(
            f"The test has {len(set(sequences))} sequence(s): the intervals, which draw whole sequences, say little."
        )
    return found


NOTES = {
    "mean_iou": "Mean over the classes seen of intersection over union, of all pixels of the test together.",
    "boundary_f1": (
        f"Boundaries count as found within {metrics.BOUNDARY_TOLERANCE:.2%} of the image's diagonal; mean over classes."
    ),
    "calibration_error": "Mean distance of the probability of an answer from the share of such pixels that are right.",
}
