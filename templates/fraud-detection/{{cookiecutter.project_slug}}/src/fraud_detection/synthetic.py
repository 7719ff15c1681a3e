"""The embedded default data: a simulator of card payments, with what makes fraud hard to find.

Terminals of merchants with a category code (MCC), a channel and a country; cards that are used near home and on the
web, there from one device or two; yearly, weekly and daily seasons; lognormal amounts with an honest heavy tail;
prices, online shopping and the mix of frauds that drift over the months, terminals that open; labels that arrive late,
are wrong now and then, or never come. The frauds are in `scenarios`; three of them follow the Fraud Detection Handbook
(chapter 3, "Transaction data simulator"), and the files that `write` makes have its layout. Three things differ from
its description:

- an amount above 220 is fraud in only some cases, for here honest customers spend as much now and then;
- terminals and cards compromised a day are counted per 10,000 terminals and 5,000 cards (its population), and started
  before the first day, so that a small population has the same share of fraud on all days;
- a label has its own time of arrival.

With `data.simulator = "handbook"` nothing differs: see `handbook`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection import handbook, scenarios
from fraud_detection.config import Data
from fraud_detection.population import NEARBY, ONLINE, PORTFOLIOS, Devices, Portfolio, Terminals, favourites
from fraud_detection.scenarios import DAY_S, NO_DEVICE, Payments, World

# How payments spread over the 24 hours of a working day and of a weekend day.
HOURS_WEEKDAY = (5, 3, 2, 2, 2, 4, 12, 30, 42, 40, 42, 56, 78, 66, 48, 46, 54, 72, 80, 66, 46, 32, 20, 10)
HOURS_WEEKEND = (12, 9, 6, 4, 3, 3, 6, 12, 26, 46, 64, 72, 70, 66, 64, 62, 60, 58, 56, 54, 46, 38, 30, 20)
WEEK = (0.94, 0.95, 0.97, 1.0, 1.14, 1.17, 0.83)  # Monday to Sunday


def generate(config: Data) -> pl.DataFrame:
    """Simulate `config.days` of payments and return them in the order of time.

    The same configuration gives the same table. A fraud's label arrives after a lognormal delay whose median is half of
    `label_delay_days` (about one in eight arrives later than that); an honest payment counts as honest after
    `label_delay_days`. So does a fraud that is never reported (`unreported_share`); an honest payment that is reported
    as fraud (`false_report_share`) is labelled like one.

    Returns:
        The standard columns of `data.load` (`transaction_id, datetime, customer_id, terminal_id, amount, fraud,
        labelled_at, mcc, channel, country, portfolio`), then `device_id` (null where nothing was paid online),
        `merchant_id`, `scenario` (0 honest, the others as in `scenarios`) and `true_fraud`: 1 where `scenario` is not
        0. The last two are for the audit, never for a feature. With `data.simulator = "handbook"`, the fewer ones of
        `handbook.generate`.
    """
    if config.simulator == "handbook":
        return handbook.generate(config)
    portfolio = PORTFOLIOS[config.portfolio]
    rng = np.random.default_rng([config.seed, ord(config.portfolio)])
    start = datetime.fromisoformat(config.start_date)

    terminals = Terminals(config.terminals, config.portfolio, config.days, rng)
    devices = Devices(config.customers, config.days, rng)
    level = rng.uniform(np.log(portfolio.median_amount[0]), np.log(portfolio.median_amount[1]), config.customers)
    world = World(portfolio, terminals, devices, np.exp(level), config.days)
    honest = _honest(config, world, start, rng)
    extra = scenarios.added(honest, world, rng)
    scenarios.turn(honest, world, rng)
    payments = scenarios.merged([honest, *extra], config.days * DAY_S)

    rows, true_fraud = len(payments.second), payments.scenario > 0
    fraud = _reported(true_fraud, config, rng)
    reported = np.flatnonzero(fraud)
    median_s = max(config.label_delay_days / 2, 0.1) * DAY_S
    delay = np.full(rows, config.label_delay_days * DAY_S, np.int64)
    delay[reported] = np.clip(rng.lognormal(np.log(median_s), 0.6, len(reported)), 3_600, 90 * DAY_S)
    moment = (payments.second + int((start - datetime(1970, 1, 1)).total_seconds())) * 1_000_000
    cents = np.maximum(np.rint(payments.amount.astype(np.float64) * 100), 1)
    device = pl.Series(payments.device)
    return pl.DataFrame(
        {
            "transaction_id": np.arange(rows, dtype=np.int64),
            "datetime": pl.Series(moment).cast(pl.Datetime("us")),
            "customer_id": payments.customer,
            "terminal_id": payments.terminal,
            "amount": cents / 100,
            "fraud": fraud.astype(np.int8),
            "labelled_at": pl.Series(moment + delay * 1_000_000).cast(pl.Datetime("us")),
            "mcc": terminals.text("mcc", payments.terminal),
            "channel": terminals.text("channel", payments.terminal),
            "country": terminals.text("country", payments.terminal),
            "portfolio": pl.repeat(config.portfolio, rows, eager=True),
            "device_id": device.set(device == NO_DEVICE, None),
            "merchant_id": terminals.merchant[payments.terminal],
            "scenario": payments.scenario,
            "true_fraud": true_fraud.astype(np.int8),
        }
    )


def write(folder: Path, config: Data) -> list[Path]:
    """Write the simulated payments in the Handbook's layout, as Parquet: one file a day, named by its date.

    The columns are the Handbook's (`TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID, TERMINAL_ID, TX_AMOUNT, TX_TIME_SECONDS,
    TX_TIME_DAYS, TX_FRAUD, TX_FRAUD_SCENARIO`), then all others that `generate` gives, in capitals. The Handbook itself
    ships pickles; those can run code when they are opened, so none are written or read here.

    Returns:
        The files, by date. The same configuration gives the same bytes.
    """
    start = datetime.fromisoformat(config.start_date)
    since_start = (pl.col("datetime") - start).dt
    made = generate(config)
    table = made.select(
        TRANSACTION_ID="transaction_id",
        TX_DATETIME="datetime",
        CUSTOMER_ID="customer_id",
        TERMINAL_ID="terminal_id",
        TX_AMOUNT="amount",
        TX_TIME_SECONDS=since_start.total_seconds(),
        TX_TIME_DAYS=since_start.total_days(),
        TX_FRAUD="fraud",
        TX_FRAUD_SCENARIO="scenario",
        **{name.upper(): name for name in made.columns[6:] if name != "scenario"},
    )
    folder.mkdir(parents=True, exist_ok=True)
    ends = np.searchsorted(table["TX_TIME_DAYS"].to_numpy(), np.arange(config.days + 1)).tolist()
    files = []
    for day, (first, last) in enumerate(pairwise(ends)):
        files.append(folder / f"{start + timedelta(days=day):%Y-%m-%d}.parquet")
        table.slice(first, last - first).write_parquet(files[-1])
    return files


def _honest(config: Data, world: World, start: datetime, rng: np.random.Generator) -> Payments:
    """Return the payments that the customers make themselves."""
    portfolio, terminals = world.portfolio, world.terminals
    weekday = (np.arange(config.days) + start.weekday()) % 7
    years = np.arange(config.days) / 365.25
    used = favourites(config.customers, terminals, rng)
    customer, day, second = _times(config, portfolio, weekday, start, rng)
    rows = len(customer)

    # One uniform number says whether a payment is online and which of the favourites it goes to (the first ones most).
    online_share = np.minimum(portfolio.online_share * (1 + portfolio.online_growth_yearly * years), 0.9).astype(
        np.float32
    )
    draw, share = rng.random(rows, dtype=np.float32), online_share[day]
    online = draw < share
    within = np.where(online, draw / share, (draw - share) / (1 - share))
    column = np.where(online, NEARBY + (within * within * ONLINE).astype(np.int32), (within * NEARBY).astype(np.int32))
    np.minimum(column, NEARBY + ONLINE - 1, out=column)  # a share may round up to 1
    terminal = used.ravel()[customer * (NEARBY + ONLINE) + column]
    closed = np.flatnonzero(terminals.opens[terminal] > day)
    terminal[closed] = terminals.elder[terminal[closed]]

    prices = (portfolio.inflation_yearly * years).astype(np.float32)
    log_amount = rng.standard_normal(rows, dtype=np.float32)
    log_amount *= portfolio.amount_sigma
    log_amount += np.log(world.usual).astype(np.float32)[customer] + terminals.log_factor[terminal] + prices[day]
    device = np.full(rows, NO_DEVICE, np.int64)
    web = np.flatnonzero(online)
    device[web] = world.devices.of(customer[web], day[web], rng)
    return Payments(customer, second, terminal, np.exp(log_amount), device, np.zeros(rows, np.int8))


def _reported(true_fraud: NDArray[np.bool_], config: Data, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return what the labels say: some frauds are never reported, some honest payments are."""
    reported = true_fraud.copy()
    frauds = np.flatnonzero(true_fraud)
    reported[frauds[rng.random(len(frauds)) < config.unreported_share]] = False
    # As many as the share asks for, drawn among all; the few that are frauds already stay what they are.
    drawn = rng.integers(0, max(1, len(true_fraud)), rng.poisson(config.false_report_share * len(true_fraud)))
    reported[drawn[~true_fraud[drawn]]] = True
    return reported


def _times(
    config: Data, portfolio: Portfolio, weekday: NDArray[np.int64], start: datetime, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return customer, day and second since the start of every payment, in the order of time."""
    day_of_year = (np.arange(config.days) + start.timetuple().tm_yday) % 365.25
    yearly = (
        1 + 0.05 * np.sin(2 * np.pi * (day_of_year - 110) / 365.25) + 0.25 * np.exp(-(((day_of_year - 352) / 12) ** 2))
    )
    activity = rng.gamma(2.5, portfolio.payments / 2.5, config.customers)
    expected = (yearly * np.array(WEEK)[weekday])[:, None] * activity
    counts = rng.poisson(expected).ravel()  # day by day, customer by customer
    cell = np.repeat(np.arange(len(counts)), counts)
    day, customer = np.divmod(cell, config.customers)
    # The inverse of the distribution over the day; that of the weekend follows it, one unit further.
    shares = np.concatenate(
        [[0.0], np.cumsum(HOURS_WEEKDAY) / sum(HOURS_WEEKDAY), 1 + np.cumsum(HOURS_WEEKEND) / sum(HOURS_WEEKEND)]
    )
    hours = np.concatenate([np.arange(25.0), 24.0 + np.arange(1, 25)])
    weekend = weekday >= 5
    hour = np.interp(rng.random(len(day)) + weekend[day], shares, hours) - 24.0 * weekend[day]
    second = day * DAY_S + np.minimum((hour * 3_600).astype(np.int64), DAY_S - 1)
    # Sorting the keys themselves is several times faster than sorting row numbers by them.
    bits = max(1, len(second).bit_length())
    keys = np.sort((second << bits) | np.arange(len(second)))
    order = keys & ((1 << bits) - 1)
    return customer[order], day[order], keys >> bits
