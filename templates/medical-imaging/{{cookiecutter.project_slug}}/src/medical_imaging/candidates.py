"""Which backbone suits the data: candidates ranked in seconds by their frozen features, none of them trained.

A source that is like the target transfers better; how alike they are is measured (LogME) rather than guessed. Where
lesions are outlined, the examples are pixels: see `suitability.rank_by_pixels`. Only the patients of the training and
the validation part have a say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medical_imaging import tune, tune_outlines
from medical_imaging.config import Config
from paceline import fit_keras, suitability
from paceline.errors import PacelineError

USUAL = ("efficientnet-lite0", "none")  # what every machine can have; `none` shows what pretrained weights bring


def rank(config: Config, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return candidate backbones for the configured data, best first.

    Args:
        config: `model.backbone` is always among the candidates.
        names: further ones, as `model.backbone` takes them; `USUAL` where none is named.

    Returns:
        `images`, `best`, `examples` (what is counted: images or pixels, in words), and `backbones`, the rows of
        `suitability`. Labels that are uncertain or not given count as absent there, for every candidate alike.

    Raises:
        PacelineError: no candidate can be had, or there are no masks to rank by.
    """
    fit_keras.prepare(config.train.device, seed=config.train.seed, precision=config.train.precision)
    chosen = list(dict.fromkeys([config.model.backbone, *(names or USUAL)]))
    if config.model.task == "segmentation":
        return _rank_outlines(config, chosen)
    cohort = tune.prepare(config).cohort
    rows = suitability.rank_by_images(
        chosen,
        cohort.images,
        (cohort.labels == 1).astype(np.int8),
        image_size_px=config.data.image_size_px,
        seed=config.train.seed,
    )
    return _answer(rows, len(cohort.items), "images with their labels")


def _rank_outlines(config: Config, chosen: list[str]) -> dict[str, Any]:
    prepared = tune_outlines.prepare(config.model_copy(update={"tune": config.tune.model_copy(update={"folds": 1})}))
    (split,) = prepared.folds
    shown = np.sort(np.concatenate([split.train, split.validation]))
    rows = suitability.rank_by_pixels(
        chosen,
        prepared.cohort.images[shown],
        prepared.masks[shown].astype(np.int8),
        image_size_px=config.data.image_size_px,
        seed=config.train.seed,
    )
    return _answer(rows, len(shown), "pixels on the grid of stride 16, as many in lesions as beside them")


def _answer(rows: list[dict[str, Any]], images: int, examples: str) -> dict[str, Any]:
    if "error" in rows[0]:
        raise PacelineError(f"No candidate can be had: {rows[0]['error']}", "Name one that can.")
    return {"images": images, "examples": examples, "backbones": rows, "best": rows[0]["backbone"]}
