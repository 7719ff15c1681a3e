"""Images of half the side, and weights from one size to the other."""

from __future__ import annotations

import keras
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paceline import resizing


@given(st.integers(1, 10_000), st.floats(0.0, 0.999))
def test_every_epoch_is_of_one_part(epochs: int, share: float) -> None:
    """Whole images come last and get an epoch at least; small ones too, where they are asked for and there are two."""
    first, rest = resizing.divide(epochs, share)
    assert epochs == first + rest
    assert rest >= 1
    assert (first > 0) == (share > 0 and epochs > 1)


def test_a_small_image_has_the_means_of_the_large_one() -> None:
    """Of grey and of coloured ones; sides that do not divide are shrunk too."""
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        images = rng.integers(0, 256, (2, 8, 12, channels), np.uint8)
        expected = images.reshape(2, 4, 2, 6, 2, channels).mean(axis=(2, 4))
        smaller = resizing.shrink(images, (4, 6))
        assert np.uint8 == smaller.dtype
        np.testing.assert_allclose(expected, smaller, atol=0.51)
        assert (2, 5, 7, channels) == resizing.shrink(images, (5, 7)).shape


def test_the_same_network_for_another_size_takes_the_weights() -> None:
    """Statistics of batch normalisation among them."""

    def network(size_px: int) -> keras.Model:
        images = keras.Input((size_px, size_px, 3))
        x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(images))
        return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))

    small, large = network(8), network(16)
    small.set_weights([np.random.default_rng(0).normal(size=weight.shape) for weight in small.get_weights()])
    resizing.hand_over(small, large)
    for expected, actual in zip(small.get_weights(), large.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, actual)
