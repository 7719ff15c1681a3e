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


def writer(folder: Path, *, key: str) -> Any:
    """Return a writer of events to `folder`, hiding what an earlier one wrote there.

    Raises:
        PacelineError: `tensorboardX` is not installed, and the setting `key` asks for it.
    """
    if importlib.util.find_spec("tensorboardX") is None:
        raise PacelineError(
            f"{key} is true, but 'tensorboardX' is not installed.",
            f"Install the extra: pip install '.[tensorboard]', or set {key} = false.",
        )
    from tensorboardX import SummaryWriter

    return SummaryWriter(
        str(folder),
        purge_step=0,
        flush_secs=FLUSH_SECONDS,
        filename_suffix=f".{os.getpid()}",  # a file of the same second would be overwritten
    )


class Events:
    """The event file of one stage of a run, below `tensorboard/` in its folder; look with `tensorboard --logdir runs`.

    Args:
        folder: the run's folder.
        stage: the training's name; a curve for each. What an interrupted session wrote of it is hidden, for its last
            seconds may be missing: `write` is given the whole course.
        key: the setting that asks for them, for messages.

    Raises:
        PacelineError: `tensorboardX` is not installed.
    """

    def __init__(self, folder: Path, stage: str, *, key: str = "train.tensorboard") -> None:
        self._written = 0
        self._writer = writer(folder / "tensorboard" / stage, key=key)

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
