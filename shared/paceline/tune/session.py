"""The search of one command: a loop in this process or several workers, and the progress line over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from paceline import clock
from paceline.tune import ranking, search, workers
from paceline.tune.line import Line, text
from paceline.tune.settings import Tune


def run(
    part: workers.Part[Any, Any], study: optuna.Study, prepared: Any, *, read: Callable[[], float] = clock.now
) -> None:
    """Search as `part` says, with one process or several, and show the progress line.

    Args:
        part: what is searched, by what means.
        study: the trials so far.
        prepared: of `task.prepare`.
        read: the source of time of one process, replaced in tests.

    Raises:
        Stopped: a signal asked for the end; trials under way are in the queue again.
        PacelineError: nothing comes of it.
    """
    settings: Tune = part.config.tune
    budget = part.budget(read)

    def words(found: Sequence[FrozenTrial], longest: float) -> str:
        return text(
            found,
            score=part.task.score,
            larger_is_better=part.task.larger_is_better,
            asked=part.trials,
            seconds_left=budget.to_search(longest),
        )

    if settings.workers > 1:
        several = Line(lambda found: words(found, 0.0))
        try:
            workers.run(part, study, settings.workers, tell=lambda: several.tell(ranking.finished(study)))
        finally:
            several.close(ranking.finished(study))
        return
    line = Line(lambda one: words(one.finished, one.longest()))
    one = search.Search(
        part.task,
        part.config,
        study,
        part.parameters,
        prepared,
        budget,
        trials=part.trials,
        seed=part.seed,
        tell=line.tell,
        events=part.events,
        kept=part.kept,
    )
    try:
        one.run()
    finally:
        line.close(one)
