"""A head that is not linear: a Gaussian kernel to training images, as in a support vector machine.

Each image is described by how near it is to every training image in the space of features; a linear layer reads that.
In coordinates in which the kernel is the scalar product (Williams & Seeger 2001), an L2 penalty on the layer is the
penalty of kernel logistic regression, and the whole head is still one dense layer that gradient steps train.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from paceline import device

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import ops  # noqa: E402 -- after its backend

MOST_PROTOTYPES = 1024  # training images that others are compared with, at random where there are more
LEAST_EIGENVALUE = 1e-3  # of the largest: directions below are noise


@keras.saving.register_keras_serializable(package="medical_imaging")
class Kernel(keras.layers.Layer):  # type: ignore[misc] # Keras publishes no types
    """Coordinates (rows, coordinates) whose scalar product is, but for a factor, `exp(-distance² / (2 width²))`.

    Args:
        prototypes: how many images others are compared with.
        coordinates: how many come out.
    """

    def __init__(self, prototypes: int, coordinates: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.prototypes, self.coordinates = prototypes, coordinates

    def build(self, shape: Any) -> None:
        """Make the weights, which `adapt` fills and no training changes."""
        fixed = {"initializer": "zeros", "trainable": False, "dtype": "float32"}
        self.places = self.add_weight(shape=(self.prototypes, shape[-1]), name="places", **fixed)
        self.axes = self.add_weight(shape=(self.prototypes, self.coordinates), name="axes", **fixed)
        self.squared_width = self.add_weight(shape=(), name="squared_width", **fixed)

    def call(self, inputs: Any) -> Any:
        """Return the coordinates of each row."""
        inputs = ops.cast(inputs, "float32")
        squares = ops.sum(inputs**2, axis=-1, keepdims=True) + ops.sum(self.places**2, axis=-1)
        distances = ops.maximum(squares - 2.0 * ops.matmul(inputs, ops.transpose(self.places)), 0.0)
        return ops.matmul(ops.exp(-0.5 * distances / self.squared_width), self.axes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "prototypes": self.prototypes, "coordinates": self.coordinates}


def around(vectors: NDArray[np.float32], *, seed: int) -> Kernel:
    """Return the layer for standardised training `vectors` (images, features).

    The squared width is half the mean squared distance between two of them, which scikit-learn calls `scale`.
    """
    chosen = np.arange(len(vectors))
    if len(chosen) > MOST_PROTOTYPES:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, MOST_PROTOTYPES, replace=False))
    places = vectors[chosen].astype(np.float64)
    squared_width = float(places.var(axis=0).sum()) / 2
    squares = (places**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * places @ places.T, 0)
    values, axes = np.linalg.eigh(np.exp(-0.5 * distances / squared_width))
    kept = values > LEAST_EIGENVALUE * values[-1]
    axes = axes[:, kept] / np.sqrt(values[kept]) * np.sqrt(kept.sum())  # coordinates of about 1, as others are
    layer = Kernel(len(places), axes.shape[1], name="kernel", dtype="float32")
    layer.build((None, vectors.shape[1]))
    layer.set_weights([places.astype(np.float32), axes.astype(np.float32), np.float32(squared_width)])
    return layer


def slopes(
    layer: Kernel, weights: NDArray[np.float64], vectors: NDArray[np.float64], columns: list[int]
) -> NDArray[np.float64]:
    """Return how steeply the answer rises with each feature (rows, features), at standardised `vectors`.

    Args:
        layer: as `around` gives it.
        weights: of the dense layer after it (coordinates, classes).
        vectors: (rows, features).
        columns: the class of each row.
    """
    places, axes, squared_width = (np.asarray(weight, dtype=np.float64) for weight in layer.get_weights())
    squares = (vectors**2).sum(axis=1)[:, None] + (places**2).sum(axis=1) - 2 * vectors @ places.T
    near = np.exp(-0.5 * np.maximum(squares, 0) / squared_width) * (axes @ weights)[:, columns].T
    found: NDArray[np.float64] = (near @ places - near.sum(axis=1, keepdims=True) * vectors) / squared_width
    return found
