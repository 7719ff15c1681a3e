"""Which backbone suits a data set, before any is trained: by LogME (see `logme`), with a linear probe beside it.

Choosing a source that is like the target is most of what transfer learning can gain. `rank_by_images` is of labels of
images, `rank_by_pixels` of classes of pixels, for outlines and other dense prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paceline import logme, transfer
from paceline.clock import now
from paceline.errors import PacelineError

import keras  # isort: skip  # the backend is settled by the import of transfer

STRIDE = 16  # of the map by which pixels are judged


def rank_by_images(
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
        candidates: names for `transfer.backbone`.
        images: see `transfer.features`.
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
        return np.asarray(transfer.features(model, seen, folder=folder)[transfer.POOLED]), targets

    return _ranked(candidates, examples, image_size_px=image_size_px, channels=seen.shape[-1], seed=seed)


def rank_by_pixels(
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
    """Rank backbones for dense prediction, as `rank_by_images` does for labels of images: the examples are pixels.

    A pixel's features are those of the map `stride_16` where it lies (of a backbone without one, of its finest map),
    its class is its own. The pixels are the middles of the cells of stride 16, the same for every candidate; of each
    class as many are drawn, so that a small lesion counts as much as the background. Pixels of one image are alike: the
    probe, whose folds part pixels, flatters every candidate. What finer maps would add to outlines is not seen.

    Args:
        candidates: names for `transfer.backbone`.
        images: see `transfer.features`.
        classes: of every pixel (images, height, width); a negative one is left out.
        image_size_px: the images' size.
        max_images: a random subset of this size is enough to rank by.
        max_pixels: the most, of all classes together.
        seed: of what is drawn and of the probe's folds.
        folder: of the cache.

    Returns:
        Rows as `rank_by_images` gives them, with `pixels`, the number of examples, in each.

    Raises:
        PacelineError: the middles of the cells are of one class only.
    """
    chosen = _some(len(images), max_images, seed)
    seen, known = np.asarray(images[chosen]), np.asarray(classes)[chosen]
    height, width = known.shape[1:]
    middles = tuple(np.arange(STRIDE // 2, side, STRIDE) for side in (height, width))
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
        maps = transfer.features(model, seen, names=(name,), dtype="float16", folder=folder)[name]
        places = [axis[of] * maps.shape[i + 1] // side for i, (axis, of, side) in enumerate(
            zip(middles, (row, column), (height, width), strict=True))]  # fmt: skip
        return np.asarray(maps[image, places[0], places[1]]), targets

    found = _ranked(candidates, examples, image_size_px=image_size_px, channels=seen.shape[-1], seed=seed)
    return [each if "error" in each else each | {"pixels": len(targets)} for each in found]


def _ranked_map(model: keras.Model) -> str:
    """Return the name of the map that pixels are ranked by."""
    maps = [name for name in transfer.MAPS if name in model.output]
    if not maps:
        raise PacelineError("The backbone gives no maps to outline from.", "Name another one.")
    return f"stride_{STRIDE}" if f"stride_{STRIDE}" in maps else maps[0]


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
            model = transfer.backbone(name, image_size_px=image_size_px, channels=channels)
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
