"""A stretch of training and how long it took: what both engines tell whoever watches the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Stretch:
    """A stretch of training after which the device was idle, so that its seconds are those of its work.

    For whoever predicts the time while training: a fit hands each over as soon as it has ended.

    Attributes:
        kind: `steps` (a block of training steps or of rounds, input included), `validation`, `checkpoint`, or `epoch`
            (all from its begin to the end of its bookkeeping, checkpoint excluded; boosting has none).
        epoch: the epoch under way, from 1; of boosting, the last round in it.
        steps: training steps (rounds) in it, or validation steps.
        seconds: how long it took.
        compiled: whether something was compiled or sketched in it, so that it says nothing about the others.
    """

    kind: Literal["steps", "validation", "checkpoint", "epoch"]
    epoch: int
    steps: int
    seconds: float
    compiled: bool
