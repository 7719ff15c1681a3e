"""The embedded default data: a simulator of card payments, with what makes fraud hard to find.

Terminals of merchants with a category code (MCC), a channel and a country; cards that are used near home and on the
web; yearly, weekly and daily seasons; lognormal amounts with an honest heavy tail; prices, online shopping and fraud
that drift over the months; labels that arrive late. Fraud follows the three scenarios that the Fraud Detection Handbook
describes (chapter 3, "Transaction data simulator"), and the files that `write` makes have the Handbook's layout. Three
things differ from its description:

- an amount above 220 is fraud in only some cases, for here honest customers spend as much now and then;
- terminals and cards compromised a day are counted per 10,000 terminals and 5,000 cards (its population), and started
  before the first day, so that a small population has the same share of fraud on all days;
- a label has its own time of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection.config import Data

DAY_S = 86_400
HIGH_AMOUNT = 220.0
TERMINAL_DAYS = 28  # how long a terminal stays compromised
CUSTOMER_DAYS = 14  # how long a card stays compromised
CUSTOMER_SHARE = 1 / 3  # of the payments of a compromised card
CUSTOMER_FACTOR = 5  # by which those are larger
NEARBY, ONLINE = 24, 8  # terminals that a customer uses: so many around the home, so many on the web
RADIUS = 5.0  # standard deviation of the way to a nearby terminal, in a country of 100 by 100


class Kind(NamedTuple):
    """A kind of merchant."""

    mcc: str  # merchant category code
    channel: str
    factor: float  # of the typical amount, against a customer's own
    share: dict[str, float]  # of the merchants, by portfolio


KINDS = (
    Kind("5411", "pos", 0.7, {"A": 0.24, "B": 0.14}),  # grocery
    Kind("5812", "pos", 0.6, {"A": 0.17, "B": 0.14}),  # restaurant
    Kind("5541", "pos", 1.0, {"A": 0.09, "B": 0.06}),  # fuel
    Kind("5311", "pos", 1.3, {"A": 0.09, "B": 0.10}),  # department store
    Kind("5912", "pos", 0.5, {"A": 0.07, "B": 0.04}),  # pharmacy
    Kind("4111", "pos", 0.3, {"A": 0.06, "B": 0.06}),  # local transport
    Kind("7011", "pos", 2.0, {"A": 0.03, "B": 0.06}),  # hotel
    Kind("6011", "atm", 1.4, {"A": 0.07, "B": 0.04}),  # cash
    Kind("5999", "online", 1.0, {"A": 0.09, "B": 0.16}),  # retail
    Kind("5815", "online", 0.3, {"A": 0.06, "B": 0.12}),  # digital goods
    Kind("4511", "online", 2.6, {"A": 0.03, "B": 0.08}),  # airline
)
# How payments spread over the 24 hours of a working day and of a weekend day.
HOURS_WEEKDAY = (5, 3, 2, 2, 2, 4, 12, 30, 42, 40, 42, 56, 78, 66, 48, 46, 54, 72, 80, 66, 46, 32, 20, 10)
HOURS_WEEKEND = (12, 9, 6, 4, 3, 3, 6, 12, 26, 46, 64, 72, 70, 66, 64, 62, 60, 58, 56, 54, 46, 38, 30, 20)
WEEK = (0.94, 0.95, 0.97, 1.0, 1.14, 1.17, 0.83)  # Monday to Sunday


@dataclass(frozen=True)
class Portfolio:
    """How one bank's cards behave; rates are a day's unless a name says otherwise."""

    payments: float  # mean of a card
    median_amount: tuple[float, float]  # of the cheapest and of the dearest customer
    amount_sigma: float  # of the logarithm
    online_share: float  # of payments, at the start
    online_growth_yearly: float
    inflation_yearly: float
    abroad_share: float  # of terminals
    home: str
    abroad: tuple[str, ...]
    terminals_compromised: float  # per 10,000 terminals
    customers_compromised: float  # per 5,000 cards
    high_amount_share: float  # of payments
    fraud_growth_yearly: float


PORTFOLIOS = {
    "A": Portfolio(
        payments=1.3,
        median_amount=(5.0, 70.0),
        amount_sigma=0.42,
        online_share=0.18,
        online_growth_yearly=0.35,
        inflation_yearly=0.04,
        abroad_share=0.04,
        home="BE",
        abroad=("FR", "NL", "DE", "LU"),
        terminals_compromised=2.0,
        customers_compromised=3.0,
        high_amount_share=6e-4,
        fraud_growth_yearly=0.3,
    ),
    "B": Portfolio(
        payments=1.1,
        median_amount=(9.0, 95.0),
        amount_sigma=0.55,
        online_share=0.42,
        online_growth_yearly=0.5,
        inflation_yearly=0.06,
        abroad_share=0.16,
        home="ES",
        abroad=("PT", "FR", "MA", "GB", "US"),
        terminals_compromised=2.2,
        customers_compromised=3.5,
        high_amount_share=9e-4,
        fraud_growth_yearly=0.5,
    ),
}


def generate(config: Data) -> pl.DataFrame:
    """Simulate `config.days` of payments of a portfolio and return them in the order of time.

    The same configuration gives the same table. A fraud's label arrives after a lognormal delay whose median is half of
    `label_delay_days` (about one in eight arrives later than that); an honest payment counts as honest after
    `label_delay_days`.

    Returns:
        The standard columns of `data.load` (`transaction_id, datetime, customer_id, terminal_id, amount, fraud,
        labelled_at, mcc, channel, country, portfolio`), then `merchant_id` and `scenario` (0 honest; 1 amount above
        220; 2 compromised terminal; 3 compromised card).
    """
    portfolio = PORTFOLIOS[config.portfolio]
    rng = np.random.default_rng([config.seed, ord(config.portfolio)])
    start = datetime.fromisoformat(config.start_date)
    weekday = (np.arange(config.days) + start.weekday()) % 7
    years = np.arange(config.days) / 365.25

    terminals = _Terminals(config.terminals, config.portfolio, rng)
    favourites = _favourites(config.customers, terminals, rng)
    level = rng.uniform(np.log(portfolio.median_amount[0]), np.log(portfolio.median_amount[1]), config.customers)
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
    terminal = favourites.ravel()[customer * (NEARBY + ONLINE) + column]

    prices = (portfolio.inflation_yearly * years).astype(np.float32)
    log_amount = rng.standard_normal(rows, dtype=np.float32)
    log_amount *= portfolio.amount_sigma
    log_amount += level.astype(np.float32)[customer] + terminals.log_factor[terminal] + prices[day]
    amount = np.exp(log_amount)

    scenario = np.zeros(rows, np.int8)
    growth = 1 + portfolio.fraud_growth_yearly * years
    high = np.flatnonzero(rng.random(rows, dtype=np.float32) < portfolio.high_amount_share)
    amount[high] = HIGH_AMOUNT + 0.01 + rng.exponential(60.0, len(high))
    scenario[high] = 1
    rate = portfolio.terminals_compromised * config.terminals / 10_000
    scenario[
        _compromised(config.terminals, rate * growth, TERMINAL_DAYS, rng).ravel()[terminal * config.days + day]
    ] = 2
    rate = portfolio.customers_compromised * config.customers / 5_000
    used = np.flatnonzero(
        _compromised(config.customers, rate * growth, CUSTOMER_DAYS, rng).ravel()[customer * config.days + day]
    )
    used = used[rng.random(len(used)) < CUSTOMER_SHARE]
    amount[used] *= CUSTOMER_FACTOR
    scenario[used] = 3

    fraud = np.flatnonzero(scenario)
    median_s = max(config.label_delay_days / 2, 0.1) * DAY_S
    delay = np.full(rows, config.label_delay_days * DAY_S, np.int64)
    delay[fraud] = np.clip(rng.lognormal(np.log(median_s), 0.6, len(fraud)), 3_600, 90 * DAY_S)
    moment = (second + int((start - datetime(1970, 1, 1)).total_seconds())) * 1_000_000
    cents = np.maximum(np.rint(amount.astype(np.float64) * 100), 1)
    return pl.DataFrame(
        {
            "transaction_id": np.arange(rows, dtype=np.int64),
            "datetime": pl.Series(moment).cast(pl.Datetime("us")),
            "customer_id": customer.astype(np.int64),
            "terminal_id": terminal.astype(np.int64),
            "amount": cents / 100,
            "fraud": (scenario > 0).astype(np.int8),
            "labelled_at": pl.Series(moment + delay * 1_000_000).cast(pl.Datetime("us")),
            "mcc": terminals.text("mcc", terminal),
            "channel": terminals.text("channel", terminal),
            "country": terminals.text("country", terminal),
            "portfolio": pl.repeat(config.portfolio, rows, eager=True),
            "merchant_id": terminals.merchant[terminal].astype(np.int64),
            "scenario": scenario,
        }
    )


def write(folder: Path, config: Data) -> list[Path]:
    """Write the simulated payments in the Handbook's layout, as Parquet: one file a day, named by its date.

    The columns are the Handbook's (`TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID, TERMINAL_ID, TX_AMOUNT, TX_TIME_SECONDS,
    TX_TIME_DAYS, TX_FRAUD, TX_FRAUD_SCENARIO`), then `LABELLED_AT, MCC, CHANNEL, COUNTRY, PORTFOLIO, MERCHANT_ID`. The
    Handbook itself ships pickles; those can run code when they are opened, so none are written or read here.

    Returns:
        The files, by date. The same configuration gives the same bytes.
    """
    start = datetime.fromisoformat(config.start_date)
    since_start = (pl.col("datetime") - start).dt
    table = generate(config).select(
        TRANSACTION_ID="transaction_id",
        TX_DATETIME="datetime",
        CUSTOMER_ID="customer_id",
        TERMINAL_ID="terminal_id",
        TX_AMOUNT="amount",
        TX_TIME_SECONDS=since_start.total_seconds(),
        TX_TIME_DAYS=since_start.total_days(),
        TX_FRAUD="fraud",
        TX_FRAUD_SCENARIO="scenario",
        LABELLED_AT="labelled_at",
        MCC="mcc",
        CHANNEL="channel",
        COUNTRY="country",
        PORTFOLIO="portfolio",
        MERCHANT_ID="merchant_id",
    )
    folder.mkdir(parents=True, exist_ok=True)
    ends = np.searchsorted(table["TX_TIME_DAYS"].to_numpy(), np.arange(config.days + 1)).tolist()
    files = []
    for day, (first, last) in enumerate(pairwise(ends)):
        files.append(folder / f"{start + timedelta(days=day):%Y-%m-%d}.parquet")
        table.slice(first, last - first).write_parquet(files[-1])
    return files


class _Terminals:
    """Where the terminals are and whose: arrays of one entry a terminal, and the texts that their codes stand for."""

    def __init__(self, count: int, name: str, rng: np.random.Generator) -> None:
        portfolio = PORTFOLIOS[name]
        merchants = max(2, count // 3)
        shares = np.array([kind.share[name] for kind in KINDS])
        kind_of_merchant = rng.choice(len(KINDS), merchants, p=shares / shares.sum())
        kind_of_merchant[:2] = 0, len(KINDS) - 1  # shops and web sites exist in the smallest population too
        self.merchant = np.concatenate([np.arange(merchants), rng.integers(0, merchants, count - merchants)])
        self.kind = kind_of_merchant[self.merchant]
        self.online = np.array([kind.channel == "online" for kind in KINDS])[self.kind]
        self.log_factor = np.log([kind.factor for kind in KINDS]).astype(np.float32)[self.kind]
        abroad = rng.random(count) < portfolio.abroad_share * np.where(self.online, 3.0, 0.5)
        self.country = np.where(abroad, rng.integers(1, 1 + len(portfolio.abroad), count), 0)
        self.place = rng.uniform(0, 100, (count, 2))
        self._texts = {
            "mcc": (self.kind, [kind.mcc for kind in KINDS]),
            "channel": (self.kind, [kind.channel for kind in KINDS]),
            "country": (self.country, [portfolio.home, *portfolio.abroad]),
        }

    def text(self, name: str, terminal: NDArray[np.int64]) -> pl.Series:
        codes, texts = self._texts[name]
        return pl.Series(texts).gather(codes.astype(np.uint32)[terminal])


def _favourites(customers: int, terminals: _Terminals, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the terminals each customer uses: `NEARBY` around the home, then `ONLINE` popular ones on the web.

    The nearby ones are drawn: a point around the home, then a terminal of the square that the point falls into.
    """
    shops, sites = np.flatnonzero(~terminals.online), np.flatnonzero(terminals.online)
    squares = max(
        1, min(50, int(np.sqrt(len(shops) / 4)))
    )  # a side of the grid: four shops a square, none finer than 2 by 2
    cell = np.floor(terminals.place[shops] * squares / 100).astype(np.int64) @ np.array([squares, 1])
    order = np.argsort(cell, kind="stable")
    shops = shops[order]
    first = np.searchsorted(cell[order], np.arange(squares * squares + 1))
    home = rng.uniform(0, 100, (customers, 1, 2))
    point = np.clip(home + rng.normal(0, RADIUS, (customers, NEARBY, 2)), 0, 99.999)
    wanted = np.floor(point * squares / 100).astype(np.int64) @ np.array([squares, 1])
    found = first[wanted] + np.floor(rng.random(wanted.shape) * (first[wanted + 1] - first[wanted])).astype(np.int64)
    nearby = shops[np.minimum(found, len(shops) - 1)]  # an empty square leads to the next one
    web = sites[np.floor(rng.random((customers, ONLINE)) ** 1.5 * len(sites)).astype(np.int64)]
    return np.concatenate([nearby, web], axis=1)


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


def _compromised(
    count: int, new_per_day: NDArray[np.float64], days: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return, for each of `count` and each day, whether it is compromised: drawn anew each day, for `days` days."""
    rates = np.concatenate([np.full(days, new_per_day[0]), new_per_day])  # those of before the first day still count
    total = np.floor(np.cumsum(rates) + rng.random()).astype(np.int64)  # fractions add up to whole ones over the days
    begins = np.repeat(np.arange(len(rates)) - days, np.diff(total, prepend=0))
    who = rng.integers(0, count, len(begins))
    when = (begins[:, None] + 1 + np.arange(days)).ravel()
    inside = (when >= 0) & (when < len(new_per_day))
    state = np.zeros((count, len(new_per_day)), bool)
    state[np.repeat(who, days)[inside], when[inside]] = True
    return state
