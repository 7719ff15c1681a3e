"""What a network is trained by: cross-entropy that skips unknown labels and weighs rare classes, focal loss, Dice."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from paceline import device

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import ops  # noqa: E402 -- after its backend

GAMMA = 2.0  # of the focal loss: Lin et al. 2017
BINS = 200  # of the watched AUROC

Kind = Literal["weighted", "focal", "plain"]


class CrossEntropy(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
    """Cross-entropy of logits with targets from 0 to 1; a target below 0 is unknown and counts nothing.

    Args:
        kind: `weighted` multiplies by `weights`, `focal` by (1 - p)^2 of the true class, `plain` by nothing.
        weights: by class, as `targets.class_weights` gives them.
        exclusive: of several classes one is present (softmax); otherwise each stands alone (sigmoid).
    """

    def __init__(self, kind: Kind, weights: NDArray[np.float32], *, exclusive: bool) -> None:
        super().__init__(name="loss")
        self.kind, self.exclusive = kind, exclusive
        self.weights = weights if kind == "weighted" else np.ones_like(weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row."""
        known = ops.cast(y_true >= 0, "float32")
        truth, logits = ops.maximum(y_true, 0.0), ops.cast(y_pred, "float32")
        weights = ops.convert_to_tensor(self.weights)
        if self.exclusive:
            logs = ops.log_softmax(logits, axis=-1)
            focus = (1.0 - ops.exp(logs)) ** GAMMA if self.kind == "focal" else 1.0
            return -ops.sum(known * truth * weights * focus * logs, axis=-1)
        present, absent = -ops.softplus(-logits), -ops.softplus(logits)  # logarithms of p and 1 - p
        if self.kind == "focal":
            present = present * (1.0 - ops.exp(present)) ** GAMMA
            absent = absent * (1.0 - ops.exp(absent)) ** GAMMA
        return -ops.mean(known * (truth * weights * present + (1.0 - truth) * absent), axis=-1)


class Overlap(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
    """Cross-entropy of pixels plus one minus the soft Dice of the image, for lesions much smaller than the image."""

    def __init__(self) -> None:
        super().__init__(name="loss")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image (images, height, width)."""
        truth, logits = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        entropy = ops.mean(ops.softplus(logits) - truth * logits, axis=(1, 2))
        found = ops.sigmoid(logits)
        both, either = ops.sum(truth * found, axis=(1, 2)), ops.sum(truth + found, axis=(1, 2))
        return entropy + 1.0 - (2.0 * both + 1.0) / (either + 1.0)


class AUROC(keras.metrics.Metric):  # type: ignore[misc] # Keras publishes no types
    """The mean over classes of the area under the ROC curve, in 200 bins of probability, unknown targets left out.

    It is watched while training; what is reported is exact and comes from `metrics`.
    """

    def __init__(self, classes: int) -> None:
        super().__init__(name="auroc")
        self.positives = self.add_weight(shape=(BINS, classes), initializer="zeros", name="positives")
        self.negatives = self.add_weight(shape=(BINS, classes), initializer="zeros", name="negatives")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch of targets and logits (rows, classes)."""
        truth = ops.cast(y_true, "float32")
        place = ops.cast(ops.floor(ops.sigmoid(ops.cast(y_pred, "float32")) * (BINS - 1e-3)), "int32")
        weights = ops.cast(truth >= 0, "float32")
        if sample_weight is not None:
            weights = weights * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        there = ops.one_hot(place, BINS) * weights[..., None]  # rows, classes, bins
        certain = ops.cast(truth > 0.5, "float32")[..., None]
        self.positives.assign_add(ops.transpose(ops.sum(there * certain, axis=0)))
        self.negatives.assign_add(ops.transpose(ops.sum(there * (1.0 - certain), axis=0)))

    def result(self) -> Any:
        """Return the mean over the classes that have both positives and negatives."""
        below = ops.cumsum(self.negatives, axis=0) - self.negatives
        pairs = ops.sum(self.positives * (below + 0.5 * self.negatives), axis=0)
        all_pairs = ops.sum(self.positives, axis=0) * ops.sum(self.negatives, axis=0)
        has_both = ops.cast(all_pairs > 0, "float32")
        return ops.sum(has_both * pairs / ops.maximum(all_pairs, 1e-9)) / ops.maximum(ops.sum(has_both), 1.0)
