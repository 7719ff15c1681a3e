"""Which backbone suits the data: candidates ranked in seconds by their frozen features, none of them trained.

A source that is like the target transfers better; how alike they are is measured (LogME) rather than guessed. Only the
patients of the training and validation parts have a say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medical_imaging import tune
from medical_imaging.config import Config
from paceline import fit_keras, transfer
from paceline.errors import PacelineError

USUAL = ("efficientnet-lite0", "none")  # what every machine can have; `none` shows what pretrained weights bring


def rank(config: Config, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return candidate backbones for the configured data, best first.

    Args:
        config: `model.backbone` is always among the candidates.
        names: further ones, as `model.backbone` takes them; `USUAL` where none is named.

    Returns:
        `images`, `best`, and `backbones`, rows as `transfer.rank` gives them. Labels that are uncertain or not given
        count as absent there, for every candidate alike.

    Raises:
        PacelineError: lesions are to be outlined, or no candidate can be had.
    """
    if config.model.task == "segmentation":
        raise PacelineError("model.task is 'segmentation', and backbones are ranked by labels.", "Rank a classifier.")
    fit_keras.prepare(config.train.device, seed=config.train.seed, precision=config.train.precision)
    cohort = tune.prepare(config).cohort
    rows = transfer.rank(
        list(dict.fromkeys([config.model.backbone, *(names or USUAL)])),
        cohort.images,
        (cohort.labels == 1).astype(np.int8),
        image_size_px=config.data.image_size_px,
        seed=config.train.seed,
    )
    if "error" in rows[0]:
        raise PacelineError(f"No candidate can be had: {rows[0]['error']}", "Name one that can.")
    return {"images": len(cohort.items), "backbones": rows, "best": rows[0]["backbone"]}
