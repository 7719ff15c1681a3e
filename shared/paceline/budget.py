"""A ceiling on a run's wall time: how it is asked for, and how many epochs or rounds fit below it.

What fits is left as it is. What does not gets fewer epochs, and the learning-rate schedule is compressed to them, so
that it is fully annealed when time is up (Li et al. 2020, "Budgeted Training"); boosting, which has no schedule, gets
fewer rounds. `pace` applies this while a run goes on, with what it measures.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paceline import duration
from paceline.errors import PacelineError
from paceline.terms import Measured, Stage

ENDED = "the time budget"  # the first words of why a training ended that a ceiling shortened
AUTO = 1_000_000  # epochs or rounds where as many are asked for as fit
FIRST_GUESS = 30  # of AUTO, until a step was measured: a schedule has to begin somewhere
# After the record is closed the process still has to end: 0.3 to 0.4 s measured with XGBoost, 0.6 to 1.4 s with JAX.
EXIT_SECONDS, JAX_EXIT_SECONDS = 0.5, 1.5
MARGIN = 0.03  # of the seconds left: a machine's speed is not constant
MARGIN_OF_ERROR = 1.645  # standard errors kept free for what follows the training


@dataclass(frozen=True)
class Ceiling:
    """The most wall time of a whole run.

    Attributes:
        seconds: from the start of the process to its end.
        asked: the words that it was asked for in, for messages.
    """

    seconds: float
    asked: str


class TooLittleTimeError(PacelineError):
    """A ceiling below which nothing can be trained."""


def ceiling(time_budget: str | None, finish_by: str | None, *, elapsed: float, now: datetime) -> Ceiling | None:
    """Return the ceiling that the arguments ask for, the lower one where both do; None where neither does.

    Args:
        time_budget: a span like `10m`, counted from the start of the process.
        finish_by: a time like `17:00`.
        elapsed: seconds since the start of the process.
        now: the present time, in the user's time zone.

    Raises:
        PacelineError: one of them is no span or no time.
    """
    found = []
    if time_budget is not None:
        found.append(Ceiling(duration.seconds(time_budget), f"--time-budget {time_budget}"))
    if finish_by is not None:
        found.append(Ceiling(elapsed + duration.until(finish_by, now), f"--finish-by {finish_by}"))
    return min(found, key=lambda each: each.seconds, default=None)


def most(asked: int | str, key: str, limit: Ceiling | None) -> int:
    """Return the most epochs or rounds of a training: as asked for, or `AUTO` where time decides.

    Raises:
        PacelineError: time is to decide, and there is no ceiling.
    """
    if isinstance(asked, int):
        return asked
    if limit is None:
        raise PacelineError(
            f"{key} is 'auto', and there is no time to fill.", f"Add --time-budget 10m, or set {key} to a number."
        )
    return AUTO


def exit_seconds() -> float:
    """Return what the end of this process is to take, once the record is closed."""
    return JAX_EXIT_SECONDS if "jax" in sys.modules else EXIT_SECONDS


def left_for_training(limit: Ceiling, elapsed: float, finalise: Measured) -> float:
    """Return the seconds that training may still take, with its checkpoints, when `elapsed` have passed."""
    after = finalise.seconds * (1 + MARGIN_OF_ERROR * finalise.error) + exit_seconds()
    left = limit.seconds - elapsed - after
    return left * (1 - MARGIN)


def epochs_that_fit(left_seconds: float, stage: Stage, following: Sequence[Stage] = ()) -> float:
    """Return the epochs of `stage`, those done included, that fit into `left_seconds`.

    Each of `following` is a later training that keeps the same share of its epochs as this one, all of them at most.

    >>> epochs_that_fit(100.0, Stage("select", 30, Measured(2.0), steps=5, done=1.0))
    11.0
    """
    fixed = stage.checkpoint.seconds + (stage.compile.seconds if stage.done == 0 else 0.0)
    fixed += sum(later.compile.seconds + later.checkpoint.seconds for later in following)
    end = stage.epochs
    for _ in range(3):  # a step's growth depends on the end
        here = stage.epoch_seconds(end)
        shares = [each.epochs / max(stage.epochs, 1) for each in following]
        later_each = sum(share * each.epoch_seconds(share * end) for share, each in zip(shares, following, strict=True))
        end = min(stage.epochs, (left_seconds - fixed + stage.done * here) / max(here + later_each, 1e-9))
        end = max(end, 0.0)
    return end


def too_little(limit: Ceiling, needed_seconds: float, what: str) -> TooLittleTimeError:
    """Return the error of a ceiling below which nothing can be trained."""
    return TooLittleTimeError(
        f"{limit.asked} leaves no time to train: {what} alone takes {needed_seconds:.0f} s.",
        f"Give at least {_round_up(1.5 * needed_seconds):.0f}s.",
    )


def _round_up(seconds: float) -> float:
    return 10 * (1 + seconds // 10)
