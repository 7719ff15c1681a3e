"""First weights drawn on the host."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paceline import initializers

keras = initializers.keras


def test_the_variance_is_that_of_he() -> None:
    """Two over the number of inputs of a unit: height, width and channels of its kernel."""
    values = np.asarray(initializers.HeNormal()((3, 3, 32, 256), "float32"))
    assert math.sqrt(2 / (3 * 3 * 32)) == pytest.approx(values.std(), rel=0.01)
    assert 0 == pytest.approx(values.mean(), abs=1e-3)


def test_a_seed_repeats_the_weights_of_a_network() -> None:
    """Kernels of one network differ from each other; the same seed makes the same network."""
    drawn = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        initializer = initializers.HeNormal()
        drawn.append([np.asarray(initializer((4, 5))) for _ in range(2)])
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0][0], drawn[0][1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_saved_layer_knows_it() -> None:
    """A configuration names it, and Keras finds it again."""
    layer = keras.layers.Dense(2, kernel_initializer=initializers.HeNormal())
    again = keras.layers.Dense.from_config(layer.get_config())
    assert isinstance(again.kernel_initializer, initializers.HeNormal)
