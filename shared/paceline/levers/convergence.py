"""Trainings to their end, with a lever and without, over a few seeds: time to the same validation score."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from paceline import clock
from paceline import config as configuration
from paceline.levers import probe_run
from paceline.levers.speed import Gain, of_ratios
from paceline.levers.task import Config, Prepared, Task
from paceline.progress import Unseen

OVERDUE = "out of time"


@dataclass
class Trained:
    """A training and its watched score over time.

    Attributes:
        larger_is_better: of the score.
        rows: seconds since its start, building and compiling included, and the score.
        seconds: of all of it.
        cut: whether it was ended for lack of time, so that it says nothing.
    """

    larger_is_better: bool
    rows: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    cut: bool = False

    @property
    def best(self) -> float:
        """Its best score, the one that a model is kept for."""
        scores = [score for _, score in self.rows]
        return max(scores) if self.larger_is_better else min(scores)

    def reached(self, score: float) -> float | None:
        """Return the seconds until it was at least as good as `score`; None where it never was."""
        return next((at for at, seen in self.rows if (seen >= score if self.larger_is_better else seen <= score)), None)


def train(
    task: Task[Config, Prepared],
    prepared: Prepared,
    config: Config,
    *,
    seed: int,
    until: float,
    read: Callable[[], float] = clock.now,
) -> Trained:
    """Train once with `seed`, to the end or until `until` on the clock that `read` reads."""
    trained = Trained(task.larger_is_better)

    def step(seconds: float, row: dict[str, Any]) -> str:
        score = row.get(task.monitor)
        if score is not None and score == score:
            trained.rows.append((seconds, float(score)))
        trained.cut = read() >= until
        return OVERDUE if trained.cut else ""

    config = configuration.replace(config, {"train.seed": seed}, source="levers")
    with probe_run.opened(config, step) as run:
        task.train(prepared, config, run, Unseen())
        trained.seconds = run.clock.elapsed()
    return trained


def compare(without: Sequence[Trained], having: Sequence[Trained]) -> dict[str, Any]:
    """Return what a lever brings, over trainings paired by seed.

    Returns:
        `target`, the score that every training without the lever reaches; `reached`, how many with it do; `time_gain`,
        of the time to it, None where one never gets there; `training_gain`, of the whole training's time;
        `score_change`, the mean of the best score with it less that without, and `score_changes`, of each seed.
    """
    better = max if not without[0].larger_is_better else min
    target = better(each.best for each in without)
    times = [(first.reached(target), second.reached(target)) for first, second in zip(without, having, strict=True)]
    ratios = [first / second for first, second in times if first is not None and second is not None]
    changes = [second.best - first.best for first, second in zip(without, having, strict=True)]
    whole = [first.seconds / second.seconds for first, second in zip(without, having, strict=True)]
    gain: Gain | None = of_ratios(ratios) if len(ratios) == len(having) else None
    return {
        "seeds": len(having),
        "target": target,
        "reached": len(ratios),
        "time_gain": gain,
        "training_gain": of_ratios(whole),
        "score_change": statistics.fmean(changes),
        "score_changes": changes,
    }
