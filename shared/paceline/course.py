"""The course of one training, the same for boosting rounds and epochs: its scores, its best step, why it ended.

It is what a checkpoint holds beside the weights, and what the run record shows as `history`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Course:
    """Where a training stands.

    Attributes:
        unit: what a step is, `round` or `epoch`.
        monitor: the score that is watched, as it is named in `rows`: `validation_average_precision`.
        larger_is_better: of the monitored score.
        patience: steps without a better score that end the training; 0 goes through all.
        step: steps done.
        best_step: the step with the best monitored score, 0 before there is one.
        best_score: that score.
        ended: why training is over, in a few words; empty while it is not.
        rows: a dictionary for each step: `step`, `elapsed_seconds` and the scores.
    """

    unit: str
    monitor: str
    larger_is_better: bool
    patience: int
    step: int = 0
    best_step: int = 0
    best_score: float | None = None
    ended: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)

    def judge(self, score: float) -> bool:
        """Take in the monitored score of the present step; return whether it is the best so far.

        A score that is no number is never the best. Patience that runs out sets `ended`.

        >>> course = Course("round", "validation_auc_roc", larger_is_better=True, patience=1, step=1)
        >>> course.judge(0.8)
        True
        >>> course.step = 2
        >>> course.judge(0.7), course.ended
        (False, 'no better validation score for 1 round')
        """
        best = self.best_score
        if score == score and (best is None or (score > best if self.larger_is_better else score < best)):
            self.best_step, self.best_score = self.step, score
            return True
        if self.patience and self.step - self.best_step >= self.patience:
            self.ended = f"no better validation score for {self.patience} {self.unit}{'s' * (self.patience > 1)}"
        return False

    def kept(self) -> int:
        """Return the step whose model is kept: the best where patience watched over it, else the last."""
        return self.best_step if self.patience and self.best_step else self.step

    def note(self) -> str:
        """Return the best score so far for the progress line."""
        return (
            "" if self.best_score is None else f"best {self.monitor.removeprefix('validation_')} {self.best_score:.3f}"
        )

    def history(self, stage: str) -> dict[str, Any]:
        """Return how training went, as the run record keeps it."""
        return {
            "stage": stage,
            "step_unit": self.unit,
            "monitor": self.monitor,
            "mode": "max" if self.larger_is_better else "min",
            "best_step": self.best_step,
            "stop_reason": self.ended,
            "rows": self.rows,
        }

    def dump(self) -> bytes:
        """Return the course as JSON for a checkpoint."""
        return json.dumps(vars(self)).encode()  # asdict would copy every row

    @staticmethod
    def load(data: bytes) -> Course:
        """Return the course that `dump` wrote."""
        return Course(**json.loads(data))
