"""ResNet-18 as MedMNIST's published baselines use it for 28 pixels: a stem that keeps the size, no pooling after it."""

from __future__ import annotations

from typing import Any

from paceline import device, initializers

device.keras_backend()  # settles it before Keras looks for one

from keras import layers  # noqa: E402 -- after its backend

WIDTHS = (64, 128, 256, 512)


def last_map(images: Any, *, normalise: bool) -> Any:
    """Return the last feature map, of 1/8 of the size, of images from 0 to 255 (He et al. 2016; Yang et al. 2023).

    Args:
        images: of fixed height and width.
        normalise: whether batch normalisation follows each convolution, as published.
    """
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(images)
    x = _convolve(x, WIDTHS[0], 3, 1, normalise=normalise)
    for stage, width in enumerate(WIDTHS):
        for place in range(2):
            stride = 2 if stage and not place else 1
            y = _convolve(x, width, 3, stride, normalise=normalise)
            y = _convolve(y, width, 3, 1, normalise=normalise, activate=False)
            if stride > 1 or x.shape[-1] != width:
                x = _convolve(x, width, 1, stride, normalise=normalise, activate=False)
            x = layers.ReLU()(layers.Add()([y, x]))
    return x


def _convolve(x: Any, width: int, kernel: int, stride: int, *, normalise: bool, activate: bool = True) -> Any:
    x = layers.ZeroPadding2D(kernel // 2)(x)  # as the published network pads; "same" would shift strided ones
    first = initializers.Uniform(1 / 3, mode="fan_in")  # torch's default
    x = layers.Conv2D(width, kernel, strides=stride, use_bias=not normalise, kernel_initializer=first)(x)
    if normalise:
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.ReLU()(x) if activate else x
