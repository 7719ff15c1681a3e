"""From feature maps to an outline: a small decoder like U-Net's on any backbone's strides (Ronneberger et al. 2015)."""

from __future__ import annotations

from typing import Any

from paceline import device, initializers

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import layers  # noqa: E402 -- after its backend

STRIDES = ("stride_32", "stride_16", "stride_8", "stride_4")  # from coarse to fine
CHANNELS = (96, 64, 48, 32)


def build(
    shapes: dict[str, tuple[int, ...]], size_px: int, *, dropout: float, normalise: bool, seed: int
) -> keras.Model:
    """Return the decoder: maps by name in, a logit a pixel (size, size) out.

    Args:
        shapes: of the maps, by name; those of `STRIDES` are used as far as they are there.
        size_px: of the image.
        dropout: share of the coarsest map's channels dropped.
        normalise: whether batch normalisation follows each convolution.
        seed: of dropout.
    """
    names = [name for name in STRIDES if name in shapes]
    inputs = {name: keras.Input(shapes[name], name=name) for name in names}
    x = layers.SpatialDropout2D(dropout, seed=seed)(inputs[names[0]])
    x = _convolve(x, CHANNELS[0], 1, normalise=normalise)
    for name, channels in zip(names[1:], CHANNELS[1:], strict=False):
        height, width = shapes[name][:2]
        x = layers.UpSampling2D(2)(x)[:, :height, :width]
        x = layers.Concatenate()([x, _convolve(inputs[name], channels, 1, normalise=normalise)])
        for _ in range(2):
            x = _convolve(x, channels, 3, normalise=normalise)
    x = layers.Conv2D(1, 1, kernel_initializer=initializers.Uniform(), dtype="float32")(x)
    factor = -(-size_px // x.shape[1])
    x = layers.UpSampling2D(factor, interpolation="bilinear", dtype="float32")(x)[:, :size_px, :size_px, 0]
    return keras.Model(inputs, x, name="decoder")


def _convolve(x: Any, channels: int, kernel: int, *, normalise: bool) -> Any:
    first = initializers.Uniform(2.0, mode="fan_in")
    x = layers.Conv2D(channels, kernel, padding="same", use_bias=not normalise, kernel_initializer=first)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x) if normalise else x)
