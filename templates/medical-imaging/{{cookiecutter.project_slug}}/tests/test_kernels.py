"""The kernel head: scalar products are kernels, and slopes are what small steps show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medical_imaging import kernels
from paceline import fit_keras

import keras  # isort: skip  # the backend is settled by the import before


def vectors(rows: int, seed: int = 0) -> NDArray[np.float32]:
    """Return standardised vectors of six features."""
    return np.random.default_rng(seed).normal(size=(rows, 6)).astype(np.float32)


def test_scalar_products_are_kernels() -> None:
    """Of the images it was made around; between two of them as scikit-learn's `rbf_kernel` with gamma `scale`."""
    x = vectors(30)
    layer = kernels.around(x, seed=0)
    found = np.asarray(layer(x)) / np.sqrt(layer.coordinates)
    squares = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    expected = np.exp(-squares / x.var(axis=0).sum())
    np.testing.assert_allclose(expected, found @ found.T, atol=0.01)


def test_slopes_are_what_small_steps_show() -> None:
    """Against differences, at images it has not seen."""
    layer, weights = kernels.around(vectors(20), seed=0), np.random.default_rng(1).normal(size=(20, 2))
    weights = weights[: layer.coordinates]
    x = vectors(3, seed=2).astype(np.float64)
    found = kernels.slopes(layer, weights, x, [0, 1, 0])
    step = 1e-2
    for feature in range(6):
        up, down = x.copy(), x.copy()
        up[:, feature] += step
        down[:, feature] -= step
        rise = (np.asarray(layer(up)) - np.asarray(layer(down))) @ weights / (2 * step)
        np.testing.assert_allclose(rise[[0, 1, 2], [0, 1, 0]], found[:, feature], atol=0.02)


def test_a_saved_head_is_read_again(tmp_path: Path) -> None:
    """With the images it compares with."""
    inputs = keras.Input((6,))
    model = keras.Model(inputs, kernels.around(vectors(12), seed=0)(inputs))
    saved = fit_keras.save_model(model, tmp_path / "model.keras")
    loaded = fit_keras.load_model(tmp_path / "model.keras", saved["sha256"])
    x = vectors(4, seed=3)
    np.testing.assert_allclose(np.asarray(model(x)), np.asarray(loaded(x)), atol=1e-5)


def test_many_images_are_sampled() -> None:
    """A thousand are compared with at most, the same for a seed."""
    x = vectors(1100)
    first, again = kernels.around(x, seed=0), kernels.around(x, seed=0)
    assert kernels.MOST_PROTOTYPES == first.prototypes
    np.testing.assert_array_equal(first.get_weights()[0], again.get_weights()[0])
