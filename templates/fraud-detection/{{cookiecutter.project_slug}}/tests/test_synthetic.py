"""The embedded data: reproducible, as described, and hard enough to be worth training on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost
from sklearn.metrics import average_precision_score

from fraud_detection import boosted, data, examples, features, synthetic
from fraud_detection.config import Config, Data
from fraud_detection.linear import Linear
from fraud_detection.population import PORTFOLIOS
from fraud_detection.splits import PrequentialSplit
from paceline import device
from paceline.quarantine import Quarantine

SMALL = Data(customers=200, terminals=150, days=60)


def hashes(folder: Path) -> dict[str, str]:
    """Return each file's SHA-256."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    """The files of two calls are equal byte for byte; another seed changes every day's file."""
    for name, config in (("a", SMALL), ("b", SMALL), ("c", SMALL.model_copy(update={"seed": 1}))):
        synthetic.write(tmp_path / name, config)
    first = hashes(tmp_path / "a")
    assert SMALL.days == len(first)
    assert first == hashes(tmp_path / "b")
    assert set() == set(first.values()) & set(hashes(tmp_path / "c").values())


def test_files_have_the_handbooks_layout_and_load_as_generated(tmp_path: Path) -> None:
    """One Parquet file a day with the published columns, which the `handbook` source reads back unchanged."""
    written = synthetic.write(tmp_path, SMALL)
    assert ["2025-01-01.parquet", "2025-01-02.parquet"] == [file.name for file in written[:2]]
    day = pl.read_parquet(written[3])
    published = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_TIME_SECONDS"]
    assert [*published, "TX_TIME_DAYS", "TX_FRAUD", "TX_FRAUD_SCENARIO"] == day.columns[:9]
    assert {3} == set(day["TX_TIME_DAYS"])
    assert (day["TX_TIME_SECONDS"] // synthetic.DAY_S == 3).all()
    quarantine = Quarantine()
    loaded = data.load(Data(source="handbook", path=str(tmp_path)), quarantine)
    assert loaded.equals(synthetic.generate(SMALL).select(loaded.columns))
    assert loaded.height == quarantine.state()["read"]


def test_transactions_are_in_order_and_inside_the_configured_days() -> None:
    """Ids are unique, times ascend within the history, customers and terminals exist, amounts are whole cents."""
    table = synthetic.generate(SMALL)
    start = datetime.fromisoformat(SMALL.start_date)
    assert table["transaction_id"].is_unique().all()
    assert table["datetime"].is_sorted()
    assert start <= table["datetime"][0] <= table["datetime"][-1] < start + timedelta(days=SMALL.days)
    assert table["customer_id"].is_between(0, SMALL.customers - 1).all()
    assert table["terminal_id"].is_between(0, SMALL.terminals - 1).all()
    assert 0.01 <= table["amount"].min()  # type: ignore[operator] # a number, says the schema
    cents = table["amount"].to_numpy() * 100
    np.testing.assert_allclose(cents, np.rint(cents), rtol=1e-12)
    assert 0 == table.drop("device_id").null_count().to_numpy().sum()


@pytest.mark.parametrize("portfolio", ["A", "B"])
def test_default_has_the_size_and_the_share_of_fraud_that_it_promises(portfolio: str) -> None:
    """About 300,000 payments (fewer in B, whose cards are used less), 0.5 to 1.2 % fraud in six scenarios."""
    table = synthetic.generate(Data.model_validate({"portfolio": portfolio}))
    assert 240_000 < table.height < 330_000
    assert 0.005 < table["fraud"].mean() < 0.012  # type: ignore[operator] # a number, says the schema
    assert {0, 1, 2, 3, 4, 5, 6} == set(table["scenario"])
    assert table["true_fraud"].equals((table["scenario"] > 0).cast(pl.Int8))


def test_labels_are_wrong_as_often_as_configured() -> None:
    """One fraud in twenty is never reported, one honest payment in 5,000 is reported, and 0 makes labels perfect."""
    large = Data(customers=9_000, terminals=6_000, days=120)
    table = synthetic.generate(large)
    unreported = 1 - table.filter(pl.col("true_fraud") == 1)["fraud"].mean()  # type: ignore[operator] # a number
    falsely = table.filter(pl.col("true_fraud") == 0)["fraud"].mean()
    assert 0.04 < unreported < 0.06
    assert 0.00015 < falsely < 0.00025  # type: ignore[operator] # a number, says the schema
    perfect = synthetic.generate(SMALL.model_copy(update={"unreported_share": 0.0, "false_report_share": 0.0}))
    assert perfect["fraud"].equals(perfect["true_fraud"])


def test_devices_belong_to_cards_and_are_shared_in_households() -> None:
    """Only online payments have one; honest cards use one to three in a history, one in seven somebody else's."""
    table = synthetic.generate(Data())
    assert table["device_id"].is_not_null().equals(table["channel"] == "online")
    honest = table.filter((pl.col("scenario") == 0) & pl.col("device_id").is_not_null())
    per_card = honest.group_by("customer_id").agg(pl.col("device_id").n_unique())["device_id"]
    assert (1, 3) == (per_card.min(), per_card.max())
    assert 0.2 < (per_card >= 2).mean() < 0.5  # type: ignore[operator] # a number, says the schema
    per_device = honest.group_by("device_id").agg(pl.col("customer_id").n_unique())["customer_id"]
    assert 2 == per_device.max()
    assert 0.05 < (per_device == 2).mean() < 0.2  # type: ignore[operator] # a number, says the schema


def test_terminals_open_over_time() -> None:
    """Some are used for the first time in the second half of a long history; those before it are most."""
    table = synthetic.generate(Data(customers=1_500, terminals=1_000, days=365))
    first = table.group_by("terminal_id").agg(pl.col("datetime").min())["datetime"]
    late = (first > datetime(2025, 7, 1)).mean()
    assert 0.04 < late < 0.2  # type: ignore[operator] # a number, says the schema


def test_labels_arrive_late_and_some_later_than_the_delay() -> None:
    """Honest ones count as such after the delay; frauds are known at half of it in the median, one in eight later."""
    table = synthetic.generate(Data())
    days = (table["labelled_at"] - table["datetime"]).dt.total_seconds() / synthetic.DAY_S
    assert {7.0} == set(days.filter(table["fraud"] == 0))
    fraud = days.filter(table["fraud"] == 1)
    assert 3.3 < fraud.median() < 3.7  # type: ignore[operator] # a number, says the schema
    assert 0.10 < (fraud > 7).mean() < 0.15  # type: ignore[operator] # a number, says the schema


def test_seasons_and_drift_show() -> None:
    """Nights are quiet, Sundays are slower than Saturdays, and online payments and fraud grow from month to month."""
    table = synthetic.generate(Data(customers=1_500, terminals=1_000, days=728))
    hour = table["datetime"].dt.hour()
    assert 10 * int((hour == 3).sum()) < int((hour == 18).sum())
    weekday = table["datetime"].dt.weekday()
    assert int((weekday == 7).sum()) < 0.8 * int((weekday == 6).sum())
    first, last = table.head(table.height // 4), table.tail(table.height // 4)
    assert (first["channel"] == "online").mean() + 0.05 < (last["channel"] == "online").mean()  # type: ignore[operator] # numbers
    assert 1.15 * int(first["fraud"].sum()) < int(last["fraud"].sum())


def test_prices_rise_by_the_years_inflation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the same payments without inflation, honest ones cost 4 % (as a logarithm) more with each year."""
    config = Data(customers=100, terminals=100, days=400)
    risen = synthetic.generate(config)
    monkeypatch.setitem(PORTFOLIOS, "A", replace(PORTFOLIOS["A"], inflation_yearly=0.0))
    flat = synthetic.generate(config)
    honest = ((risen["scenario"] == 0) & (flat["amount"] > 5)).to_numpy()  # cents are rounded: small ones say little
    day = ((risen["datetime"] - datetime(2025, 1, 1)).dt.total_days() / 365.25).to_numpy()[honest]
    rise = np.log(risen["amount"].to_numpy() / flat["amount"].to_numpy())[honest]
    np.testing.assert_allclose(0.04 * day, rise, atol=0.003)
    assert day.max() > 1


def test_default_is_hard_and_worth_more_than_a_straight_line() -> None:
    """Logistic regression finds part of it, trees find more, and neither finds all: no feature gives it away."""
    config = Config()
    table = synthetic.generate(config.data)
    fold = PrequentialSplit(table, config.data).final()
    train_on, test_on = examples.divide(table, features.compute(table, config.data), fold)
    floor = average_precision_score(test_on.y, Linear.fit(train_on, l2=config.train.l2).logits(test_on.X))
    parameters = boosted.parameters(config, device.cpu_only("cpu", ""), train_on.names)
    rows = xgboost.QuantileDMatrix(train_on.X, train_on.y, max_bin=config.model.max_bin)
    trees = average_precision_score(test_on.y, xgboost.train(parameters, rows, 80).inplace_predict(test_on.X))
    assert 0.1 < floor < 0.6
    assert floor + 0.01 < trees < 0.8
    alone = [max(average_precision_score(test_on.y, sign * column) for sign in (1, -1)) for column in test_on.X.T]
    assert max(alone) < floor


def test_portfolios_differ() -> None:
    """B is dearer, more online, more abroad and has more fraud than A, and shares no home country with it."""
    a, b = (synthetic.generate(Data.model_validate({"portfolio": name})) for name in "AB")
    for measure in (
        pl.col("amount").median(),
        (pl.col("channel") == "online").mean(),
        (pl.col("country") != pl.col("country").mode().first()).mean(),
        pl.col("fraud").mean(),
    ):
        assert a.select(measure).item() < b.select(measure).item()
    assert a["country"].mode()[0] != b["country"].mode()[0]


def test_smallest_population_is_simulated() -> None:
    """The least that the configuration admits still gives payments, in shops and online."""
    table = synthetic.generate(Data(customers=10, terminals=10, days=21))
    assert table.height > 100
    assert {"online"} < set(table["channel"])
