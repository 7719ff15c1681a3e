"""ResNet-18 as MedMNIST's published baselines use it for 28 pixels: a stem that keeps the size, no pooling after it."""

from __future__ import annotations

from typing import Any

from paceline import device, initializers

device.keras_backend()  # settles it before Keras looks for one

from keras import layers  # noqa: E402 -- after its backend

WIDTHS = (64, 128, 256, 512)


def last_map(images: Any) -> Any:
    """Return the last feature map, of 1/8 of the size, of images from 0 to 255 (He et al. 2016; Yang et al. 2023)."""
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(images)
    x = _convolve(x, WIDTHS[0], 3, 1)
    for stage, width in enumerate(WIDTHS):
        for place in range(2):
            stride = 2 if stage and not place else 1
            y = _convolve(_convolve(x, width, 3, stride), width, 3, 1, activate=False)
            kept = x if stride == 1 and x.shape[-1] == width else _convolve(x, width, 1, stride, activate=False)
            x = layers.ReLU()(layers.Add()([y, kept]))
    return x


def _convolve(x: Any, width: int, kernel: int, stride: int, *, activate: bool = True) -> Any:
    x = layers.ZeroPadding2D(kernel // 2)(x)  # as the published network pads; "same" would shift strided ones
    first = initializers.Uniform(1 / 3, mode="fan_in")  # torch's default
    x = layers.Conv2D(width, kernel, strides=stride, use_bias=False, kernel_initializer=first)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.ReLU()(x) if activate else x
