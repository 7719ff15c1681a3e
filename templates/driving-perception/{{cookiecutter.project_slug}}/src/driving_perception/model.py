"""The networks: a decoder on frozen features, or an encoder–decoder trained end to end; the task adds its head.

Both speak of the image in four maps, at 1/4 to 1/32 of its size, and one decoder joins these to a map at 1/4. Dense
convolutions work at low resolution, where they are cheap and see far; at full resolution there is only interpolation.
Depthwise convolutions are avoided: XLA runs them slowly on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driving_perception.config import Config, Model
from driving_perception.tasks import Task
from paceline import convolution, device, fit_keras, initializers, record, transfer
from paceline.errors import PacelineError
from paceline.record import Run

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import layers  # noqa: E402 -- after its backend

STRIDES = (4, 8, 16, 32)
MAPS = tuple(f"stride_{stride}" for stride in STRIDES)
# Channels of the stem, of the four stages, and residual blocks of each stage.
ENCODERS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    "small": (16, (32, 48, 96, 128), (0, 1, 1, 1)),
    "base": (24, (48, 96, 160, 256), (1, 2, 2, 2)),
    "large": (32, (64, 128, 256, 384), (1, 2, 4, 3)),
}
WEIGHTED = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
SMALL_DECODER = 48  # its width in the real-time preset, at most
PREDICT_BATCH = 8  # images at a time; the last batch is filled up, so that nothing is compiled twice


@dataclass(frozen=True)
class Network:
    """What is trained, and the frozen backbone before it where there is one.

    Attributes:
        trained: takes `inputs`: images, or the backbone's maps.
        task: finishes what `trained` says.
        backbone: makes maps of images; None where `trained` takes images itself.
    """

    trained: Any
    task: Task
    backbone: Any = None

    def whole(self) -> Any:
        """Return one model from images (height, width, 3), 0 to 255, to the answer."""
        joined = self.trained
        if self.backbone is not None:
            joined = transfer.attach(self.backbone, self.trained, names=MAPS)
        return keras.Model(joined.input, self.task.finish(joined.output), name="whole")

    def inputs(self, images: NDArray[np.uint8], *, max_bytes: int, run: Run | None = None) -> Any:
        """Return what `trained` takes for `images`: themselves, or their features, from the cache if it has them."""
        if self.backbone is None:
            return images
        return transfer.features(
            self.backbone,
            images,
            names=MAPS,
            dtype="float16",
            batch_size=PREDICT_BATCH,
            max_bytes=max_bytes,
            setting="data.max_cache_bytes",
            run=run,
        )

    def state(self) -> dict[str, Any]:
        """Return parameters, depth and arithmetic, for the record: `gflop_per_frame` is of one frame in use."""
        known = list(flat_layers(self.whole()))
        weighted = [layer for layer in known if isinstance(layer, WEIGHTED)]
        state: dict[str, Any] = {"parameters": int(self.trained.count_params()), "layers": len(weighted)}
        state["gflop_per_frame"] = 1e-9 * sum(operations(layer) for layer in weighted)
        if self.backbone is not None:
            frozen = transfer.select(self.backbone, MAPS)
            state["frozen_parameters"] = int(frozen.count_params())
        return state


def build(config: Config, task: Task, image_size_px: tuple[int, int]) -> Network:
    """Return the network that `config.model` names, for images of (height, width), with the head of `task`.

    Raises:
        PacelineError: the backbone cannot be had, or has not all four maps.
    """
    name = config.model.name
    if name == "frozen":
        backbone = transfer.backbone(config.model.backbone, image_size_px=image_size_px)
        found = backbone.output
        missing = [each for each in MAPS if each not in found]
        if missing:
            raise PacelineError(
                f"The backbone '{config.model.backbone}' has no map at {missing[0]}.", "Take efficientnet-lite0."
            )
        maps = {each: keras.Input(found[each].shape[1:], name=each) for each in MAPS}
        x = decode(maps, config.model.decoder_channels, normalise=config.model.batch_normalisation)
        return Network(keras.Model(maps, _answer(x, config.model, task), name="decoder"), task, backbone)
    images = keras.Input((*image_size_px, 3), name="images")
    normalise = config.model.batch_normalisation
    maps = encode(images, name, normalise=normalise)
    width = config.model.decoder_channels if name != "small" else min(config.model.decoder_channels, SMALL_DECODER)
    x = decode(maps, width, normalise=normalise)
    return Network(keras.Model(images, _answer(x, config.model, task), name=name), task)


def _answer(x: Any, config: Model, task: Task) -> Any:
    if config.dropout:
        x = layers.SpatialDropout2D(config.dropout, name="dropout")(x)
    return task.head(x)


def encode(images: Any, name: str, *, normalise: bool) -> dict[str, Any]:
    """Return the four maps of `images` (batch, height, width, 3), 0 to 255, by the encoder of a preset.

    Args:
        images: of fixed height and width.
        name: of the preset.
        normalise: whether batch normalisation follows each convolution.
    """
    stem, widths, blocks = ENCODERS[name]
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(images)
    x = convolve(x, stem, 3, "stem", stride=2, normalise=normalise)
    maps = {}
    for stride, width, count in zip(STRIDES, widths, blocks, strict=True):
        x = convolve(x, width, 3, f"down_{stride}", stride=2, normalise=normalise)
        for number in range(count):
            y = convolve(x, width, 3, f"block_{stride}_{number}_first", normalise=normalise)
            y = convolve(y, width, 3, f"block_{stride}_{number}_second", activate=False, normalise=normalise)
            x = layers.ReLU(name=f"block_{stride}_{number}")(layers.Add(name=f"add_{stride}_{number}")([x, y]))
        maps[f"stride_{stride}"] = x
    return maps


def decode(maps: dict[str, Any], channels: int, *, normalise: bool) -> Any:
    """Return one map at 1/4 of the image from the four: a feature pyramid (Lin et al. 2017), narrow where it is fine.

    What the whole image shows (the mean of the coarsest map) is added first: rain and night change every class.

    Args:
        maps: by the names in `MAPS`.
        channels: of the coarser half; the finest map has half as many.
        normalise: whether batch normalisation follows each convolution of a map.
    """
    coarsest = maps["stride_32"]
    everywhere = layers.GlobalAveragePooling2D(keepdims=True, name="context")(coarsest)
    x = convolve(coarsest, channels, 1, "lateral_32", normalise=normalise)
    x = layers.Add(name="with_context")([x, convolve(everywhere, channels, 1, "context_conv", normalise=False)])
    x = convolve(x, channels, 3, "smooth_32", normalise=normalise)
    for stride in (16, 8, 4):
        finer = maps[f"stride_{stride}"]
        x = layers.Resizing(*finer.shape[1:3], interpolation="bilinear", name=f"up_{stride}")(x)
        width = channels if stride > 4 else channels // 2
        x = layers.Concatenate(name=f"join_{stride}")(
            [
                convolve(x, width, 1, f"narrow_{stride}", normalise=normalise),
                convolve(finer, width // 2, 1, f"lateral_{stride}", normalise=normalise),
            ]
        )
        x = convolve(x, width, 3, f"smooth_{stride}", normalise=normalise)
    return x


def convolve(
    x: Any, channels: int, kernel: int, name: str, *, normalise: bool, stride: int = 1, activate: bool = True
) -> Any:
    """Return a convolution of `x` with batch normalisation, or else a bias, and ReLU.

    The gradients of a 1x1 kernel are matrix products: see `paceline.convolution`.
    """
    x = convolution.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding="same",
        use_bias=not normalise,
        name=name,
        kernel_initializer=initializers.HeNormal(),
    )(x)
    if normalise:
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activate else x


def predict(model: Any, inputs: Any, rows: NDArray[np.int64], batch: int = PREDICT_BATCH) -> Iterator[Any]:
    """Yield the answer for each of `rows` of `inputs`, an array or a dictionary of them, in order."""
    for begin in range(0, len(rows), batch):
        part = rows[begin : begin + batch]
        filled = np.concatenate([part, np.repeat(part[-1:], batch - len(part))])
        found = model.predict_on_batch(take(inputs, filled))
        for place in range(len(part)):
            if isinstance(found, dict):
                yield {name: np.asarray(value)[place] for name, value in found.items()}
            else:
                yield np.asarray(found)[place]


def flat_layers(model: Any) -> Iterator[Any]:
    """Yield the layers of `model`, those of nested models in their place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from flat_layers(layer)
        else:
            yield layer


def operations(layer: Any) -> int:
    """Return the multiplications and additions of a convolution or a dense layer for one image, two for each weight.

    >>> layer = layers.Conv2D(4, 3, padding="same")
    >>> _ = keras.Model(image := keras.Input((8, 8, 2)), layer(image))
    >>> operations(layer) == 2 * 8 * 8 * 4 * 3 * 3 * 2
    True
    """
    places = math.prod(layer.output.shape[1:-1])  # that each weight is used at; none of a dense layer's: 1
    return int(2 * places * math.prod(layer.kernel.shape))


def take(arrays: Any, rows: NDArray[np.int64]) -> Any:
    """Return the `rows` of an array or of each in a dictionary, in memory."""
    if isinstance(arrays, dict):
        return {name: array[rows] for name, array in arrays.items()}
    return np.asarray(arrays[rows])


def take_over(network: Network, config: Config) -> dict[str, Any]:
    """Copy the weights of the run `transfer.from_run` into `network`, layer by layer where name and shape agree.

    A head of other classes keeps its own beginning, so what was learned on rendered frames starts on real ones.

    Returns:
        `from_run`, the numbers of layers `taken` and `left`; nothing where no run is named.

    Raises:
        PacelineError: it is no finished run of this template, or nothing of it fits.
    """
    if not config.transfer.from_run:
        return {}
    folder = Path(config.transfer.from_run)
    found = record.read(folder)
    if found["status"] != "done":
        raise PacelineError(
            f"The run '{folder.name}' is {found['status']}, not done.", "Finish it: train --resume RUN."
        )
    earlier = fit_keras.load_model(folder / found["model"]["file"], found["model"]["sha256"])
    by_name = {layer.name: layer for layer in flat_layers(earlier) if layer.weights}
    taken = left = 0
    for layer in flat_layers(network.trained):
        if not layer.weights:
            continue
        source = by_name.get(layer.name)
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if source is not None and shapes == [tuple(weight.shape) for weight in source.weights]:
            layer.set_weights(source.get_weights())
            taken += 1
        else:
            left += 1
    if not taken:
        raise PacelineError(
            f"The run '{folder.name}' holds no layer of a '{network.trained.name}' for {config.model.task}.",
            "Name a run of the same model.name and width.",
        )
    return {"from_run": folder.name, "layers_taken": taken, "layers_left": left}
