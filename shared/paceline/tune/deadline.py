"""The time that a search has, and what of it is kept for what follows: the comparison and the final run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from paceline import clock, contention

MARGIN = 1.25  # on the time kept for the final run; half the share of time that is lately waited for cores is added
SHORTEST = 0.5  # of the training of the final run: one that is cut shorter is worse than the best trial's own model
TRAINING = ("import", "build", "compile", "train", "validation", "checkpoint", "input_wait", "callbacks")
KEPT_SECONDS = 5.0  # to make a run of a trial's own model, the search's page, and to end the process
UNKNOWN_FINISH_SECONDS = 6.0  # scoring and report, before any run has shown what they take, or
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
        setup_waited: the share of its time that reading the data waited for cores.
        waited: the share that is lately waited. Trials are measured under the load that there is; reading and scoring
            were measured before it, or in an earlier run, so both are taken to be slower by as much as it has grown.
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
        setup_waited: float = 0.0,
        waited: Callable[[], float] = lambda: 0.0,
        read: Callable[[], float] = clock.now,
    ) -> None:
        self.deadline, self.setup_waited, self.waited = deadline, setup_waited, waited
        self.setup_seconds, self.finish_seconds, self.trainings = setup_seconds, finish_seconds, trainings
        self.repeats, self.comparison_seconds, self.read = repeats, comparison_seconds, read

    def slower(self) -> float:
        """Return how many times as long reading and scoring take now as they did when they were measured."""
        return max(1.0, contention.slower(self.waited()) / contention.slower(self.setup_waited))

    def margin(self) -> float:
        """Return what the time kept is multiplied with: other work comes and goes."""
        return MARGIN + 0.5 * self.waited()

    def final_run_seconds(self, trial_seconds: float, share: float = 1.0) -> float:
        """Return what the final run takes, without a margin, with this share of the training of such a trial."""
        return self.slower() * (self.setup_seconds + self.finish_seconds) + share * self.trainings * trial_seconds

    def reserve(self, trial_seconds: float) -> float:
        """Return the seconds to keep for the final run of settings whose trial took so long."""
        return self.margin() * self.final_run_seconds(trial_seconds)

    def final_run_fits(self, trial_seconds: float) -> bool:
        """Return whether there is time left for a final run that is worth more than the trial's own model."""
        left = None if self.deadline is None else self.deadline - self.read()
        return left is None or left >= self.final_run_seconds(trial_seconds, SHORTEST)

    def before_final_run(self, trial_seconds: float) -> float | None:
        """Return the seconds until the final run has to begin, None without a deadline."""
        return None if self.deadline is None else self.deadline - self.read() - self.reserve(trial_seconds)

    def to_first_trial(self) -> float | None:
        """Return the seconds left for a trial whose own model is the result where no final run fits after it."""
        kept = self.margin() * self.slower() * KEPT_SECONDS
        return None if self.deadline is None else self.deadline - self.read() - kept

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
