"""Training curves as TensorBoard events, the same for epochs and boosting rounds; needs the extra `tensorboard`."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paceline.errors import PacelineError


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
        stage: the training's name; a curve for each.
        step: steps done already; what an interrupted session wrote after them is hidden.

    Raises:
        PacelineError: `tensorboardX` is not installed.
    """

    def __init__(self, folder: Path, stage: str, *, step: int = 0) -> None:
        if importlib.util.find_spec("tensorboardX") is None:
            raise PacelineError(
                "train.tensorboard is true, but 'tensorboardX' is not installed.",
                "Install the extra: pip install '.[tensorboard]', or set train.tensorboard = false.",
            )
        from tensorboardX import SummaryWriter

        self._written = step
        self._writer = SummaryWriter(str(folder / "tensorboard" / stage), purge_step=step + 1 if step else None)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write those of `rows` that are new, and make them visible."""
        for row in rows:
            if row["step"] > self._written:
                self._written = row["step"]
                for tag, value in scalars(row).items():
                    self._writer.add_scalar(tag, value, row["step"])
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
