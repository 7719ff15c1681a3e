"""A model in use: have its inputs and its scores moved since training, and how good is it, week by week?

Movement is seen at once, by the population stability index. Quality is seen behind the label delay: a week is judged
when its labels have had `label_delay_days` to arrive, and the weeks after it are listed as waiting, not as good.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection import data, formats, labels
from fraud_detection.config import Data
from fraud_detection.predict import known_features, load
from fraud_detection.splits import Fold
from paceline import intervals, record, report
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine
from paceline.ranking import Ranking
from paceline.report import figure

Floats = NDArray[np.floating[Any]]

BINS = 10
LEAST_SHARE = 1e-4  # an empty bin counts as this share: the index would be infinite
# The bands in use since Siddiqi, "Credit Risk Scorecards" (2006): a convention, not a test.
BANDS = ((0.1, "stable"), (0.25, "moved"), (np.inf, "moved far"))
WEEK_DAYS = 7


def stability_index(before: Floats, after: Floats) -> float:
    """Return the population stability index of `after` against `before`: 0 where they are distributed alike.

    The sum of `(q - p) ln(q / p)` over bins at the tenths of `before`, p and q the shares of each there. The value at
    which a bin ends belongs to it, unless several tenths are that value: then it is a bin of its own, so that a column
    of zeros mostly is seen to leave them on either side.

    Args:
        before: values of the training window, not empty.
        after: values of the later window, not empty.

    >>> round(stability_index(np.arange(100.0), np.arange(100.0)), 6)
    0.0
    >>> stability_index(np.arange(100.0), np.arange(50.0, 150.0)) > 0.25
    True
    """
    tenths = np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1], method="lower")
    edges, repeats = np.unique(tenths, return_counts=True)
    bins = [
        # Two numbers to each edge: of what lies below it, and of what is equal to one that is a bin of its own.
        2 * np.searchsorted(edges, values) + np.isin(values, edges[repeats > 1])
        for values in (before, after)
    ]
    p, q = (np.bincount(found, minlength=2 * len(edges) + 1) / len(found) for found in bins)
    used = (p > 0) | (q > 0)
    p, q = np.maximum(p[used], LEAST_SHARE), np.maximum(q[used], LEAST_SHARE)
    return float(((q - p) * np.log(q / p)).sum())


def band(index: float) -> str:
    """Return what a stability index is taken to mean.

    >>> band(0.05), band(0.1), band(0.3)
    ('stable', 'moved', 'moved far')
    """
    return next(name for limit, name in BANDS if index < limit)


def stability(
    names: Sequence[str], before: NDArray[np.float32], after: NDArray[np.float32], scores: Sequence[Floats]
) -> list[dict[str, Any]]:
    """Return a row for the score and each feature: `name`, `stability_index`, `band`; the most moved feature first.

    Args:
        names: of the features.
        before: their values in the training window, shape (rows, features).
        after: their values in the later window.
        scores: those of both windows. The model has seen the labels of the first, so its scores there are sharper.
    """
    found = [(name, stability_index(before[:, place], after[:, place])) for place, name in enumerate(names)]
    rows = [("score", stability_index(*scores)), *sorted(found, key=lambda row: -row[1])]
    return [{"name": name, "stability_index": index, "band": band(index)} for name, index in rows]


def weekly(
    table: pl.DataFrame,
    probabilities: Floats,
    threshold: float,
    *,
    start: datetime,
    end: datetime,
    as_of: datetime,
    delay_days: int,
    period_days: int = WEEK_DAYS,
) -> list[dict[str, Any]]:
    """Return a row for each week from `start` to `end`: counts, alerts, and its quality once its labels are in.

    Args:
        table: transactions with `datetime, fraud, labelled_at`.
        probabilities: of fraud, one for each.
        threshold: the probability from which on a transaction is an alert.
        start: when the first week begins.
        end: when the last one ends, whole or not.
        as_of: what was labelled after this moment is not known yet.
        delay_days: how long labels take. A fraud that was reported later than this and after `as_of` counts as honest.
        period_days: a week's, or those of another period.

    Returns:
        `from` (its first day), `days` (fewer in the last where it is not whole), `transactions`, `alerts`, `labels`
        (`arrived` or `waiting`); for a week whose labels have arrived also `frauds`, `average_precision`, and `recall`
        and `precision` with Wilson's intervals.
    """
    rows, known = [], labels.known(table, as_of)
    for begin, until in _periods(start, end, timedelta(days=period_days)):
        of_week = table.select(pl.col("datetime").is_between(begin, until, closed="left")).to_series().to_numpy()
        scores = probabilities[of_week]
        alert = scores >= threshold
        row: dict[str, Any] = {
            "from": f"{begin:%Y-%m-%d}",
            "days": round((until - begin) / timedelta(days=1), 2),
            "transactions": len(scores),
            "alerts": int(alert.sum()),
        }
        if until + timedelta(days=delay_days) > as_of:
            rows.append(row | {"labels": "waiting"})
            continue
        fraud = known[of_week] == 1
        caught = int((fraud & alert).sum())
        precision = (
            Ranking(fraud.astype(np.int8), scores).average_precision(np.ones(len(scores))) if len(scores) else None
        )
        rows.append(
            row
            | {
                "labels": "arrived",
                "frauds": int(fraud.sum()),
                "average_precision": precision,
                "recall": intervals.wilson(caught, int(fraud.sum())).state(),
                "precision": intervals.wilson(caught, int(alert.sum())).state(),
            }
        )
    return rows


def of_test(
    table: pl.DataFrame, fold: Fold, probabilities: Floats, threshold: float, config: Data
) -> list[dict[str, Any]]:
    """Return `weekly` for what `fold` is judged on, in hindsight: with all labels that came within the delay.

    All of them have arrived, so the rows do not say it.
    """
    delay = config.label_delay_days
    as_of = fold.test_end + timedelta(days=delay)
    chosen = table[fold.test]
    rows = weekly(
        chosen,
        probabilities,
        threshold,
        start=fold.test_start,
        end=fold.test_end,
        as_of=as_of,
        delay_days=delay,
        period_days=_period_days(config),
    )
    return [{name: value for name, value in row.items() if name != "labels"} for row in rows]


def monitor(folder: Path, output: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write how inputs, scores and quality of the run in `folder` have moved since its training, as a page and JSON.

    The configured data (`overrides` may name newer ones) must reach back to the training window. All transactions from
    the run's test on are judged, those of cards known as compromised included, as they come in. What a label was is
    taken as it is known at the end of the data.

    Args:
        folder: the run.
        output: the page; the JSON lies beside it.
        overrides: `section.key=value` texts.

    Returns:
        `run`, `training` and `later` (first and last day), `transactions` (how many in each), `stability` and `weeks`
        (see those), `sheet`.

    Raises:
        PacelineError: as `predict.load`, or the data do not cover the training window and a later day.
    """
    run = load(folder, overrides)
    fold = record.read(folder)["dataset"]["folds"]["test"]
    table = data.load(run.config.data, Quarantine())
    training = [datetime.fromisoformat(moment) for moment in fold["train_bounds"]]
    later = datetime.fromisoformat(fold["test_bounds"][0])
    before, after = _windows(table["datetime"], training[0], training[1], later)
    found = known_features(table, run)
    X_before, X_after = (found.filter(rows).cast(pl.Float32).to_numpy(order="c") for rows in (before, after))
    scores = tuple(run.decision.probabilities(run.model.logits(X)) for X in (X_before, X_after))
    moved = stability(run.features, X_before, X_after, scores)
    layout = formats.of(run.config.data.source)
    end = _midnight(table["datetime"][-1]) + timedelta(days=layout.period_days if layout else 1)
    weeks = weekly(
        table.filter(after),
        scores[1],
        run.decision.threshold,
        start=later,
        end=end,
        as_of=end,
        delay_days=run.config.data.label_delay_days,
        period_days=_period_days(run.config.data),
    )
    facts = {
        "run": str(folder),
        "training": fold["train"],
        "later": [fold["test"][0], f"{table['datetime'][-1]:%Y-%m-%d}"],
        "transactions": {"training": int(before.sum()), "later": int(after.sum())},
        "stability": moved,
        "weeks": weeks,
    }
    return report.write_sheet(output, "Since training", facts, draw(moved, weeks))


def draw(rows: list[dict[str, Any]], weeks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the charts of `stability` and `weekly`."""
    most = rows[: figure.MOST_ROWS]
    figures = [
        figure.bar(
            "What has moved since training",
            [figure.series("index", [row["name"] for row in most], [row["stability_index"] for row in most])],
            x_label="population stability index",
            y_label="",
            caption="Against the training window, in its tenths. Below 0.1 is called stable, above 0.25 moved far.",
        )
    ]
    judged = [row for row in weeks if row.get("frauds")]
    if judged:
        waiting = sum(row.get("labels") == "waiting" for row in weeks)
        others = f"; {waiting} more wait for theirs" if waiting else ""
        figures.append(
            figure.interval(
                "How good it is over time",
                [
                    figure.series(
                        name,
                        [row["from"] for row in judged],
                        [row[name]["value"] for row in judged],
                        [row[name]["low"] for row in judged],
                        [row[name]["high"] for row in judged],
                    )
                    for name in ("recall", "precision")
                ],
                x_label="share, with its 95 % interval",
                y_label="from",
                caption=f"Periods of {judged[0]['days']:g} days whose labels have arrived{others}.",
            )
        )
    return figures


def _windows(
    time: pl.Series, first: datetime, end: datetime, later: datetime
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are of the training window and which of the later one."""
    before, after = ((time >= first) & (time < end)).to_numpy(), (time >= later).to_numpy()
    if time[0] >= first + timedelta(days=1) or not before.any() or not after.any():
        raise PacelineError(
            f"The data are of {time[0]:%Y-%m-%d} to {time[-1]:%Y-%m-%d}, but the model learned from "
            f"{first:%Y-%m-%d} on and is in use from {later:%Y-%m-%d} on.",
            "Name data that cover both: --set data.path=...",
        )
    return before, after


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _period_days(config: Data) -> int:
    """Return a week's days, or those of what a moment in the data stands for, where that is longer."""
    layout = formats.of(config.source)
    return max(WEEK_DAYS, layout.period_days if layout else 1)


def _periods(start: datetime, end: datetime, length: timedelta) -> list[tuple[datetime, datetime]]:
    begins = [start + length * number for number in range(max(0, -((start - end) // length)))]
    return [(begin, min(begin + length, end)) for begin in begins]
