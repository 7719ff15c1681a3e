"""Losses of segmentation: cross-entropy with Dice, alone, on the hardest pixels, or focal; 255 is ignored everywhere.

Each is computed in float32 for one image at a time, so that the weights of filled batches hold for all of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driving_perception.config import Train
from paceline import device

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import ops  # noqa: E402 -- after its backend

IGNORE = 255
OHEM_PROBABILITY = 0.7  # a pixel whose class has less is hard (Shrivastava et al. 2016)
OHEM_SHARE = 1 / 16  # of the pixels, the hardest, count at least
FOCAL_GAMMA = 2.0  # Lin et al. 2017
LARGEST_WEIGHT = 5.0  # of a class: what is hardly ever seen must not be all that is learned


class SegmentationLoss(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
    """The loss of logits (batch, rows, columns, classes) against class numbers (batch, height, width), at half size.

    Args:
        kind: `cross_entropy`; `dice`, which adds the Dice loss (Milletari et al. 2016) over the classes of an image;
            `ohem`; `focal`.
        weights: of each class.
    """

    def __init__(self, kind: str, weights: NDArray[np.float32]) -> None:
        super().__init__(name="loss")
        self.kind, self.weights = kind, weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return a loss for each image."""
        labels, logits = at_half(y_true, y_pred)
        classes = logits.shape[-1]
        truth = ops.one_hot(labels, classes, dtype="float32")  # an ignored pixel has no class
        log_probabilities = ops.log_softmax(logits, axis=-1)
        weights = ops.sum(truth * self.weights, axis=-1)
        cross_entropy = -ops.sum(truth * log_probabilities, axis=-1)
        if self.kind == "focal":
            cross_entropy = cross_entropy * (1.0 - ops.exp(-cross_entropy)) ** FOCAL_GAMMA
        if self.kind == "ohem":
            weights = weights * _hard(cross_entropy)
        loss = ops.sum(weights * cross_entropy, axis=(1, 2)) / (ops.sum(weights, axis=(1, 2)) + 1e-6)
        if self.kind == "dice":
            loss = loss + _dice(truth, ops.exp(log_probabilities))
        return loss


def at_half(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return labels and logits at half the size of the labels: four times as cheap as at the full, nearly as fine."""
    labels = ops.cast(y_true[:, ::2, ::2], "int32")
    return labels, ops.image.resize(ops.cast(y_pred, "float32"), labels.shape[1:3], interpolation="bilinear")


def _hard(cross_entropy: Any) -> Any:
    """Return 1 for the pixels that count: those below `OHEM_PROBABILITY`, and the hardest `OHEM_SHARE` anyhow."""
    flat = ops.reshape(cross_entropy, (ops.shape(cross_entropy)[0], -1))
    most = max(1, round(flat.shape[1] * OHEM_SHARE))
    least = ops.sort(flat, axis=1)[:, -most]
    threshold = ops.minimum(least, -math.log(OHEM_PROBABILITY))
    return ops.cast(cross_entropy >= threshold[:, None, None], "float32")


def _dice(truth: Any, probabilities: Any) -> Any:
    """Return 1 less the mean Dice coefficient over the classes that an image has."""
    probabilities = probabilities * ops.sum(truth, axis=-1, keepdims=True)
    common = ops.sum(truth * probabilities, axis=(1, 2))
    sizes = ops.sum(truth, axis=(1, 2))
    both = sizes + ops.sum(probabilities, axis=(1, 2))
    there = ops.cast(sizes > 0, "float32")
    return 1.0 - ops.sum(there * 2.0 * common / (both + 1e-6), axis=-1) / (ops.sum(there, axis=-1) + 1e-6)


def class_weights(masks: NDArray[np.uint8], classes: int, rule: str) -> NDArray[np.float32]:
    """Return a weight for each class from how often it is seen in the training masks (Eigen & Fergus 2015).

    Args:
        masks: (frames, height, width), 255 ignored.
        classes: how many there are.
        rule: `median_frequency` gives a class the median of all frequencies over its own; `sqrt_median_frequency` the
            root of that, which spoils the frequent classes less; `none`.
    """
    counts = sum(np.bincount(mask.ravel(), minlength=256)[:classes] for mask in masks)
    weights = np.ones(classes, np.float32)
    seen = np.asarray(counts) > 0
    if rule != "none" and seen.any():
        frequency = np.asarray(counts, np.float64)[seen] / np.sum(counts)
        ratio = np.median(frequency) / frequency
        weights[seen] = np.minimum(ratio if rule == "median_frequency" else np.sqrt(ratio), LARGEST_WEIGHT)
    return weights


def from_config(config: Train, masks: NDArray[np.uint8], classes: int) -> SegmentationLoss:
    """Return the loss that `config` names, its class weights from the training masks."""
    return SegmentationLoss(config.loss, class_weights(masks, classes, config.class_weights))


class MeanIoU(keras.metrics.Metric):  # type: ignore[misc] # Keras publishes no types
    """Mean over the classes seen of intersection over union, from a confusion matrix that lasts over the batches.

    Keras's own has shapes that JAX cannot compile.
    """

    def __init__(self, classes: int, name: str = "mean_iou") -> None:
        super().__init__(name=name)
        self.classes = classes
        self.counts = self.add_weight(shape=(classes, classes), initializer="zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the pixels of a batch at half size; rows of weight 0 do not count."""
        labels, logits = at_half(y_true, y_pred)
        counted = ops.cast(labels < self.classes, "float32")
        if sample_weight is not None:
            counted = counted * ops.cast(ops.reshape(sample_weight, (-1, 1, 1)) > 0, "float32")
        places = ops.minimum(labels, self.classes - 1) * self.classes + ops.cast(ops.argmax(logits, axis=-1), "int32")
        found = ops.segment_sum(ops.ravel(counted), ops.ravel(places), self.classes**2)
        self.counts.assign_add(ops.reshape(found, (self.classes, self.classes)))

    def result(self) -> Any:
        """Return the mean over classes that are in the truth or in the answer."""
        both = ops.diagonal(self.counts)
        either = ops.sum(self.counts, axis=0) + ops.sum(self.counts, axis=1) - both
        seen = ops.cast(either > 0, "float32")
        return ops.sum(both / (either + 1e-6)) / (ops.sum(seen) + 1e-6)
