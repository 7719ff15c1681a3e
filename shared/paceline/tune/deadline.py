"""The time that a search has, and what of it is kept for what follows: the comparison and the final run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from paceline import clock

MARGIN = 1.25  # on the time kept for the final run
TRAINING = ("import", "build", "compile", "train", "validation", "checkpoint", "input_wait", "callbacks")
UNKNOWN_FINISH_SECONDS = 10.0  # scoring and report, before any run has shown what they take, or
FINISH_FOR_SETUP = 3.0  # times as long as reading the data: a large test is scored as slowly as it is read


class Budget:
    """The time there is, and what of it belongs to what follows the search.

    Args:
        deadline: the performance counter's reading at which everything is to be over; None: no end.
        setup_seconds: to read the data and get ready, once more.
        finish_seconds: what a run takes beside its training: scoring, report.
        trainings: of the final run, as a multiple of a trial's.
        repeats: trials that compare the best with the beginning.
        comparison_seconds: the most to keep for those; there are fewer where they take longer.
        read: the source of time, replaced in tests.
    """

    def __init__(
        self,
        deadline: float | None,
        *,
        setup_seconds: float,
        finish_seconds: float,
        trainings: float,
        repeats: int = 0,
        comparison_seconds: float = 0.0,
        read: Callable[[], float] = clock.now,
    ) -> None:
        self.deadline = deadline
        self.setup_seconds, self.finish_seconds, self.trainings = setup_seconds, finish_seconds, trainings
        self.repeats, self.comparison_seconds, self.read = repeats, comparison_seconds, read

    def reserve(self, trial_seconds: float) -> float:
        """Return the seconds to keep for the final run of settings whose trial took so long."""
        return MARGIN * (self.setup_seconds + self.finish_seconds + self.trainings * trial_seconds)

    def before_final_run(self, trial_seconds: float) -> float | None:
        """Return the seconds until the final run has to begin, None without a deadline."""
        return None if self.deadline is None else self.deadline - self.read() - self.reserve(trial_seconds)

    def to_search(self, trial_seconds: float) -> float | None:
        """Return the seconds left for searching, None without a deadline."""
        left = self.before_final_run(trial_seconds)
        return None if left is None else left - min(self.comparison_seconds, self.repeats * trial_seconds)


def finish_seconds(runs_folder: Path, setup_seconds: float) -> float:
    """Return what a run takes beside reading and training: scoring, intervals, report.

    That of the latest finished run, and longer in proportion where reading the data takes longer now than it did then.

    Args:
        runs_folder: where earlier runs are.
        setup_seconds: that reading took now.
    """
    for path in sorted(runs_folder.glob("*/run.json"), reverse=True):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["status"] == "done":
                phases = {name: float(seconds) for name, seconds in found["phases"].items()}
                read = phases.pop("data")
                rest = sum(seconds for name, seconds in phases.items() if name not in TRAINING)
                return rest * max(1.0, setup_seconds / read)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
            continue
    return max(UNKNOWN_FINISH_SECONDS, FINISH_FOR_SETUP * setup_seconds)
