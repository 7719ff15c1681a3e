"""Training curves as TensorBoard events, the same for epochs and boosting rounds; needs the extra `tensorboard`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paceline.errors import PacelineError

FLUSH_SECONDS = 2


def scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a course's row by TensorBoard tag: curves of one score under one heading.

    >>> scalars({"step": 3, "train_loss": 0.5, "validation_loss": 0.75, "learning_rate": 0.1})
    {'loss/train': 0.5, 'loss/validation': 0.75, 'learning_rate': 0.1}
    """
    found = {}
    for name, value in row.items():
        if name == "step" or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        part, _, score = name.partition("_")
        found[f"{score}/{part}" if part in ("train", "validation") and score else name] = float(value)
    return found


class Events:
    """The event file of one stage of a run, below `tensorboard/` in its folder; look with `tensorboard --logdir runs`.

    Args:
        folder: the run's folder.
        stage: the training's name; a curve for each. What an interrupted session wrote of it is hidden, for its last
            seconds may be missing: `write` is given the whole course.

    Raises:
        PacelineError: `tensorboardX` is not installed.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        if importlib.util.find_spec("tensorboardX") is None:
            raise PacelineError(
                "train.tensorboard is true, but 'tensorboardX' is not installed.",
                "Install the extra: pip install '.[tensorboard]', or set train.tensorboard = false.",
            )
        from tensorboardX import SummaryWriter

        self._written = 0
        self._writer = SummaryWriter(
            str(folder / "tensorboard" / stage),
            purge_step=0,
            flush_secs=FLUSH_SECONDS,
            filename_suffix=f".{os.getpid()}",  # a file of the same second would be overwritten
        )

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write those of `rows` that are new; they are in the file within seconds."""
        for row in rows:
            if row["step"] > self._written:
                self._written = row["step"]
                for tag, value in scalars(row).items():
                    self._writer.add_scalar(tag, value, row["step"])

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
