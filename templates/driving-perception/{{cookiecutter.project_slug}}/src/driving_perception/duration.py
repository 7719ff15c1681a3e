"""How long `train` will take: its training, and what follows it, for the library's model of time."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from driving_perception import frames
from driving_perception.config import Config
from driving_perception.splits import Split
from paceline import budget, resizing, warm
from paceline.budget import Ceiling
from paceline.pace import Pace, Training
from paceline.record import Run
from paceline.terms import After, Measured

# Seconds of what follows a training, on two cores of an Intel Xeon, 2026, Keras on JAX, everything compiled before.
REST_SECONDS = 1.2  # the whole model, the first answer, figures, cards, report
FRAME_SECONDS = {"segmentation": 0.023, "detection": 0.008, "lanes": 0.003}  # an answer to `FRAME_PX` and its scores
FRAME_PX = 240 * 180
ERROR = 0.4  # of all this, as a share


def most_epochs(config: Config) -> int:
    """Return `train.epochs`; `budget.AUTO` where as many are asked for as fit."""
    asked = config.train.epochs
    return asked if isinstance(asked, int) else budget.AUTO


def stages(config: Config) -> dict[str, int]:
    """Return the trainings of a run with the most epochs that each can take."""
    first, rest = resizing.divide(most_epochs(config), config.train.progressive_resizing)
    return {resizing.SMALL: first, "train": rest} if first else {"train": rest}


def follow(
    config: Config,
    run: Run,
    split: Split,
    *,
    data_bytes: int,
    ceiling: Ceiling | None,
    target: float | None,
    history: Path | None,
    made: Callable[[dict[str, Any]], None],
) -> Pace:
    """Return what follows the run's training from here on.

    Args:
        config: of the run.
        run: the run record.
        split: of the frames.
        data_bytes: of the frames; what a frozen backbone says of them does not count.
        ceiling: see `train.train`, as for the rest.
        target: of the watched score.
        history: of earlier runs.
        made: is given each prediction.

    Raises:
        PacelineError: time is to decide about the epochs, and there is no ceiling.
    """
    budget.most(config.train.epochs, "train.epochs", ceiling)
    if ceiling is not None:
        run.budget = {"seconds": ceiling.seconds, "asked": ceiling.asked, "changed": False}
    size = config.data.image_width_px * config.data.image_height_px / FRAME_PX
    answers = FRAME_SECONDS[config.model.task] * size * len(split.test)
    return Pace(
        run,
        _trainings(config, split),
        after=After(Measured(REST_SECONDS, ERROR), Measured(answers, ERROR)),
        ceiling=ceiling,
        checkpoint_seconds=config.train.checkpoint_seconds,
        data=warm.of(0 if config.model.name == "frozen" else data_bytes),
        history=history,
        target=target,
        made=made,
    )


def _trainings(config: Config, split: Split) -> list[Training]:
    """Return the trainings; of frames of half the side a step takes about a quarter, and nothing watches it."""
    sides_px = (config.data.image_height_px, config.data.image_width_px)
    pixels = math.prod(side / frames.half_px(side) for side in sides_px)
    share = len(split.validation) / max(1, len(split.train))
    return [
        Training(name, most, watched=False)
        if name == resizing.SMALL
        else Training(name, most, size=pixels, size_error=resizing.WORK_ERROR, validation_share=share)
        for name, most in stages(config).items()
    ]
