"""Penalties on the weights of a model that was made elsewhere."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from paceline import optimizers


def test_penalties_are_of_the_kernels_that_are_trained() -> None:
    """Not of biases, normalisation or what is frozen; nothing asked for leaves what the model brings."""
    keras.utils.set_random_seed(0)
    frozen = keras.layers.Dense(4, trainable=False)
    own = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5), bias_initializer="ones")
    model = keras.Sequential([keras.Input((4,)), frozen, keras.layers.BatchNormalization(), own])
    kernel = np.asarray(own.kernel)
    optimizers.penalise(model)
    assert 0.5 * np.square(kernel).sum() == pytest.approx(float(sum(model.losses)), rel=1e-6)
    optimizers.penalise(model, l1=0.1, l2=0.2)
    expected = 0.1 * np.abs(kernel).sum() + 0.2 * np.square(kernel).sum()
    assert expected == pytest.approx(float(sum(model.losses)), rel=1e-6)
