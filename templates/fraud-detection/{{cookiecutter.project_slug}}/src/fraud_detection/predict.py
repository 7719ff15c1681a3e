"""A trained run in use: scored again on its test days, or on transactions that nobody has labelled yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fraud_detection import data, examples, features, formats, groups, labels, metrics, model, reasons
from fraud_detection.config import Config, Data
from fraud_detection.decisions import Decision
from fraud_detection.extras import Encoding
from fraud_detection.splits import PrequentialSplit
from paceline import config as configuration
from paceline import record
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

SCORED_ROWS = 1 << 18  # at a time: what scoring needs beside the features stays below 100 MB
SCORED = {
    "fraud_probability": pl.Float64(),
    "alert": pl.Boolean(),
    **{f"reason_{number + 1}": pl.String() for number in range(reasons.MOST)},
}


# What acts on a trained model. The rest shaped the model or its threshold, and would be ignored.
USED = ("data.", "report.alert_budget_per_day", "report.review_cost", "report.resamples")


@dataclass(frozen=True)
class TrainedRun:
    """A run's configuration, its model and how it decides."""

    config: Config
    model: model.Trained
    decision: Decision
    features: list[str]
    extras: Encoding


def load(folder: Path, overrides: Sequence[str] = ()) -> TrainedRun:
    """Return the trained run in `folder`, the configuration overridden by `section.key=value` texts.

    Raises:
        PacelineError: it is no run, did not finish, or its model is damaged.
    """
    for override in overrides:
        if not override.startswith(USED):
            raise PacelineError(
                f"--set got '{override}', which is settled in a trained run.", f"Set one of {', '.join(USED)} only."
            )
    found = record.read(folder)
    if found["status"] != "done":
        raise PacelineError(
            f"The run '{folder.name}' is {found['status']}, not done.", "Finish it: train --resume RUN."
        )
    config = configuration.load(Config, folder / "config.toml", overrides)
    saved = found["model"]
    trained = model.load(saved["name"], folder, saved)
    extras = Encoding.from_state(saved.get("extras", {}))
    return TrainedRun(config, trained, Decision.from_state(saved), saved["features"], extras)


def evaluate(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the scores of the run in `folder` on its test days, with intervals, and by slice.

    Returns:
        `scores` as in the run record, `slices` (see `metrics.slices`), `test` (dates and counts), `quarantined`.
    """
    run = load(folder, overrides)
    quarantine = Quarantine()
    table = data.load(run.config.data, quarantine)
    fold = PrequentialSplit(table, run.config.data).final()
    _, test_on = examples.divide(table, known_features(table, run), fold)
    probabilities = run.decision.probabilities(run.model.logits(test_on.X))
    seed, threshold = run.config.train.seed, run.decision.threshold
    return {
        "run": str(folder),
        "scores": metrics.score(test_on, probabilities, threshold, run.config.report, seed=seed),
        "slices": metrics.slices(test_on.y, probabilities, threshold, groups.of(table, fold.test)),
        "test": fold.state(),
        "quarantined": quarantine.quarantined,
    }


def predict(folder: Path, inputs: Sequence[Path], output: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Score new transactions by the run in `folder` and write them to `output`.

    A transaction's features depend on what its card and its terminal did before, so the configured data are read as
    the history. What could not be read stands in `OUTPUT.quarantine.jsonl`.

    Args:
        folder: the run.
        inputs: CSV, Parquet or JSON-lines files in the format of `data.source`; labels are not needed.
        output: `.csv`, `.parquet` or `.jsonl`; `transaction_id`, `fraud_probability`, `alert`, and for alerts
            `reason_1` to `reason_3` (see `reasons`), a row each.
        overrides: `section.key=value` texts.

    Returns:
        `output`, `read`, `scored`, `quarantined`, `alerts`, `warnings` (see `stale`, and of ids that are used twice).
    """
    if output.suffix not in (".csv", ".parquet", ".jsonl"):
        raise PacelineError(f"'{output.name}' has an unknown ending.", "End it in .csv, .parquet or .jsonl.")
    run = load(folder, overrides)
    quarantine = Quarantine(output.with_suffix(".quarantine.jsonl"))
    new = data.load_unlabelled(inputs, run.config.data, quarantine)
    history = data.load(run.config.data, Quarantine())
    table = data.append(history, new)
    scored = pl.concat([new.select("transaction_id"), score(run, known_features(table, run).tail(len(new)))],
                       how="horizontal")  # fmt: skip
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix == ".csv":
        scored.write_csv(output)
    elif output.suffix == ".parquet":
        scored.write_parquet(output)
    else:
        scored.write_ndjson(output)
    counts = {"read": quarantine.read, "scored": len(scored), "quarantined": quarantine.quarantined}
    answer = {"run": str(folder), "output": str(output), **counts, "alerts": int(scored["alert"].sum())}
    warnings = stale(history, new["datetime"], run.config.data)
    if reused := data.reused(history, new):
        warnings.append(
            f"{reused:,} of the new transactions have the id of another one in the history, of another time or amount. "
            "Both count for their cards and terminals. Where they are the same, correct either file."
        )
    return answer | {"warnings": warnings}


def stale(history: pl.DataFrame, new: pl.Series, config: Data) -> list[str]:
    """Return what is missing between the history and new transactions, a sentence each; nothing where all is current.

    The windows of cards and terminals end at the transaction that is scored. Where the history, or the labels in it,
    end more than a day earlier (a month, in a format that counts months), those windows hold too little.

    Args:
        history: as `data.load` returns it.
        new: the times of the new transactions.
        config: `source` is used.
    """
    layout = formats.of(config.source)
    most, begin = timedelta(days=layout.period_days if layout else 1), new.min()
    sentences = []
    stated = history.filter(~pl.col(labels.ASSUMED)) if labels.ASSUMED in history.columns else history
    for what, last, windows, setting in (
        ("transactions", history["datetime"].max(), "what cards spent lately", "data.path"),
        ("labels", stated["labelled_at"].max(), "how risky terminals are", "data.path or data.labels_path"),
    ):
        if isinstance(begin, datetime) and isinstance(last, datetime) and begin - last > most:
            sentences.append(
                f"The {what} known end on {last:%Y-%m-%d}, the new ones begin on {begin:%Y-%m-%d}: {windows} is out "
                f"of date, and so are the scores. Bring newer ones: {setting}."
            )
    return sentences


def score(run: TrainedRun, known: pl.DataFrame) -> pl.DataFrame:
    """Return `fraud_probability`, `alert` and the reasons of alerts for rows of features, `SCORED_ROWS` at a time."""
    parts = [pl.DataFrame(schema=SCORED)]
    for begin in range(0, len(known), SCORED_ROWS):
        X = known[begin : begin + SCORED_ROWS].cast(pl.Float32).to_numpy(order="c")
        probabilities = run.decision.probabilities(run.model.logits(X))
        alert = probabilities >= run.decision.threshold
        places = np.flatnonzero(alert)
        texts = np.full((len(X), reasons.MOST), None, dtype=object)
        if len(places):
            found = reasons.explain(run.features, X[places], run.model.contributions(X[places]), run.extras)
            for place, lines in zip(places, found, strict=True):
                texts[place, : len(lines)] = lines
        columns = {f"reason_{number + 1}": texts[:, number].tolist() for number in range(reasons.MOST)}
        parts.append(pl.DataFrame({"fraud_probability": probabilities, "alert": alert, **columns}, schema=SCORED))
    return pl.concat(parts)


def known_features(table: pl.DataFrame, run: TrainedRun) -> pl.DataFrame:
    """Return the features of `table`, refused where they are not those that the run's model knows."""
    found = run.extras.extend(features.compute(table, run.config.data), table)
    if found.columns != run.features:
        raise PacelineError(
            f"The model knows {len(run.features)} features, the configuration gives {len(found.columns)} others.",
            "Leave data.windows_days as it was in training.",
        )
    return found
