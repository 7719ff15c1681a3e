"""First weights drawn on the host."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from paceline import fit_keras, initializers
from paceline.initializers import Uniform

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


@pytest.mark.parametrize(("scale", "mode", "fan"), [(1.0, "fan_avg", 9 * 24), (2.0, "fan_in", 9 * 16)])
def test_the_variance_is_scale_over_fan(scale: float, mode: str, fan: int) -> None:
    """As the papers derive it, of a 3x3 kernel from 16 to 32 channels."""
    keras.utils.set_random_seed(0)
    drawn = np.asarray(Uniform(scale, mode)((3, 3, 16, 32)))
    assert drawn.var() == pytest.approx(scale / fan, rel=0.05)
    assert abs(drawn).max() <= np.sqrt(3 * scale / fan)


def test_a_model_with_it_is_saved_and_loaded(tmp_path: Path) -> None:
    """`load_model` knows it without being told."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer=Uniform(2.0, "fan_in"))(inputs))
    saved = fit_keras.save_model(model, tmp_path / "model.keras")
    loaded = fit_keras.load_model(tmp_path / "model.keras", saved["sha256"])
    np.testing.assert_array_equal(model.get_weights()[0], loaded.get_weights()[0])
    assert {"scale": 2.0, "mode": "fan_in"} == loaded.layers[-1].kernel_initializer.get_config()
