"""A trained run in use: the same scores again, the same probabilities for new files, bad rows kept apart."""

from __future__ import annotations

import functools
import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fraud_detection import data, examples, features, labels, predict
from fraud_detection.config import Config
from fraud_detection.splits import PrequentialSplit
from paceline import atomic
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

HANDBOOK = {
    "transaction_id": "TRANSACTION_ID",
    "datetime": "TX_DATETIME",
    "customer_id": "CUSTOMER_ID",
    "terminal_id": "TERMINAL_ID",
    "amount": "TX_AMOUNT",
    "device_id": "DEVICE_ID",
}


@pytest.fixture(scope="module")
def table(small: Config) -> pl.DataFrame:
    """The transactions that the run was trained and tested on."""
    return data.load(small.data, Quarantine())


@pytest.fixture(scope="module")
def last_day(table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last day's transactions as a CSV file in the Handbook's layout, without labels, in another order."""
    start = table["datetime"].max().date()  # type: ignore[union-attr] # datetimes
    path = tmp_path_factory.mktemp("new") / "today.csv"
    rows = table.filter(pl.col("datetime") >= start).select(**{new: old for old, new in HANDBOOK.items()})
    rows.with_columns(pl.col("TX_DATETIME").dt.to_string("iso")).sort("CUSTOMER_ID").write_csv(path)
    return path


@pytest.fixture(scope="module")
def evaluated(table: pl.DataFrame, small: Config, run_folder: Path) -> dict[int, float]:
    """The probability of each transaction of the test days, as they are computed where its scores come from."""
    run = predict.load(run_folder)
    fold = PrequentialSplit(table, small.data).final()
    _, test_on = examples.divide(table, features.compute(table, small.data), fold)
    probabilities = run.decision.probabilities(run.model.logits(test_on.X))
    return dict(zip(table[fold.test]["transaction_id"].to_list(), probabilities.tolist(), strict=True))


def test_evaluating_gives_the_scores_of_training(run_folder: Path) -> None:
    """The same numbers, intervals included, from the files of the run alone."""
    trained = json.loads((run_folder / "run.json").read_text())["scores"]
    found = atomic.plain(predict.evaluate(run_folder))
    assert found["scores"] == {
        name: {k: v for k, v in score.items() if k != "floor"} for name, score in trained.items()
    }
    assert 0 == found["quarantined"]
    rows = {row["slice"]: row for row in found["slices"]}
    assert {"channel=online", "amount_quartile=1", "amount_quartile=4", "portfolio=A"} <= set(rows)
    quartiles = [rows[f"amount_quartile={quartile}"]["transactions"] for quartile in (1, 2, 3, 4)]
    assert found["test"]["test_transactions"] == sum(quartiles) == rows["portfolio=A"]["transactions"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_predicting_gives_the_probabilities_of_evaluation(
    ending: str, run_folder: Path, last_day: Path, evaluated: dict[int, float], tmp_path: Path
) -> None:
    """Transactions in a file, without labels, come out as they did when they were part of the table."""
    output = tmp_path / "below" / f"scored.{ending}"
    answer = predict.predict(run_folder, [last_day], output)
    read = {
        "csv": pl.read_csv,
        "parquet": pl.read_parquet,
        "jsonl": functools.partial(pl.read_ndjson, infer_schema_length=None),
    }[ending]
    scored = read(output)
    reasons = ["reason_1", "reason_2", "reason_3"]
    assert ["transaction_id", "fraud_probability", "alert", *reasons] == scored.columns
    assert not scored.filter(~pl.col("alert"))["reason_1"].count()
    given = pl.read_csv(last_day)
    assert sorted(given["TRANSACTION_ID"].to_list()) == sorted(scored["transaction_id"].to_list())
    assert (len(given), len(given), 0) == tuple(answer[key] for key in ("read", "scored", "quarantined"))
    known = scored.filter(pl.col("transaction_id").is_in(list(evaluated)))
    assert len(known) > 100
    expected = [evaluated[row] for row in known["transaction_id"].to_list()]
    assert known["fraud_probability"].to_list() == pytest.approx(expected, rel=1e-12)
    threshold = predict.load(run_folder).decision.threshold
    assert (scored["fraud_probability"] >= threshold).to_list() == scored["alert"].to_list()
    assert scored["alert"].sum() == answer["alerts"]


def test_several_files_are_scored_as_one(run_folder: Path, last_day: Path, tmp_path: Path) -> None:
    """A day in two files is the same day: each transaction sees those of the other file before it."""
    whole = pl.read_csv(last_day)
    half = len(whole) // 2
    parts = [tmp_path / "a.csv", tmp_path / "b.csv"]
    whole[:half].write_csv(parts[0])
    whole[half:].write_csv(parts[1])
    predict.predict(run_folder, [last_day], tmp_path / "one.csv")
    predict.predict(run_folder, parts, tmp_path / "two.csv")
    one, two = (pl.read_csv(tmp_path / name).sort("transaction_id") for name in ("one.csv", "two.csv"))
    assert one.equals(two)


def test_a_transaction_in_two_files_is_scored_once(run_folder: Path, last_day: Path, tmp_path: Path) -> None:
    """The second of them is quarantined with its file, as it would be within one."""
    again = tmp_path / "again.csv"
    again.write_text("\n".join(last_day.read_text().splitlines()[:2]) + "\n")
    answer = predict.predict(run_folder, [last_day, again], tmp_path / "scored.csv", ["data.max_quarantined_share=0.5"])
    (item,) = [json.loads(line) for line in (tmp_path / "scored.quarantine.jsonl").read_text().splitlines()]
    assert ("again.csv", "line 2", "transaction_id is repeated") == tuple(
        item[key] for key in ("source", "location", "reason")
    )
    assert (1, answer["read"] - 1) == (answer["quarantined"], answer["scored"])
    assert pl.read_csv(tmp_path / "scored.csv")["transaction_id"].is_unique().all()


def test_ids_that_are_used_again_are_a_warning(run_folder: Path, last_day: Path, tmp_path: Path) -> None:
    """Numbers that begin anew name other transactions: those of the history stay, and it is said how many."""
    path = tmp_path / "anew.csv"
    pl.read_csv(last_day).with_columns(TRANSACTION_ID=pl.int_range(pl.len())).write_csv(path)
    answer = predict.predict(run_folder, [path], tmp_path / "scored.csv")
    (sentence,) = answer["warnings"]
    assert sentence.startswith(f"{answer['scored']:,} of the new transactions have the id of another one")


def test_bad_rows_are_quarantined(run_folder: Path, last_day: Path, tmp_path: Path) -> None:
    """The good rows are scored as if the bad one were not there; the bad one is listed with its line and reason."""
    lines = last_day.read_text().splitlines()
    broken = tmp_path / "broken.csv"
    fields = lines[5].split(",")
    broken.write_text("\n".join([*lines[:5], ",".join([*fields[:4], "n/a", *fields[5:]]), *lines[6:]]) + "\n")
    answer = predict.predict(run_folder, [broken], tmp_path / "scored.csv")
    assert (len(lines) - 1, len(lines) - 2, 1) == tuple(answer[key] for key in ("read", "scored", "quarantined"))
    (item,) = [json.loads(line) for line in (tmp_path / "scored.quarantine.jsonl").read_text().splitlines()]
    assert ("broken.csv", "line 6", "amount is no number") == (item["source"], item["location"], item["reason"])
    assert int(fields[0]) not in pl.read_csv(tmp_path / "scored.csv")["transaction_id"].to_list()


def test_too_many_bad_rows_are_refused(run_folder: Path, last_day: Path, tmp_path: Path) -> None:
    """Over 1 %, nothing is written."""
    lines = last_day.read_text().splitlines()
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join([*lines, *["x,y"] * 20]) + "\n")
    with pytest.raises(PacelineError, match=r"^20 of \d+ items are quarantined"):
        predict.predict(run_folder, [broken], tmp_path / "scored.csv")
    assert not (tmp_path / "scored.csv").exists()


@pytest.mark.parametrize("name", ["scored.xlsx", "scored", "scored.pickle"])
def test_an_unknown_ending_is_refused(name: str, run_folder: Path, last_day: Path, tmp_path: Path) -> None:
    """Before anything is read."""
    expected = f"'{name}' has an unknown ending. End it in .csv, .parquet or .jsonl."
    with pytest.raises(PacelineError) as refused:
        predict.predict(run_folder, [last_day], tmp_path / name)
    assert expected == str(refused.value)


def test_new_transactions_after_the_history_are_scored(
    run_folder: Path, table: pl.DataFrame, small: Config, tmp_path: Path
) -> None:
    """Tomorrow's payment is scored by what its card and terminal did until today."""
    row = table[-1]
    later = row.with_columns(
        pl.lit(10**9).alias("transaction_id"),
        pl.col("datetime") + timedelta(days=1),
    )
    path = tmp_path / "tomorrow.parquet"
    later.select(**{new: old for old, new in HANDBOOK.items()}).write_parquet(path)
    predict.predict(run_folder, [path], tmp_path / "scored.csv")
    run = predict.load(run_folder)
    X = features.compute(data.append(table, later.with_columns(fraud=None, labelled_at=None)), small.data).tail(1)
    expected = run.decision.probabilities(run.model.logits(X.cast(pl.Float32).to_numpy()))
    scored = pl.read_csv(tmp_path / "scored.csv")
    assert [10**9] == scored["transaction_id"].to_list()
    assert scored["fraud_probability"].to_list() == pytest.approx(expected.tolist(), rel=1e-12)


def test_a_run_that_cannot_be_used_is_refused(run_folder: Path, tmp_path: Path) -> None:
    """Not done, damaged, or of other features than the configuration gives: a sentence each."""
    copy = tmp_path / "run"
    shutil.copytree(run_folder, copy)
    found: dict[str, Any] = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(found | {"status": "stopped"}))
    with pytest.raises(PacelineError, match=r"^The run 'run' is stopped, not done\. Finish it: train --resume RUN\."):
        predict.load(copy)
    (copy / "run.json").write_text(json.dumps(found))
    with pytest.raises(PacelineError, match=r"^The model knows 21 features"):
        predict.evaluate(copy, ["data.windows_days=[2, 7, 30]"])
    (copy / "model.ubj").write_bytes(b"")
    with pytest.raises(PacelineError, match=r"^'model.ubj' does not match its checksum\."):
        predict.load(copy)


@pytest.mark.parametrize("override", ["model.max_depth=9", "report.threshold=max_fpr", "report.max_fpr=0.1"])
def test_what_training_has_settled_is_not_ignored_in_silence(run_folder: Path, override: str) -> None:
    """An override that could have no effect is refused, with those that have one."""
    with pytest.raises(PacelineError, match=r"settled in a trained run\. Set one of data\., report\.alert_budget"):
        predict.evaluate(run_folder, [override])


@pytest.mark.parametrize(
    ("days", "named"),
    [(0.5, []), (1.5, ["transactions"]), (40, ["transactions", "labels"])],
    ids=["next day", "gap", "longer"],
)
def test_a_gap_before_the_new_transactions_is_a_warning(
    days: float, named: list[str], run_folder: Path, table: pl.DataFrame, tmp_path: Path
) -> None:
    """Scores from windows that end before the gap are given, and what is out of date is said with both dates."""
    end = table["datetime"][-1]
    row = table[-1].with_columns(pl.lit(10**9).alias("transaction_id"), pl.lit(end).alias("datetime"))
    later = row.with_columns(pl.col("datetime") + timedelta(days=days))
    later.select(**{new: old for old, new in HANDBOOK.items()}).write_parquet(tmp_path / "new.parquet")
    warnings = predict.predict(run_folder, [tmp_path / "new.parquet"], tmp_path / "scored.csv")["warnings"]
    assert named == [sentence.split()[1] for sentence in warnings]
    for sentence in warnings:
        assert f"the new ones begin on {end + timedelta(days=days):%Y-%m-%d}" in sentence


def test_labels_that_have_stopped_coming_are_a_warning(table: pl.DataFrame, small: Config) -> None:
    """A label file that is late leaves the risk of terminals behind, though the history itself is current."""
    end = table["datetime"][-1]
    known = pl.col("labelled_at") < end - timedelta(days=5)
    behind = table.with_columns(pl.when(known).then(pl.col(name)).alias(name) for name in ("fraud", "labelled_at"))
    (sentence,) = predict.stale(behind, pl.Series([end]), small.data)
    assert sentence.startswith("The labels known end on")
    assert "how risky terminals are" in sentence
    assert [] == predict.stale(table, pl.Series([end]), small.data)
    # What is honest by assumption is no news of labels.
    assumed = behind.with_columns(
        pl.when(known).then("labelled_at").otherwise(end + timedelta(days=7)).alias("labelled_at"),
        (~known).alias(labels.ASSUMED),
    )
    assert 1 == len(predict.stale(assumed, pl.Series([end]), small.data))
