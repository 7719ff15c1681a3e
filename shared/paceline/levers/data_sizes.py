"""What more data brings and costs: whole trainings on shares of what there is to learn from, over a few seeds.

No curve is laid through the points and none is drawn beyond them: what is said is what the last doubling brought.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paceline import atomic, clock, device, duration, report
from paceline import config as configuration
from paceline.errors import PacelineError
from paceline.levers import convergence
from paceline.levers.task import Config, Prepared, Task
from paceline.report import data_sizes as shown
from paceline.report import format as fmt

SHARES = (0.125, 0.25, 0.5, 1.0)
MOST_SEEDS = 5
FILE = "data-sizes.json"  # below runs/, for the reports of later runs
TITLE = "More data"
OUTPUT = Path("data-sizes.html")


@dataclass
class Size:
    """Trainings on a share of the data, one a seed.

    Attributes:
        share: of what there is to learn from.
        examples: how many that is, in the last of them.
        scores: the best watched score of each.
        seconds: of each.
    """

    share: float
    examples: int = 0
    scores: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def from_arguments(task: Task[Config, Prepared], config: Config, arguments: Namespace) -> dict[str, Any]:
    """Run `levers --data-sizes` as its arguments say; see `measure`."""
    answer = measure(
        task,
        config,
        budget_seconds=duration.seconds(arguments.time_budget),
        output=arguments.output or OUTPUT,
        runs_folder=arguments.runs,
    )
    if arguments.json:
        return answer
    return {"sizes": shown.table(answer), "verdict": answer["verdict"], "sheet": answer["sheet"]}


def measure(
    task: Task[Config, Prepared],
    config: Config,
    *,
    budget_seconds: float,
    output: Path,
    runs_folder: Path | None = None,
    shares: Sequence[float] = SHARES,
    started: float | None = None,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
) -> dict[str, Any]:
    """Train on each share of the data, seed by seed as long as the budget lasts, and leave a page and its JSON.

    Args:
        task: the project's side.
        config: how it is trained.
        budget_seconds: for all of it, preparing the data included.
        output: where the page is written, its JSON beside it.
        runs_folder: where reports of later runs find it too; None: nowhere.
        shares: of what there is to learn from, in rising order.
        started: the performance counter's reading that the budget counts from; the present one by default.
        say: is given a line as each training is begun.

    Returns:
        `sizes`, a row for each share: `share, examples, scores, seconds`; `score`, `larger_is_better`, `verdict`,
        `wall_seconds`, `sheet`. Only seeds of which every share was trained count.

    Raises:
        PacelineError: the budget did not suffice for one seed, or the data cannot be prepared.
    """
    started = clock.now() if started is None else started
    until = started + budget_seconds
    task.refuse_early(config)
    say("levers: preparing the data")
    prepared = task.prepare(config)
    sizes = [Size(share) for share in shares]
    for seed in range(MOST_SEEDS):
        row = _trainings(task, prepared, config, sizes, seed, until, say)
        if row is None:
            break
        for size, (examples, trained) in zip(sizes, row, strict=True):
            size.examples = examples
            size.scores.append(trained.best)
            size.seconds.append(trained.seconds)
    if not sizes[0].scores:
        raise PacelineError(
            f"{fmt.duration(budget_seconds)} did not suffice to train on each of {len(shares)} shares of the data.",
            "Give more: --time-budget 20m.",
        )
    answer: dict[str, Any] = {
        "sizes": [vars(size) for size in sizes],
        "score": task.monitor.removeprefix("validation_"),
        "larger_is_better": task.larger_is_better,
        "hardware": device.hardware(),
        "config": configuration.shown(config),
        "wall_seconds": clock.now() - started,
    }
    answer["verdict"] = shown.verdict(answer)
    facts = {
        "cpu": answer["hardware"]["cpu"],
        "cores": answer["hardware"]["cores"],
        "time": fmt.duration(answer["wall_seconds"]),
        "sizes": shown.table(answer),
        "method": "Whole trainings on a part of what there is to learn from, judged by the same validation data; the "
        "best watched score of each. The test is not touched.",
    }
    written = report.write_sheet(output, TITLE, facts, shown.charts(answer), kind="Time-savers", lead=answer["verdict"])
    atomic.write_json(output.with_suffix(".json"), answer)
    if runs_folder is not None:
        runs_folder.mkdir(parents=True, exist_ok=True)
        atomic.write_json(runs_folder / FILE, answer)
    return {**answer, "sheet": str(written["sheet"])}


def _trainings(
    task: Task[Config, Prepared],
    prepared: Prepared,
    config: Config,
    sizes: Sequence[Size],
    seed: int,
    until: float,
    say: Callable[[str], None],
) -> list[tuple[int, convergence.Trained]] | None:
    """Return a training on each share with `seed`; None where time is up before the last."""
    found: list[tuple[int, convergence.Trained]] = []
    for size in sizes:
        expected = max([*size.seconds, *(trained.seconds for _, trained in found)], default=0.0)
        if clock.now() + expected >= until:
            return None
        say(f"levers: {fmt.share(size.share)} of the data, seed {seed}, {until - clock.now():.0f} s left")
        part, examples = task.fewer(prepared, size.share, seed)
        trained = convergence.train(task, part, config, seed=seed, until=until)
        if trained.cut or not trained.rows:
            return None
        found.append((examples, trained))
    return found
