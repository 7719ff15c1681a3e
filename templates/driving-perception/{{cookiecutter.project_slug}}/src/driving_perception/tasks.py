"""What the three tasks have in common: each adds its head, its targets, its loss, its scores and its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from driving_perception.config import Config, Report, Train
from driving_perception.data import Scenes
from paceline.errors import PacelineError


@dataclass(frozen=True)
class Evaluation:
    """What a test said, as the run record keeps it.

    Attributes:
        scores: `{name: {"value", "low", "high", ...}}`, the leading one first.
        slices: a row a group of frames.
        notes: what a score means.
        figures: charts and pictures for the report.
        warnings: sentences that its reader must see.
    """

    scores: dict[str, Any]
    slices: list[dict[str, Any]]
    notes: dict[str, str]
    figures: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Task(Protocol):
    """A task on frames of one size with classes of their own.

    Attributes:
        classes: their names.
        monitor: the validation figure that early stopping watches, a compiled metric or `loss`.
        larger_is_better: of it.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102 -- as said above

    @property
    def monitor(self) -> str: ...  # noqa: D102

    @property
    def larger_is_better(self) -> bool: ...  # noqa: D102

    def head(self, x: Any) -> Any:
        """Return the answer's tensors of the decoded map `x` at 1/4 of the image, in float32."""
        ...

    def finish(self, answer: Any) -> Any:
        """Return the tensors that a whole model ends in, of those that `head` gave for training."""
        ...

    def targets(self, scenes: Scenes) -> Any:
        """Return what the loss compares with: an array, or a dictionary of them, a row a frame."""
        ...

    def loss(self, config: Train, targets: Any) -> Any:
        """Return the loss for `model.compile`; `targets` are those of the training frames."""
        ...

    def metrics(self) -> list[Any]:
        """Return the metrics for `model.compile`, as weighted metrics."""
        ...

    def flip(self, target: Any) -> Any:
        """Return the target of one frame, mirrored left and right."""
        ...

    def evaluate(
        self, scenes: Scenes, rows: NDArray[np.int64], train: NDArray[np.int64], answers: Iterable[Any], config: Config
    ) -> Evaluation:
        """Return the scores of `answers`, one for each of `rows`, beside the floor that the `train` rows give."""
        ...

    def draw(self, image: NDArray[np.uint8], answer: Any) -> NDArray[np.uint8]:
        """Return `image`, of any size, with what the answer says drawn over it."""
        ...

    def describe(self, answer: Any, size_px: tuple[int, int]) -> dict[str, Any]:
        """Return what the answer says of an image of (height, width), as JSON types, and an array `map` if it has one.

        The map holds the class of each pixel of the image.
        """
        ...


PEOPLE = ("person", "pedestrian")  # what data sets call those who walk


def gate_names(report: Report) -> tuple[str, ...]:
    """Return the class of the safety gate, people by either name; empty where there is no gate."""
    return PEOPLE if report.gate_class in PEOPLE else (report.gate_class,) * bool(report.gate_class)


def gate_class(classes: Sequence[str], report: Report) -> str:
    """Return the gate's class as `classes` name it, or as configured where they do not have it."""
    return next((name for name in gate_names(report) if name in classes), report.gate_class)


def ungated(task: str, classes: Sequence[str], report: Report) -> list[str]:
    """Return a warning where the class of the safety gate is none of `classes`, so that nothing is held to the gate.

    Lanes have none, which says nothing.

    Raises:
        PacelineError: it is none, and a least recall is asked for.
    """
    if not report.gate_class or gate_class(classes, report) in classes:
        return []
    cause = f"The safety gate's class '{report.gate_class}' is none of the model's classes"
    remedy = f"Set report.gate_class to one of {', '.join(classes)}, or to '' for no gate."
    if report.gate_recall:
        raise PacelineError(f"{cause}, and a recall of {report.gate_recall:g} is asked for.", remedy)
    return [] if task == "lanes" else [f"{cause}: no recall is held to anything. {remedy}"]
