"""A run that keeps no record: what a probed training is given in the place of one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from paceline.clock import Clock
from paceline.record import Run


class ProbeRun(Run):
    """Tells every step to `step`, which may say why training is to end."""

    def __init__(
        self, folder: Path, config: BaseModel, step: Callable[[float, dict[str, Any]], str] = lambda seconds, row: ""
    ) -> None:
        super().__init__(folder, config, Clock())
        self._step = step

    def log(self, values: dict[str, Any]) -> str:
        """Hand on the seconds since the start and the step's values; return why training is to end, if it is."""
        return self._step(self.clock.elapsed(), values)

    def save(self) -> None:
        """Write nothing."""

    def warn(self, sentence: str) -> None:
        """Keep the sentence, off the screen: a probed training is none that anybody uses."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)


@contextmanager
def opened(
    config: BaseModel, step: Callable[[float, dict[str, Any]], str] = lambda seconds, row: ""
) -> Iterator[ProbeRun]:
    """Open a run in a folder of its own that goes away, its clock this thread's."""
    with tempfile.TemporaryDirectory(prefix="paceline-probe-") as folder:
        yield ProbeRun(Path(folder), config, step)
