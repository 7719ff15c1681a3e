"""A search as TensorBoard events: a curve for each training of each trial, and the table of their settings and values.

Look with `tensorboard --logdir tune`; needs the extra `tensorboard`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paceline.tensorboard import Events, writer

KEY = "tune.tensorboard"


class TrialEvents:
    """The event files of one trial, below `tensorboard/` in the study's folder.

    Args:
        folder: the study's.
        number: of the trial.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._name = folder, f"trial-{number:04d}"
        self._parts: dict[int, Events] = {}

    def write(self, part: int, row: Mapping[str, Any]) -> None:
        """Write a step of the trial's training number `part`."""
        if part not in self._parts:
            self._parts[part] = Events(self._folder, f"{self._name}/fold-{part}", key=KEY)
        self._parts[part].write([row])

    def close(self, settings: Mapping[str, Any], values: Mapping[str, float]) -> None:
        """End the curves; write the row of the table where the trial has `values`."""
        for events in self._parts.values():
            events.close()
        if values:
            from tensorboardX.summary import hparams

            with writer(self._folder / "tensorboard" / self._name, key=KEY) as table:
                for summary in hparams(dict(settings), dict(values)):
                    table.file_writer.add_summary(summary)
                for name, value in values.items():
                    table.add_scalar(name, value, 0)
