"""Retraining from an earlier run, four ways: which is best on the same fold, and how long each takes.

`continue` adds trees that learn from the new transactions, `refresh` keeps the trees and learns their leaves anew,
`pooled` learns from old and new together, `scratch` from the new alone. They are compared on the validation fold, by
average precision with intervals of the paired differences; the test days, which come after, judge the way that was
taken. Where no difference is shown that is said, with what each way costs. The fold also stops the boosting, which
flatters the three ways that boost, alike, against `refresh`, which has nothing to choose.

The earlier run may be of the same cards, earlier in time, or of another portfolio with the same features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection import data, examples, extras, features, model
from fraud_detection.boosted import Boosted
from fraud_detection.config import Config
from fraud_detection.examples import Examples
from fraud_detection.extras import Encoding
from fraud_detection.splits import Fold, PrequentialSplit
from paceline import config as configuration
from paceline import intervals, record
from paceline.errors import PacelineError
from paceline.progress import Progress
from paceline.quarantine import Quarantine
from paceline.ranking import Ranking
from paceline.record import Run
from paceline.report import figure

WAYS = ("continue", "refresh", "pooled", "scratch")


@dataclass(frozen=True)
class Earlier:
    """An earlier run: its folder's name, its trees, what they learned from, which rows of the new table those are."""

    name: str
    trained: Boosted
    examples: Examples
    rows: NDArray[np.int64]


def encoding(config: Config, table: pl.DataFrame, rows: NDArray[np.int64]) -> Encoding:
    """Return how extra columns become numbers: as for the run that `transfer.from_run` names, else learnt from `rows`.

    Trees that go on growing must meet the codes that they have grown with.
    """
    if config.transfer.from_run:
        found = record.read(Path(config.transfer.from_run).expanduser())
        return Encoding.from_state(found["model"].get("extras", {}))
    return extras.learn(table, rows)


def load(config: Config, table: pl.DataFrame, names: list[str]) -> Earlier | None:
    """Return the run that `transfer.from_run` names; None where it names none.

    Args:
        config: of the new run.
        table: its transactions.
        names: its features.

    Raises:
        PacelineError: it is no run, not done, no boosted trees, or of other features.
    """
    if not config.transfer.from_run:
        return None
    folder = Path(config.transfer.from_run).expanduser()
    found = record.read(folder)
    if found["status"] != "done":
        raise PacelineError(f"The run '{folder.name}' is {found['status']}, not done.", "Name one that finished.")
    if found["model"]["name"] != "xgboost" or found["model"]["features"] != names:
        raise PacelineError(
            f"The run '{folder.name}' is a {found['model']['name']} on {len(found['model']['features'])} features; "
            f"this one is an xgboost on {len(names)}.",
            "Name a run of boosted trees with the same data.windows_days and source.",
        )
    saved = found["model"]
    trained = Boosted.load(folder / Path(saved["file"]).name, saved["sha256"], saved["steps"])
    before = configuration.load(Config, folder / "config.toml")
    old = data.load(before.data, Quarantine())
    split = PrequentialSplit(old, before.data)
    fold = split.final() if before.train.refit else split.validation()
    known = Encoding.from_state(found["model"]["extras"]).extend(features.compute(old, before.data), old)
    learned, _ = examples.divide(old, known, fold)
    keys = [
        table.select(pl.col(data.SAME[0]).cast(pl.String), *data.SAME[1:]),
        old[fold.train].select(pl.col(data.SAME[0]).cast(pl.String), *data.SAME[1:]),
    ]
    seen = keys[0].with_row_index("row").join(keys[1], on=data.SAME, how="semi")["row"].to_numpy().astype(np.int64)
    return Earlier(folder.name, trained, learned, np.sort(seen))


def without_seen(earlier: Earlier | None, fold: Fold, train_on: Examples) -> Examples:
    """Return what of `train_on`, the examples that `fold` trains on, the earlier run has not learned from.

    Raises:
        PacelineError: nothing of it is new, or the earlier run has learned from transactions that `fold` judges by.
    """
    if earlier is None:
        return train_on
    judged = int(np.isin(fold.test, earlier.rows).sum())
    if judged:
        raise PacelineError(
            f"The run '{earlier.name}' has learned from {judged:,} of the transactions that the fold '{fold.name}' "
            f"judges by, from {fold.test_start:%Y-%m-%d} on.",
            "Name an older run, bring newer data, or shorten data.validation_days.",
        )
    new = ~np.isin(fold.train, earlier.rows)
    if not 0 < train_on.y[new].sum() < new.sum():
        raise PacelineError(
            f"Of what the fold '{fold.name}' trains on, {int(new.sum()):,} transactions with "
            f"{int(train_on.y[new].sum()):,} frauds are new to the run '{earlier.name}'.",
            "Bring newer data: both classes are needed.",
        )
    return _take(train_on, new)


def fit(
    config: Config,
    earlier: Earlier | None,
    way: str,
    train_on: Examples,
    validation: Examples | None = None,
    *,
    steps: int | None = None,
    stage: str = "refit",
    run: Run,
    progress: Progress,
) -> model.Trained:
    """Train one way; see `model.fit`. `train_on` holds what is new."""
    if earlier is None or way == "scratch":
        return model.fit(config, train_on, validation, steps=steps, stage=stage, run=run, progress=progress)
    if way == "refresh":
        progress.begin(stage)
        return earlier.trained.refresh(config, train_on, run)
    start = earlier.trained if way == "continue" else None
    rows = train_on if way == "continue" else _together(earlier.examples, train_on)
    rounds = steps or model.most_steps(config)
    return Boosted.fit(config, rows, validation, rounds, stage, run, progress, start)


def select(
    config: Config, earlier: Earlier | None, train_on: Examples, judged: Examples, *, run: Run, progress: Progress
) -> tuple[str, model.Trained, dict[str, Any]]:
    """Return the way to take, what it trained on the selecting fold, and the comparison for the record.

    Without an earlier run that is `scratch` and nothing compared; where `transfer.way` names a way, that one.
    """
    way: str = config.transfer.way if earlier is not None else "scratch"
    if way != "compare":
        return way, fit(config, earlier, way, train_on, judged, stage="select", run=run, progress=progress), {}
    fitted: dict[str, model.Trained] = {}
    seconds: dict[str, float | None] = {}
    histories: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        stage = f"select-{way}"
        begun_before = (run.folder / "checkpoints" / stage).exists()  # by a session that was stopped: time unknown
        since = run.clock.elapsed()
        fitted[way] = fit(config, earlier, way, train_on, judged, stage=stage, run=run, progress=progress)
        seconds[way] = None if begun_before else run.clock.elapsed() - since
        histories[way], run.history = run.history, {}
        progress.finish()
    with run.phase("score/compare"):
        logits = {way: trained.logits(judged.X) for way, trained in fitted.items()}
        rows = compare(judged, logits, seconds, resamples=config.report.resamples, seed=config.train.seed)
    taken = str(rows[0]["way"])
    run.history = histories[taken]
    return (
        taken,
        fitted[taken],
        {"from": config.transfer.from_run, "taken": taken, "advice": advice(rows), "ways": rows},
    )


def compare(
    judged: Examples,
    scores: dict[str, NDArray[np.float64]],
    seconds: dict[str, float | None],
    *,
    resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return a row for each way, the best first.

    Returns:
        `way`, `average_precision` and `behind_the_best` (the best less this one, on the same transactions), with 95 %
        intervals of a bootstrap over customers, `shown` (whether the interval of the difference excludes 0), `seconds`,
        `seconds_saved` against `pooled`, which learns from everything; None where either time is not known.
    """
    rankings = {way: Ranking(judged.y, values) for way, values in scores.items()}
    ones = np.ones(len(judged.y))
    order = sorted(rankings, key=lambda way: -rankings[way].average_precision(ones))

    def statistics(weights: NDArray[np.float64]) -> dict[str, float]:
        values = {way: ranking.average_precision(weights) for way, ranking in rankings.items()}
        return values | {f"behind {way}": values[order[0]] - values[way] for way in order}

    found = intervals.bootstrap_many(statistics, judged.customers, resamples=resamples, seed=seed)
    return [
        {
            "way": way,
            "average_precision": found[way].state(),
            "behind_the_best": found[f"behind {way}"].state(),
            "shown": bool(found[f"behind {way}"].low > 0),
            "seconds": seconds[way],
            "seconds_saved": _saved(seconds.get("pooled"), seconds[way]),
        }
        for way in order
    ]


def advice(rows: list[dict[str, Any]]) -> str:
    """Return in a sentence or two which way to take, against which others a difference is shown, what time it saves.

    >>> ap = {"value": 0.7}
    >>> advice([{"way": "pooled", "average_precision": ap, "shown": False, "seconds": 9.0},
    ...     {"way": "continue", "average_precision": ap, "shown": False, "seconds": 2.0},
    ...     {"way": "scratch", "average_precision": ap, "shown": True, "seconds": 4.0}])
    'Take pooled. It is better than scratch; no difference shown to continue (2.0 s against 9.0 s).'
    """
    best, *others = rows
    worse = [row["way"] for row in others if row["shown"]]
    alike = [
        row["way"]
        + (f" ({row['seconds']:.1f} s against {best['seconds']:.1f} s)" if row["seconds"] and best["seconds"] else "")
        for row in others
        if not row["shown"]
    ]
    parts = [f"It is better than {', '.join(worse)}"] if worse else []
    parts += [f"no difference shown to {', '.join(alike)}"] if alike else []
    text = "; ".join(parts)
    saved = best.get("seconds_saved") or 0.0
    time = f" It saves {saved:.1f} s against pooled." if saved > 0 else ""
    return f"Take {best['way']}. {text[:1].upper()}{text[1:]}.{time}"


def _saved(whole: float | None, own: float | None) -> float | None:
    return None if whole is None or own is None else whole - own


def draw(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the chart of a comparison; none where nothing was compared."""
    rows = comparison.get("ways", [])
    if not rows:
        return []
    scores = [row["average_precision"] for row in rows]
    names = [f"{row['way']}, {row['seconds']:.1f} s" if row["seconds"] else row["way"] for row in rows]
    ends = (
        [score["value"] for score in scores],
        [score["low"] for score in scores],
        [score["high"] for score in scores],
    )
    return [
        figure.interval(
            "Ways to retrain",
            [figure.series("validation fold", names, *ends)],
            x_label="average precision on the validation fold, with its 95 % interval",
            y_label="",
            caption=comparison["advice"],
        )
    ]


def stages(config: Config) -> dict[str, int]:
    """Return the trainings of a run with the most rounds that each can take; see `model.stages`."""
    found = model.stages(config)
    if not config.transfer.from_run or config.transfer.way != "compare":
        return found
    most = found.pop("select")
    return {**{f"select-{way}": most for way in WAYS}, **found}


def _take(given: Examples, chosen: NDArray[np.bool_]) -> Examples:
    rows = np.flatnonzero(chosen)
    return Examples(
        given.X[rows], given.y[rows], given.amounts[rows], given.days[rows], given.customers[rows], given.names
    )


def _together(first: Examples, second: Examples) -> Examples:
    return Examples(
        np.concatenate([first.X, second.X]),
        np.concatenate([first.y, second.y]),
        np.concatenate([first.amounts, second.amounts]),
        pl.concat([first.days, second.days]),
        np.concatenate([first.customers, second.customers + int(first.customers.max()) + 1]),
        second.names,
    )
