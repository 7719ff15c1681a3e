"""Labels that come late and change: at any moment the last statement made by then holds, and nothing newer."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fraud_detection import data, features, labels, monitor, synthetic
from fraud_detection.config import Columns, Config, Data
from fraud_detection.splits import PrequentialSplit
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

START = datetime(2025, 3, 1)
PAYMENTS = [
    "transaction_id,datetime,customer_id,terminal_id,amount",
    *(f"{number},2025-03-0{1 + number // 2} 10:0{number}:00,c{number % 2},t1,5.00" for number in range(6)),
]


def config(folder: Path, statements: list[str], *, fraud: str = "") -> Data:
    """Write six payments and a file of statements about them; return the configuration that reads both."""
    (folder / "payments.csv").write_text("\n".join(PAYMENTS))
    (folder / "labels.csv").write_text("\n".join(["transaction_id,fraud,labelled_at", *statements]))
    return Data(
        source="table",
        path=str(folder / "payments.csv"),
        labels_path=str(folder / "labels.csv"),
        columns=Columns(fraud=fraud),
        max_quarantined_share=1,
        unstated_genuine=False,
    )


def load(given: Data) -> tuple[pl.DataFrame, Quarantine]:
    """Return the table and the quarantine."""
    quarantine = Quarantine()
    return data.load(given, quarantine), quarantine


def known(table: pl.DataFrame, day: int) -> list[int]:
    """Return what is known of each transaction as that day of March begins."""
    return [int(label) for label in labels.known(table, datetime(2025, 3, day))]


def restated(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return `table` with statements of its own taken back, and made again, at random moments."""
    rng = np.random.default_rng(seed)
    row = np.repeat(rng.choice(table.height, table.height // 3, replace=False), rng.integers(1, 4))
    first = table["labelled_at"].to_physical().to_numpy()[row]
    later = pl.DataFrame(
        {
            "row": pl.Series(row, dtype=pl.get_index_type()),
            "fraud": pl.Series(rng.integers(0, 2, len(row)), dtype=pl.Int8),
            "labelled_at": pl.Series(first + rng.integers(1, 30 * 86_400, len(row)) * 1_000_000).cast(
                pl.Datetime("us")
            ),
        }
    )
    later = later.unique(("row", "labelled_at"), maintain_order=True)
    return labels._restated(table, later, delay_days=10_000)


def test_the_last_statement_made_by_then_holds(tmp_path: Path) -> None:
    """Reported, withdrawn and reported again: each holds from its moment to the next; before the first, nothing."""
    table, quarantine = load(config(tmp_path, ["0,1,2025-03-03", "0,0,2025-03-05", "0,1,2025-03-09", "3,0,2025-03-04"]))
    assert [-1, 1, 1, 0, 0, 1] == [known(table, day)[0] for day in (2, 3, 4, 5, 8, 9)]
    assert [-1, 0] == [known(table, day)[3] for day in (3, 4)]
    assert [1, None, None, 0, None, None] == table["fraud"].to_list()
    assert datetime(2025, 3, 9) == table["labelled_at"][0]
    assert [[1, 0], None] == [
        None if said is None else [each["fraud"] for each in said] for said in table[labels.EARLIER].to_list()[:2]
    ]
    assert (10, 10, 0) == (quarantine.read, quarantine.kept, quarantine.quarantined)
    assert 1 == data.audit(table, quarantine)["labels_changed"]


def test_the_order_of_rows_and_files_and_repeated_deliveries_make_no_difference(tmp_path: Path) -> None:
    """Daily exports in a folder, each with all statements so far, say what one file says."""
    statements = ["0,1,2025-03-03", "0,0,2025-03-05", "2,1,2025-03-06", "0,0,2025-03-07"]
    expected, _ = load(config(tmp_path, statements))
    exports = tmp_path / "exports"
    exports.mkdir()
    for number, lines in enumerate([statements[::-1], statements[:2], statements[:3]]):
        (exports / f"{number}.csv").write_text("\n".join(["transaction_id,fraud,labelled_at", *lines]))
    table, quarantine = load(config(tmp_path, []).model_copy(update={"labels_path": str(exports)}))
    assert expected.equals(table)
    assert 0 == quarantine.quarantined
    assert datetime(2025, 3, 5) == table["labelled_at"][0]  # said again on the 7th: nothing new


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",1,2025-03-03", "label's transaction_id is missing"),
        ("0,maybe,2025-03-03", "label is not 0 or 1"),
        ("0,,2025-03-03", "label is not 0 or 1"),
        ("0,1,soon", "label's labelled_at is no ISO 8601 date and time"),
        ("0,1,", "label's labelled_at is no ISO 8601 date and time"),
        ("99,1,2025-03-03", "label is of no transaction in the data"),
        ("0,1,2025-02-03", "label is from before its transaction"),
    ],
)
def test_a_bad_statement_is_quarantined_with_its_place(tmp_path: Path, line: str, reason: str) -> None:
    """It is counted and listed, and the others hold."""
    table, quarantine = load(config(tmp_path, ["1,1,2025-03-03", line, "2,0,2025-03-04"]))
    assert {reason: 1} == quarantine.state()["by_reason"]
    assert [("labels.csv", "line 3")] == [(item["source"], item["location"]) for item in quarantine.examples()]
    assert line == quarantine.examples()[0]["example"]
    assert [None, 1, 0, None, None, None] == table["fraud"].to_list()


def test_contradictions_of_one_moment_are_quarantined_together(tmp_path: Path) -> None:
    """Nobody can tell which of them holds, so none does; statements of other moments do."""
    table, quarantine = load(config(tmp_path, ["0,1,2025-03-03", "0,0,2025-03-05", "0,1,2025-03-05"]))
    assert {"labels of one moment contradict each other": 2} == quarantine.state()["by_reason"]
    assert 1 == table["fraud"][0]
    assert labels.EARLIER not in table.columns


def test_too_many_labels_without_transactions_are_refused(tmp_path: Path) -> None:
    """Ids of another kind match nothing: that is said with a line to look at, not trained on."""
    strict = config(tmp_path, ["x0,1,2025-03-03"]).model_copy(update={"max_quarantined_share": 0.01})
    with pytest.raises(PacelineError, match=r"label is of no transaction in the data.*labels\.csv, line 2.*x0,1"):
        load(strict)


def test_files_are_named_by_their_setting(tmp_path: Path) -> None:
    """A missing file, a missing column and a damaged file are errors that name data.labels_path."""
    given = config(tmp_path, [])
    (tmp_path / "empty.csv").touch()
    (tmp_path / "other.csv").write_text("id,fraud,labelled_at\n0,1,2025-03-03\n")
    for name, message in (
        ("nowhere.csv", r"^data\.labels_path = '.*nowhere\.csv' does not exist"),
        ("empty.csv", r"it is empty\. Get the file again, or name another one in data\.labels_path"),
        ("other.csv", r"no column 'transaction_id'.*columns of data\.labels_path are called transaction_id, fraud"),
    ):
        with pytest.raises(PacelineError, match=message):
            load(given.model_copy(update={"labels_path": str(tmp_path / name)}))


def test_a_table_without_labels_wants_a_file_of_them() -> None:
    """No column and no file is a mistake that is seen before anything is read."""
    with pytest.raises(ValueError, match=r"data\.columns\.fraud is empty, and so is data\.labels_path"):
        Config(data=Data(source="table", path="a.csv", columns=Columns(fraud="")))


def test_an_assumed_arrival_gives_way_to_a_statement(tmp_path: Path) -> None:
    """A payment's own label, of unknown arrival, counts after the delay and only up to the first statement."""
    given = config(tmp_path, ["0,1,2025-03-04", "1,1,2025-03-20"], fraud="fraud")
    lines = [f"{line},{'fraud' if line == PAYMENTS[0] else 0}" for line in PAYMENTS]
    (tmp_path / "payments.csv").write_text("\n".join(lines))
    table, _ = load(given)
    assert [1, 1, 1] == [known(table, day)[0] for day in (4, 9, 30)]
    assert [-1, 0, 1] == [known(table, day)[1] for day in (8, 9, 20)]
    assert [0, 0, 0, 0] == table["fraud"].to_list()[2:]


def test_what_no_statement_names_is_honest_after_the_delay_and_until_one_does(tmp_path: Path) -> None:
    """In a feed of frauds alone: nothing is known before the delay, honest from then on, a late fraud only later."""
    given = config(tmp_path, ["0,1,2025-03-03", "1,1,2025-03-20"]).model_copy(update={"unstated_genuine": True})
    table, quarantine = load(given)
    assert [-1, 1, 1] == [known(table, day)[0] for day in (2, 3, 30)]
    assert [-1, 0, 1] == [known(table, day)[1] for day in (8, 9, 20)]
    assert [-1, 0, 0] == [known(table, day)[2] for day in (9, 10, 30)]
    assert [1, 1, 0, 0, 0, 0] == table["fraud"].to_list()
    assert [False, False, True, True, True, True] == table[labels.ASSUMED].to_list()
    assert 4 == data.audit(table, quarantine)["assumed_genuine"]


def feed(folder: Path, *, unstated_genuine: bool, honest: int = 0) -> tuple[pl.DataFrame, Data]:
    """Return simulated payments whose label file names the frauds, and `honest` others, with its configuration."""
    given = Data(customers=600, terminals=500, days=105, unreported_share=0.0, false_report_share=0.0)
    made = synthetic.generate(given).with_columns(row=pl.int_range(pl.len()))
    frauds, others = made.filter(pl.col("fraud") == 1), made.filter(pl.col("fraud") == 0)
    stated = pl.concat([frauds, others.gather_every(max(1, len(others) // max(1, honest))).head(honest)])
    made.drop("fraud", "labelled_at").write_parquet(folder / "payments.parquet")
    stated.select("transaction_id", "fraud", "labelled_at").write_parquet(folder / "labels.parquet")
    config = given.model_copy(
        update={
            "source": "table",
            "path": str(folder / "payments.parquet"),
            "labels_path": str(folder / "labels.parquet"),
            "columns": Columns(fraud=""),
            "unstated_genuine": unstated_genuine,
        }
    )
    return data.load(config, Quarantine()), config


def test_a_feed_of_frauds_alone_divides_as_full_labels_do(tmp_path: Path) -> None:
    """The windows hold every row, the frauds known by then, and say how many are honest by assumption."""
    table, config = feed(tmp_path, unstated_genuine=True)
    full = synthetic.generate(Data(customers=600, terminals=500, days=105, unreported_share=0, false_report_share=0))
    fold, expected = (PrequentialSplit(each, config).final() for each in (table, full))
    assert expected.train.tolist() == fold.train.tolist()
    assert expected.train_labels.tolist() == fold.train_labels.tolist()
    assert expected.test.tolist() == fold.test.tolist()
    assert expected.test_labels.tolist() == fold.test_labels.tolist()
    assert [] == fold.doubts()
    honest = int((full["fraud"].to_numpy()[fold.train] == 0).sum())
    assert honest == fold.state()["train_assumed_genuine"]


def test_what_is_left_out_is_said_with_its_share_and_the_way_back(tmp_path: Path) -> None:
    """Where unnamed rows are left out, a window of frauds alone names the setting, and a thin one is doubted."""
    table, config = feed(tmp_path, unstated_genuine=False)
    with pytest.raises(PacelineError, match=r"more have no label: .*set data\.unstated_genuine = true"):
        PrequentialSplit(table, config).final()
    table, config = feed(tmp_path, unstated_genuine=False, honest=2_000)
    fold = PrequentialSplit(table, config).final()
    (training, later) = fold.doubts()
    out = fold.state()["train_unlabelled_left_out"]
    assert out > 10 * len(fold.train)
    assert training.startswith(f"{out:,} of {out + len(fold.train):,} transactions (9")
    assert "the later window of the fold 'test'" in later


def test_a_training_row_is_kept_by_what_was_stated_by_then(tmp_path: Path) -> None:
    """With unnamed rows left out, a statement made once the test has begun brings no row into training."""
    table, config = feed(tmp_path, unstated_genuine=False, honest=2_000)
    fold = PrequentialSplit(table, config).final()
    stated = table["labelled_at"].to_physical().to_numpy()[fold.train]
    assert int(stated.max()) <= labels.us(fold.test_start)


def test_ids_of_numbers_and_texts_meet(tmp_path: Path) -> None:
    """Whole numbers in a Parquet file are the ids that a CSV of mixed ids holds."""
    given = config(tmp_path, [])
    pl.DataFrame(
        {"transaction_id": [0, 3], "fraud": [True, False], "labelled_at": [START + timedelta(days=9)] * 2}
    ).write_parquet(tmp_path / "labels.parquet")
    lines = [*PAYMENTS, "x,2025-03-06,c1,t1,5.00"]
    (tmp_path / "payments.csv").write_text("\n".join(lines))
    table, quarantine = load(given.model_copy(update={"labels_path": str(tmp_path / "labels.parquet")}))
    assert pl.String == table["transaction_id"].dtype
    assert {"0": 1, "3": 0} == dict(table.drop_nulls("fraud").select("transaction_id", "fraud").rows())
    assert 0 == quarantine.quarantined


@pytest.mark.parametrize("seed", range(3))
def test_a_later_statement_changes_no_feature_before_it_arrived(seed: int) -> None:
    """At any cut, statements made after it may be anything, or missing: features up to it stay, bit for bit."""
    given = Data(customers=40, terminals=25, days=60, seed=seed)
    plain = synthetic.generate(given)
    table = restated(plain, seed)
    cut = table["datetime"][int(np.random.default_rng(seed).integers(table.height // 3, table.height))]
    before = table["datetime"] <= cut
    found = features.compute(table, given).filter(before)
    assert found.equals(features.compute(_only(table, cut, later=False), given).filter(before))
    assert found.equals(features.compute(_only(table, cut, later=True), given).filter(before))
    # And those that arrive in time do count: the test above is not passed by ignoring what was restated.
    assert not found.equals(features.compute(plain, given).filter(before))


def _only(table: pl.DataFrame, cut: datetime, *, later: bool) -> pl.DataFrame:
    """Return `table` with the statements up to `cut` alone, or with those and others after it, reversed."""
    stated = labels.statements(table)
    all_of_them = pl.DataFrame(
        {
            "row": pl.Series(stated.row, dtype=pl.get_index_type()),
            "fraud": pl.Series(stated.fraud),
            "labelled_at": pl.Series(stated.since_us).cast(pl.Datetime("us")),
        }
    )
    after = pl.col("labelled_at") > cut
    fraud = pl.when(after).then(1 - pl.col("fraud")).otherwise("fraud").cast(pl.Int8).alias("fraud")
    kept = all_of_them.with_columns(fraud) if later else all_of_them.filter(~after)
    bare = table.drop(labels.EARLIER).with_columns(
        fraud=pl.lit(None, pl.Int8), labelled_at=pl.lit(None, pl.Datetime("us"))
    )
    return labels._restated(bare, kept, delay_days=10_000)


@pytest.mark.parametrize("seed", range(3))
def test_terminal_windows_equal_their_definition(seed: int) -> None:
    """A window holds the transactions whose last statement by then was made inside it, as that statement says."""
    given = Data(customers=12, terminals=12, days=30, seed=seed, windows_days=(2, 9))
    table = restated(synthetic.generate(given), seed)
    found = features.compute(table, given)
    stated = labels.statements(table)
    moments = table["datetime"].to_physical().to_numpy()
    terminals = table["terminal_id"].to_numpy()
    for place in np.random.default_rng(seed).choice(table.height, 60, replace=False):
        now = moments[place]
        last = {
            int(row): (since, fraud)
            for row, fraud, since in zip(stated.row, stated.fraud, stated.since_us, strict=True)
            if since <= now and terminals[row] == terminals[place] and moments[row] < now
        }
        for days in given.windows_days:
            inside = [fraud for since, fraud in last.values() if since > now - days * features.DAY_US]
            assert len(inside) == found[f"terminal_count_{days}d"][int(place)]
            assert sum(inside) / max(len(inside), 1) == found[f"terminal_risk_{days}d"][int(place)]


def test_training_takes_a_label_as_it_stood_and_the_test_as_it_stands_in_the_end() -> None:
    """A fraud that is withdrawn once the test has begun was one for training; one that is reported ever is tested."""
    given = Data(customers=600, terminals=500, days=105)
    plain = synthetic.generate(given)
    fold = PrequentialSplit(plain, given).final()
    fraud = int(fold.train[np.flatnonzero(fold.train_labels)[0]])
    honest = int(fold.test[np.flatnonzero(fold.test_labels == 0)[0]])
    later = pl.DataFrame(
        {
            "row": pl.Series([fraud, honest], dtype=pl.get_index_type()),
            "fraud": pl.Series([0, 1], dtype=pl.Int8),
            "labelled_at": [fold.test_start + timedelta(days=1), datetime(2025, 8, 1)],
        }
    )
    changed = PrequentialSplit(labels._restated(plain, later, delay_days=10_000), given).final()
    assert fold.train.tolist() == changed.train.tolist()
    assert fold.train_labels.tolist() == changed.train_labels.tolist()  # withdrawn after the test had begun
    assert {honest} == set(changed.test[changed.test_labels == 1]) - set(fold.test[fold.test_labels == 1])


def test_a_card_is_evaluated_unless_it_was_thought_compromised_as_the_day_began() -> None:
    """Known for a fraud by the last statement made before that day: withdrawn ones no longer count."""
    given = Data(customers=150, terminals=200, days=105)
    plain = synthetic.generate(given)
    table = restated(plain, 0)
    fold = PrequentialSplit(table, given).final()
    stated = labels.statements(table)
    cards, moments = table["customer_id"].to_numpy(), table["datetime"].to_physical().to_numpy()
    of_card = [np.flatnonzero(cards[stated.row] == card) for card in range(given.customers)]
    expected = []
    for row in fold.window.tolist():
        day = moments[row] // features.DAY_US * features.DAY_US
        last = {
            int(stated.row[said]): stated.fraud[said]
            for said in of_card[cards[row]]
            if stated.since_us[said] < day and moments[stated.row[said]] >= labels.us(fold.train_start)
        }
        if 1 not in last.values():
            expected.append(row)
    assert expected == fold.test.tolist()
    assert 0 < len(expected) < len(fold.window)


def test_weeks_are_judged_by_what_was_known() -> None:
    """A fraud that was withdrawn by then is none; one withdrawn later still is."""
    begin = datetime(2025, 5, 5)
    table = pl.DataFrame(
        {
            "datetime": [begin + timedelta(days=day) for day in range(7)],
            "fraud": pl.Series([0] * 7, dtype=pl.Int8),
            "labelled_at": [begin + timedelta(days=12)] * 7,
            labels.EARLIER: [[{"fraud": 1, "labelled_at": begin + timedelta(days=8)}], *[None] * 6],
        }
    )
    frauds = [
        monitor.weekly(
            table,
            np.full(7, 0.5),
            0.4,
            start=begin,
            end=begin + timedelta(days=7),
            as_of=begin + timedelta(days=day),
            delay_days=1,
        )[0]["frauds"]
        for day in (10, 13)
    ]
    assert [1, 0] == frauds
