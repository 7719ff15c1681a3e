"""The convolutions give Keras's own numbers, forward and backward, and are read back safely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paceline import convolution

import keras  # isort: skip  # the backend is settled by the import before

jax = pytest.importorskip("jax")


def both(layer: Any, images: Any) -> list[tuple[Any, Any, Any]]:
    """Return output, gradient of the kernel and of the images, by shifted products and by Keras's own convolution."""
    layer.build(images.shape)
    state = [np.asarray(variable) for variable in layer.trainable_variables]
    target = np.random.default_rng(1).normal(size=layer.compute_output_shape(images.shape)).astype("float32")

    def loss(variables: Any, inputs: Any) -> Any:
        outputs, _ = layer.stateless_call(variables, [], inputs)
        return (outputs * target).sum(), outputs

    def run() -> tuple[Any, Any, Any]:
        (_, outputs), (kernel, inputs) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(state, images)
        return outputs, kernel[0], inputs

    ours = run()
    with convolution.native():
        return [ours, run()]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "strides"), [(3, 1), (3, 2), (5, 2), ((3, 5), (1, 1)), (2, 3), (1, 1)])
@pytest.mark.parametrize("size", [(8, 8), (9, 12), (5, 7)])
def test_numbers_and_gradients_are_those_of_keras(
    padding: str, kernel: Any, strides: Any, size: tuple[int, int]
) -> None:
    """Whatever kernel, stride, padding and size: outputs and gradients differ by rounding only."""
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    layer = convolution.DepthwiseConv2D(kernel, strides=strides, padding=padding, activation="relu")
    for ours, kerass in zip(*both(layer, images), strict=True):
        assert ours.shape == kerass.shape
        np.testing.assert_allclose(kerass, ours, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"use_bias": False}, {"activation": "relu"}])
def test_a_kernel_of_one_pixel_gives_the_numbers_of_keras(settings: dict[str, Any]) -> None:
    """As a matrix product: outputs and gradients differ by rounding only."""
    images = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
    for ours, kerass in zip(*both(convolution.Conv2D(4, 1, **settings), images), strict=True):
        assert ours.shape == kerass.shape
        np.testing.assert_allclose(kerass, ours, rtol=1e-5, atol=1e-5)


def test_the_products_are_used_where_convolution_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU under JAX no convolution is compiled; elsewhere, and for what has no short cut, Keras's is."""
    images = np.zeros((1, 8, 8, 3), "float32")

    def convolves(layer: Any) -> bool:
        layer.build(images.shape)
        return "conv_general_dilated" in str(jax.make_jaxpr(layer)(images))

    def fast() -> list[bool]:
        return [convolves(layer) for layer in (convolution.DepthwiseConv2D(3), convolution.Conv2D(4, 1))]

    assert [False, False] == fast()
    assert convolves(convolution.DepthwiseConv2D(3, depth_multiplier=2))
    assert convolves(convolution.DepthwiseConv2D(3, dilation_rate=2))
    for settings in ({"kernel_size": 3}, {"kernel_size": 1, "strides": 2}, {"kernel_size": 1, "groups": 3}):
        assert convolves(convolution.Conv2D(3, **settings))
    monkeypatch.setattr(convolution, "_slow_here", lambda: False)
    assert [True, True] == fast()


def test_a_saved_model_is_read_back_in_safe_mode(tmp_path: Path) -> None:
    """A `.keras` file holds the layers by their registered names; what comes back computes the same."""
    images = np.random.default_rng(0).normal(size=(2, 9, 9, 3)).astype("float32")
    layers = [convolution.DepthwiseConv2D(3, strides=2, padding="same"), convolution.Conv2D(4, 1)]
    model = keras.Sequential([keras.Input((9, 9, 3)), *layers])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    assert [convolution.DepthwiseConv2D, convolution.Conv2D] == [type(layer) for layer in again.layers]
    np.testing.assert_array_equal(model.predict_on_batch(images), again.predict_on_batch(images))
