"""When a training has to go back, and how often it may: diverged losses, and memory that does not suffice."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

MOST_ROLLBACKS = 3
RATE_AFTER_ROLLBACK = 0.5
RECENT_EPOCHS = 5
ROBUST_DEVIATIONS = 3.0
_OUT_OF_MEMORY = ("OutOfMemoryError", "ResourceExhaustedError")  # torch's and TensorFlow's


class Diverged(Exception):  # noqa: N818 -- caught by `fit`, which goes back; no user sees it
    """The loss is no number any more, or far above where it was.

    Args:
        loss: what it is.
    """

    def __init__(self, loss: float) -> None:
        super().__init__(f"the loss is {loss}")
        self.loss = loss


@dataclass
class Recovery:
    """What a training had to give up so far; a checkpoint holds it.

    Attributes:
        rollbacks: how often it went back to an earlier state; each halved the learning rate.
        micro_batches: parts in which a batch is computed.
        validation_parts: the same of validation, where they only save memory.
    """

    rollbacks: int = 0
    micro_batches: int = 1
    validation_parts: int = 1

    def dump(self) -> bytes:
        """Return it as JSON for a checkpoint."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def load(data: bytes) -> Recovery:
        """Return what `dump` wrote."""
        return Recovery(**json.loads(data))


def diverged(losses: Sequence[float], loss: float) -> bool:
    """Whether `loss` after epochs with these `losses` is no number, or a spike.

    A spike lies above the median of the last five losses by more than each of: three robust standard deviations (1.4826
    times the median absolute deviation) of those, the median itself, and half of what the loss has fallen since the
    first epoch.

    >>> diverged([1.0, 0.5, 0.4], 0.6), diverged([1.0, 0.5, 0.4], 1.2), diverged([], float("nan"))
    (False, True, True)
    """
    if not math.isfinite(loss):
        return True
    if not losses:
        return False
    recent = np.asarray(losses[-RECENT_EPOCHS:])
    level = float(np.median(recent))
    deviation = 1.4826 * float(np.median(np.abs(recent - level)))
    return loss - level > max(ROBUST_DEVIATIONS * deviation, abs(level), 0.5 * (losses[0] - level))


def out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or one that led to it, says that memory did not suffice, in the words of any backend."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        words = type(each).__name__ in _OUT_OF_MEMORY or "RESOURCE_EXHAUSTED" in str(each)
        if isinstance(each, MemoryError) or words:
            return True
        waiting += [each.__cause__, each.__context__]
    return False
