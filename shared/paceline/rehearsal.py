"""A run that is started for its prediction alone: `estimate` on the command line.

The prediction is the one that `pace` makes in every run, so what is estimated is what is trained; nothing of it stays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from paceline import config as configuration
from paceline import hindsight
from paceline.errors import PacelineError


class Estimated(Exception):  # noqa: N818 -- not an error: a run that was started for its prediction has made it
    """The end of a run that was only to be estimated."""

    def __init__(self, prediction: dict[str, Any]) -> None:
        super().__init__("The run was started to be estimated.")
        self.prediction = prediction


def estimate(
    train: Callable[..., Any],
    config: BaseModel,
    *,
    history: Path,
    started: float | None = None,
    target: float | None = None,
    what_if: Sequence[str] | None = None,
    machine_files: Sequence[Path] = (),
    growth: Callable[[Any], Callable[[float], tuple[float, float]] | None] = lambda config: None,
) -> dict[str, Any]:
    """Start a run for its prediction alone, and return that.

    Args:
        train: starts a run; it takes a configuration, and `runs_folder`, `started`, `target`, `history` and `made`.
        config: of the run.
        history: the folder of the project's runs.
        started: the performance counter's reading that counts as zero.
        target: a score whose time is to be predicted.
        what_if: also what other conditions would make of it, see `whatif.parse`; None: not asked for.
        machine_files: machines measured elsewhere, for that.
        growth: measures how a pass over the data grows with their rows, of a configuration; see
            `whatif.from_prediction`.

    Raises:
        PacelineError: the run cannot be started, or was over at once; a change cannot be read.
    """
    found, begun = _begin(partial(train, config, started=started, target=target), history)
    if what_if is None:
        return found

    def measure(settings: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
        other = configuration.replace(config, settings, source="--what-if")
        return _begin(partial(train, other, started=None, target=target), history)

    def grown(settings: Mapping[str, str]) -> Callable[[float], tuple[float, float]] | None:
        return growth(configuration.replace(config, settings, source="--what-if"))

    from paceline import whatif  # the microbenchmarks load NumPy, OpenCV and the engines

    return {**found, **whatif.from_prediction(found, what_if, machine_files, begun, measure, grown)}


def _begin(start: Callable[..., Any], history: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the prediction of a run that is started and left, and its record as far as it went."""

    def made(prediction: dict[str, Any]) -> None:
        raise Estimated(prediction)

    with tempfile.TemporaryDirectory(prefix="paceline-") as folder:
        try:
            start(runs_folder=Path(folder), history=history, made=made)
        except Estimated as found:
            return found.prediction, next(iter(hindsight.records(Path(folder))), {})
    raise PacelineError("The run was over before its time could be predicted.", "Train: it takes no longer than this.")
