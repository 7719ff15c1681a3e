"""The frauds of the simulator are what they are called."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fraud_detection import scenarios, synthetic
from fraud_detection.config import Data
from fraud_detection.scenarios import Payments


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    """Return a history with dozens of events of every scenario."""
    return synthetic.generate(Data(customers=6_000, terminals=4_000, days=90))


@pytest.fixture(scope="module")
def usual(table: pl.DataFrame) -> pl.DataFrame:
    """Return each card's typical amount."""
    honest = table.filter(pl.col("scenario") == 0)
    return honest.group_by("customer_id").agg(pl.col("amount").median().alias("usual"))


def test_high_amounts_exceed_220_and_honest_ones_may(table: pl.DataFrame) -> None:
    """Scenario 1 is above the limit; so are some honest payments, so that the limit alone does not tell."""
    assert table.filter(pl.col("scenario") == 1)["amount"].min() > 220  # type: ignore[operator] # a number
    assert table.filter(pl.col("scenario") == 0)["amount"].max() > 220  # type: ignore[operator] # a number


def test_everything_at_a_compromised_terminal_is_fraud(table: pl.DataFrame) -> None:
    """Between the first and the last fraud of a terminal's compromise there is no honest payment."""
    spans = (
        table.filter(pl.col("scenario") == 2)
        .group_by("terminal_id")
        .agg(pl.col("datetime").min().alias("first"), pl.col("datetime").max().alias("last"))
        .filter(pl.col("last") - pl.col("first") < pl.duration(days=scenarios.TERMINAL_DAYS))
    )
    inside = table.join(spans, on="terminal_id").filter(pl.col("datetime").is_between("first", "last"))
    assert spans.height > 5
    assert 1.0 == inside["true_fraud"].mean()


def test_a_compromised_card_spends_five_times_as_much(table: pl.DataFrame, usual: pl.DataFrame) -> None:
    """The median of its frauds against the card's own median is about five."""
    third = table.filter(pl.col("scenario") == 3).join(usual, on="customer_id")
    factor = third.select(pl.col("amount") / pl.col("usual")).to_series().median()
    assert 4 < factor < 6  # type: ignore[operator] # a number, says the schema


def test_a_takeover_grows_within_days_on_a_new_device_or_far_away(table: pl.DataFrame) -> None:
    """3 to 8 payments of a card within 3 days, each larger; online by a device nobody had, else in a far country."""
    frauds = table.filter(pl.col("scenario") == 4)
    # A takeover near the end of the history is cut off; a card taken twice would look like one.
    events = frauds.group_by("customer_id", maintain_order=True).agg(
        "amount", pl.col("datetime").min().alias("first"), pl.col("datetime").max().alias("last"), pl.len()
    )
    events = events.filter(pl.col("first") < table["datetime"].max() - timedelta(days=4), pl.col("len") <= 8)  # type: ignore[operator] # a date
    assert events.height > 30
    whole = events.filter(pl.col("last") - pl.col("first") <= timedelta(days=3))
    assert whole.height >= 0.95 * events.height
    assert (whole["len"] >= 3).all()
    assert all(np.all(np.diff(amounts) > 0) for amounts in whole["amount"])
    online = frauds["device_id"].is_not_null()
    own = table.filter(pl.col("scenario") == 0)["device_id"].drop_nulls()
    assert not frauds.filter(online)["device_id"].is_in(own.implode()).any()
    assert {"US", "TH"} == set(frauds.filter(~online)["country"])


def test_takeovers_last_one_two_or_three_days(table: pl.DataFrame) -> None:
    """Payments of one takeover lie on one date, on two, or on three, each of which happens often."""
    frauds = table.filter(pl.col("scenario") == 4)
    events = frauds.group_by("customer_id").agg(
        pl.col("datetime").dt.date().n_unique().alias("dates"), pl.col("datetime").min().alias("first"), pl.len()
    )
    whole = events.filter(pl.col("first") < table["datetime"].max() - timedelta(days=4), pl.col("len") <= 8)  # type: ignore[operator] # a date
    shares = {days: (whole["dates"] == days).mean() for days in (1, 2, 3)}
    assert all(share > 0.15 for share in shares.values())  # type: ignore[operator] # numbers, says the schema


def test_card_tests_are_bursts_below_two_at_one_site_and_some_cards_are_cashed_out(table: pl.DataFrame) -> None:
    """20 to 200 cards within hours from one device; 5 to 30 % of them used again, for more, 2 to 11 days later."""
    frauds = table.filter(pl.col("scenario") == 5)
    tests = frauds.filter(pl.col("amount") < scenarios.TEST_AMOUNT, pl.col("device_id").is_not_null())
    bursts = tests.group_by("device_id").agg(
        pl.col("terminal_id").n_unique(),
        pl.col("customer_id").n_unique().alias("cards"),
        (pl.col("datetime").max() - pl.col("datetime").min()).alias("span"),
        pl.col("datetime").max().alias("last"),
    )
    bursts = bursts.filter(pl.col("cards") > 5, pl.col("last") < table["datetime"].max() - timedelta(days=1))  # type: ignore[operator] # a date
    assert bursts.height >= 5
    assert {1} == set(bursts["terminal_id"])
    assert bursts["cards"].is_between(20, 200).all()
    assert (bursts["span"] < timedelta(hours=8)).all()
    out = frauds.filter(pl.col("amount") >= scenarios.TEST_AMOUNT).join(
        tests.group_by("customer_id").agg(pl.col("datetime").min().alias("tested")), on="customer_id"
    )
    wait = out["datetime"] - out["tested"]
    assert wait.is_between(timedelta(days=2), timedelta(days=11)).mean() > 0.9  # type: ignore[operator] # a number
    assert 0.05 < out["customer_id"].n_unique() / tests["customer_id"].n_unique() < 0.3


def test_cards_of_a_merchants_theft_were_seen_there_and_used_elsewhere() -> None:
    """All cards of an event share a merchant in the two weeks before, where none of its frauds happens."""
    config = Data(customers=3_000, terminals=2_000, days=120, unreported_share=0.0)
    table = synthetic.generate(config)
    frauds = table.filter(pl.col("scenario") == 6, pl.col("device_id").is_not_null())
    own = table.filter(pl.col("scenario") <= 3)  # made by the card itself, though some were turned into frauds
    checked = 0
    for _, event in frauds.group_by("device_id"):
        cards, first, last = event["customer_id"].unique(), event["datetime"].min(), event["datetime"].max()
        assert last - first < timedelta(days=24)  # type: ignore[operator] # dates
        before = own.filter(
            pl.col("customer_id").is_in(cards.implode()),
            pl.col("datetime").is_between(first - timedelta(days=45), last - timedelta(days=7)),  # type: ignore[operator] # dates
        )
        shared = before.group_by("merchant_id").agg(pl.col("customer_id").n_unique().alias("cards"))
        source = set(shared.filter(pl.col("cards") == len(cards))["merchant_id"])
        assert source - set(event["merchant_id"])
        checked += len(cards) > 2
    assert checked > 1


def test_merging_keeps_the_order_of_time_and_leaves_out_what_is_too_late() -> None:
    """Added payments stand where their second puts them, each with all of its own values."""

    def payments(seconds: list[int], scenario: int) -> Payments:
        ids = np.array(seconds)
        count = len(seconds)
        return Payments(ids, ids, ids, ids.astype(np.float32), ids, np.full(count, scenario, np.int8))

    merged = scenarios.merged([payments([1, 4, 9], 0), payments([4, 2], 4), payments([12, 0], 5)], 10)
    assert [0, 1, 2, 4, 4, 9] == merged.second.tolist() == merged.customer.tolist() == merged.amount.tolist()
    assert [5, 0, 4, 0, 4, 0] == merged.scenario.tolist()


def test_the_mix_changes_over_the_months() -> None:
    """Over two years card tests and takeovers grow against high amounts."""
    table = synthetic.generate(Data(customers=2_500, terminals=2_000, days=728))
    half = table.filter(pl.col("scenario") > 0).with_columns(
        late=pl.col("datetime") > pl.col("datetime").min() + timedelta(days=364)
    )
    counts = {scenario: half.filter(pl.col("scenario") == scenario)["late"].mean() for scenario in (1, 4, 5)}
    assert counts[1] + 0.03 < counts[4]  # type: ignore[operator] # numbers, says the schema
    assert counts[1] + 0.03 < counts[5]  # type: ignore[operator] # numbers, says the schema
