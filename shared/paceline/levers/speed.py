"""From pairs of turns to a gain with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paceline.levers.turns import Turn

FEWEST_PAIRS = 4  # fewer say nothing about their spread
DRAWS = 2000
LEVEL = 0.9


@dataclass(frozen=True)
class Gain:
    """How many times as fast something is, 1 for no change.

    Attributes:
        value: geometric mean over the pairs.
        low: lower end of the interval over the pairs; None where there are too few.
        high: upper end.
        pairs: how many.
    """

    value: float
    low: float | None
    high: float | None
    pairs: int

    @property
    def sure(self) -> bool:
        """Whether the whole interval is on the side of a gain."""
        return self.low is not None and self.low > 1.0

    def state(self) -> dict[str, Any]:
        """Return it as JSON types, as a score with its interval."""
        return {"value": self.value, "low": self.low, "high": self.high, "level": LEVEL, "pairs": self.pairs}


def of_turns(pairs: Sequence[Sequence[Turn]]) -> Gain | None:
    """Return how many times as fast the second of each pair passes over the data; None without a pair."""
    return of_ratios([first.seconds / first.epochs / (second.seconds / second.epochs) for first, second in pairs])


def of_ratios(ratios: Sequence[float]) -> Gain | None:
    """Return the geometric mean of positive `ratios` with a bootstrap interval; None without one.

    >>> gain = of_ratios([2.0, 2.0, 2.0, 2.0, 2.0])
    >>> round(gain.value, 6), round(gain.low, 6), round(gain.high, 6), gain.sure
    (2.0, 2.0, 2.0, True)
    """
    if not len(ratios):
        return None
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    ends: list[float] | list[None] = [None, None]
    if len(logs) >= FEWEST_PAIRS:
        drawn = np.random.default_rng(0).choice(logs, size=(DRAWS, len(logs))).mean(axis=1)
        ends = [float(np.exp(end)) for end in np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])]
    return Gain(float(np.exp(logs.mean())), ends[0], ends[1], len(logs))
