"""The windows in time: what is learned is known by then, what is evaluated is new, and errors say how to mend them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from fraud_detection import synthetic
from fraud_detection.config import Data
from fraud_detection.splits import PrequentialSplit
from paceline.errors import PacelineError

CONFIG = Data(customers=600, terminals=500, days=105)


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    """Return a small history."""
    return synthetic.generate(CONFIG)


def days(start: datetime, end: datetime) -> int:
    """Return the whole days between."""
    return (end - start).days


def test_final_fold_trains_up_to_the_delay_before_the_test(table: pl.DataFrame) -> None:
    """The test is the last days; training ends a delay before it; both hold exactly the rows of their days."""
    fold = PrequentialSplit(table, CONFIG).final()
    end = datetime(2025, 1, 1) + timedelta(days=CONFIG.days)
    assert end == fold.test_end
    assert (14, 7, 28) == (
        days(fold.test_start, fold.test_end),
        days(fold.train_end, fold.test_start),
        days(fold.train_start, fold.train_end),
    )
    for rows, first, last in (
        (fold.train, fold.train_start, fold.train_end),
        (fold.window, fold.test_start, fold.test_end),
    ):
        inside = table["datetime"].is_between(first, last, closed="left")
        assert inside.arg_true().to_list() == rows.tolist()


def test_validation_uses_labels_known_at_the_start_of_the_test_only(table: pl.DataFrame) -> None:
    """It is the last days with known labels, trained a delay before it; later labels change nothing."""
    split = PrequentialSplit(table, CONFIG)
    fold = split.validation()
    assert split.test_start - timedelta(days=7) == fold.test_end
    assert 14 == days(fold.test_start, fold.test_end)
    assert 7 == days(fold.train_end, fold.test_start)
    # A fraud that is reported after the test has begun counts as honest, in training and in judging.
    frauds = table["fraud"] == 1
    late = frauds & (table["labelled_at"] > split.test_start)
    assert 0 < late.gather(np.concatenate([fold.train, fold.test])).sum()
    assert (frauds & ~late).gather(fold.test).cast(pl.Int8).to_list() == fold.test_labels.tolist()
    reported = frauds & (table["labelled_at"] <= fold.test_start)
    assert reported.gather(fold.train).cast(pl.Int8).to_list() == fold.train_labels.tolist()
    changed = PrequentialSplit(table.with_columns(fraud=pl.when(late).then(0).otherwise("fraud").cast(pl.Int8)), CONFIG)
    for name in ("train_labels", "test", "test_labels"):
        assert getattr(fold, name).tolist() == getattr(changed.validation(), name).tolist()


def test_folds_go_back_without_overlap(table: pl.DataFrame) -> None:
    """The first is the validation fold; each further one lies validation_days earlier, end to start."""
    split = PrequentialSplit(table, CONFIG)
    folds = split.folds(3)
    assert ["validation", "validation-1", "validation-2"] == [fold.name for fold in folds]
    assert split.validation().state() == folds[0].state()
    for later, earlier in pairwise(folds):
        assert later.test_start == earlier.test_end
        assert later.train_start - timedelta(days=14) == earlier.train_start


def test_training_sees_frauds_reported_by_then_only(table: pl.DataFrame) -> None:
    """A fraud whose label arrives after the model is trained counts as honest, as it did on that day."""
    fold = PrequentialSplit(table, CONFIG).final()
    rows = table[fold.train]
    expected = ((rows["fraud"] == 1) & (rows["labelled_at"] <= fold.test_start)).cast(pl.Int8)
    assert expected.to_list() == fold.train_labels.tolist()
    assert expected.sum() < rows["fraud"].sum()


def test_cards_known_as_compromised_are_not_evaluated(table: pl.DataFrame) -> None:
    """A card leaves on the day after a fraud since the start of training has been reported, and on no other day."""
    fold = PrequentialSplit(table, CONFIG).final()
    frauds = table.filter((pl.col("fraud") == 1) & (pl.col("datetime") >= fold.train_start))
    reported = dict(frauds.group_by("customer_id").agg(pl.col("labelled_at").min()).rows())
    expected = []
    cards, moments = table["customer_id"].to_list(), table["datetime"].to_list()
    for row in fold.window.tolist():
        card, moment = cards[row], moments[row]
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        if not (card in reported and reported[card] < day):
            expected.append(row)
    assert expected == fold.test.tolist()
    assert len(expected) < len(fold.window)


def test_unlabelled_transactions_are_in_no_window(table: pl.DataFrame) -> None:
    """Without a label there is nothing to learn or to judge."""
    every_third = pl.int_range(pl.len()) % 3 == 0
    partly = table.with_columns(
        pl.when(~every_third).then(pl.col(name)).alias(name) for name in ("fraud", "labelled_at")
    )
    fold = PrequentialSplit(partly, CONFIG).final()
    for rows in (fold.train, fold.window):
        assert 0 < len(rows)
        assert not np.any(rows % 3 == 0)


def test_a_given_first_day_of_the_test_is_used(table: pl.DataFrame) -> None:
    """`test_start` moves the windows; what lies after the test is not used."""
    fold = PrequentialSplit(table, CONFIG.model_copy(update={"test_start": "2025-03-20"})).final()
    assert (datetime(2025, 3, 20), datetime(2025, 4, 3)) == (fold.test_start, fold.test_end)


def test_state_counts_what_is_in_the_fold(table: pl.DataFrame) -> None:
    """The record's dates are inclusive, its counts those of the arrays."""
    fold = PrequentialSplit(table, CONFIG).final()
    state = fold.state()
    assert ["2025-04-02", "2025-04-15"] == state["test"]
    assert len(fold.test) + state["removed_known_compromised"] == len(fold.window)
    assert (len(fold.train), int(fold.test_labels.sum())) == (state["train_transactions"], state["test_frauds"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train_days": 90},
            r"fold 'test' to the end of the test it takes 111 days, and there are 105.*train_days to 84 or fewer",
        ),
        ({"test_start": "2025-04-10"}, r"fold 'test' reaches to the end of 2025-04-23, but.*to 2025-04-15"),
        (
            {"test_start": "2026-01-01"},
            r"data.test_start is 2026-01-01, but the transactions are of 2025-01-01 to 2025-04-15",
        ),
        (
            {"test_start": "2025-01-05"},
            r"fold 'test' to the end of the test it takes 49 days, and there are 18 .*Shorten data\.train_days, data",
        ),
    ],
)
def test_a_history_too_short_is_refused_with_the_days(
    table: pl.DataFrame, changes: dict[str, object], message: str
) -> None:
    """The message has the days needed, those there are, and what to set."""
    with pytest.raises(PacelineError, match=message):
        PrequentialSplit(table, CONFIG.model_copy(update=changes)).final()


def test_the_days_needed_are_those_of_all_folds(table: pl.DataFrame) -> None:
    """The validation fold is refused with the days to the end of the test, and the train_days that it names fit."""
    changed = CONFIG.model_copy(update={"train_days": 90})
    with pytest.raises(PacelineError, match=r"takes 132 days, and there are 105 .*train_days to 63 or fewer"):
        PrequentialSplit(table, changed).validation()
    split = PrequentialSplit(table, CONFIG.model_copy(update={"train_days": 63}))
    split.validation(), split.final()


def test_more_folds_than_the_history_has_are_refused(table: pl.DataFrame) -> None:
    """The fold that does not fit is named."""
    with pytest.raises(PacelineError, match=r"fold 'validation-3' to the end of the test it takes \d+ days"):
        PrequentialSplit(table, CONFIG).folds(9)


@pytest.mark.parametrize("fold", ["test", "validation"])
def test_a_window_of_one_class_is_refused_by_the_folds_name(table: pl.DataFrame, fold: str) -> None:
    """Without a fraud there is nothing to learn from or to score."""
    honest = table.with_columns(fraud=pl.lit(0, pl.Int8))
    split = PrequentialSplit(honest, CONFIG)
    with pytest.raises(PacelineError, match=rf"fold '{fold}'.* 0 frauds: one class only"):
        split.final() if fold == "test" else split.validation()


def test_no_transactions_are_refused(table: pl.DataFrame) -> None:
    """An empty table is an error that a user can read."""
    with pytest.raises(PacelineError, match="no transaction"):
        PrequentialSplit(table.clear(), CONFIG)


def test_handbook_definition_with_a_constant_delay() -> None:
    """With one delay, a card is out from the day that begins after its report, also when that falls on midnight."""
    start = datetime(2025, 1, 1)
    hours = [(0, 9), (0, 12), (1, 0), (8, 9), (8, 10), (9, 9), (9, 10)]
    moments = [start + timedelta(days=day, hours=hour) for day, hour in hours]
    table = pl.DataFrame(
        {
            "transaction_id": range(7),
            "datetime": moments,
            "customer_id": [1, 2, 3, 1, 3, 3, 2],
            "terminal_id": [1] * 7,
            "amount": [1.0] * 7,
            "fraud": pl.Series([1, 0, 1, 0, 0, 0, 1], dtype=pl.Int8),
            "labelled_at": [moment + timedelta(days=7) for moment in moments],
        }
    )
    fold = PrequentialSplit(table, Data(test_days=2, train_days=1, label_delay_days=7)).final()
    assert ([0, 1], [1, 0]) == (fold.train.tolist(), fold.train_labels.tolist())
    # Card 1 is out from the first day; card 3, reported at midnight as that day begins, from the second.
    assert ([3, 4, 5, 6], [4, 6], [0, 1]) == (fold.window.tolist(), fold.test.tolist(), fold.test_labels.tolist())


def test_windows_may_be_parts_of_a_day_and_cards_unknown() -> None:
    """Two days without cards are divided by hours; no transaction is taken for that of a known card."""
    start = datetime(2025, 1, 1)
    moments = [start + timedelta(hours=hour) for hour in range(48)]
    table = pl.DataFrame(
        {
            "transaction_id": range(48),
            "datetime": moments,
            "amount": [1.0] * 48,
            "fraud": pl.Series([hour % 4 == 0 for hour in range(48)]).cast(pl.Int8),
            "labelled_at": moments,
        }
    )
    config = Data(source="ulb", test_days=0.5, train_days=0.75, validation_days=0.5, label_delay_days=0)
    split = PrequentialSplit(table, config)
    fold, earlier = split.final(), split.validation()
    assert (list(range(18, 36)), list(range(36, 48))) == (fold.train.tolist(), fold.test.tolist())
    assert (list(range(6, 24)), list(range(24, 36))) == (earlier.train.tolist(), earlier.test.tolist())
    assert ["2025-01-01 18:00", "2025-01-02 12:00"] == fold.state()["train"]
    assert 0 == fold.state()["removed_known_compromised"]
