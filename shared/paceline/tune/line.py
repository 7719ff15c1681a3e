"""The one line of a search's progress: the best so far, what is left, what pruning saved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from optuna.trial import FrozenTrial
from tqdm import tqdm

from paceline.clock import now
from paceline.report import format as fmt
from paceline.tune import plan, ranking


def text(
    trials: Sequence[FrozenTrial], *, score: str, larger_is_better: bool, asked: int | None, seconds_left: float | None
) -> str:
    """Return the line for so many finished trials.

    Args:
        trials: the finished ones.
        score: the name of the quality.
        larger_is_better: of it.
        asked: trials in all, where they are limited.
        seconds_left: to search, where time is limited.
    """
    best = ranking.best(trials, larger_is_better=larger_is_better)
    parts = [f"{len(trials)}{f' of {asked}' if asked else ''} trials"]
    parts.append(f"best {fmt.label(score)} {best.values[0]:.4f} (trial {best.number})" if best else "none complete yet")
    mean = plan.mean_seconds(trials)
    by_number = None if asked is None or mean is None else max(0, asked - len(trials)) * mean
    left = [seconds for seconds in (seconds_left, by_number) if seconds is not None]
    if left and min(left) > 0:
        parts.append(f"{fmt.duration(min(left))} left")
    pruned = sum(plan.facts(trial).get("ended") == plan.PRUNED for trial in trials)
    if pruned:
        parts.append(f"pruning {pruned} saved {fmt.duration(plan.saved_seconds(trials))}")
    return ", ".join(parts)


class Line:
    """Draws the line on standard error: a terminal has it living, a log file a line every 10 s.

    Args:
        write: returns the text, asked only when it is shown.
        read: the source of time, replaced in tests.
    """

    def __init__(self, write: Callable[[Any], str], *, read: Callable[[], float] = now) -> None:
        self._write, self._read = write, read
        self._interval = 0.5 if sys.stderr.isatty() else 10.0
        self._shown_at = read()
        self._bar = tqdm(total=None, bar_format="{desc} | {elapsed} gone")

    def tell(self, source: Any) -> None:
        """Show the line anew where it is time to."""
        if self._read() - self._shown_at >= self._interval:
            self._shown_at = self._read()
            self._bar.set_description_str(self._write(source), refresh=True)

    def close(self, source: Any) -> None:
        """Show the line a last time and leave it."""
        self._bar.set_description_str(self._write(source), refresh=True)
        self._bar.close()
