"""The Fraud Detection Handbook's simulator, written from its description (chapter 3, "Transaction data simulator").

Customers and terminals stand at random places of a square of 100 by 100; a customer uses the terminals within 5, all
alike. Each has a mean amount between 5 and 100, with half of it as standard deviation, and pays up to 4 times a day in
the mean, around noon. Fraud is every amount above 220; everything paid for 28 days at two terminals drawn each day; and
a third of what three cards drawn each day pay for 14 days, five times as large. With its published sizes
(`configs/handbook.toml`) twelve seeds gave 1,758,395 to 1,794,039 transactions (standard deviation 9,156), 0.82 to
0.87 % of them fraud; the published 1,754,155 with 0.84 % lie 1.9 and 0.7 standard deviations below the mean. What a
seed changes most is how often its 5,000 customers pay.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection.config import Data
from fraud_detection.scenarios import CUSTOMER_DAYS, CUSTOMER_FACTOR, CUSTOMER_SHARE, DAY_S, HIGH_AMOUNT, TERMINAL_DAYS

SIDE = 100.0  # of the square
RADIUS = 5.0
AMOUNTS = (5.0, 100.0)  # mean of the cheapest and of the dearest customer
MOST_A_DAY = 4.0
NOON_S, SPREAD_S = 43_200, 20_000  # mean and standard deviation of the time; what falls out of the day is left out
TERMINALS_A_DAY, CARDS_A_DAY = 2, 3  # compromised

Ints = NDArray[np.int64]


def generate(config: Data) -> pl.DataFrame:
    """Simulate `config.days` of transactions and return them in the order of time.

    Labels are perfect and arrive `label_delay_days` after the transaction.

    Returns:
        `transaction_id, datetime, customer_id, terminal_id, amount, fraud, labelled_at, scenario` (0 honest, 1 amount
        above 220, 2 compromised terminal, 3 compromised card; a later one replaces an earlier one).
    """
    rng = np.random.default_rng([config.seed, ord("H")])
    start = datetime.fromisoformat(config.start_date)
    near, count = _terminals_near(config, rng)
    mean = rng.uniform(*AMOUNTS, config.customers)
    daily = rng.uniform(0, MOST_A_DAY, config.customers)

    payments = rng.poisson(np.tile(daily, config.days))  # day by day, customer by customer
    day, customer = np.divmod(np.repeat(np.arange(len(payments)), payments), config.customers)
    within = rng.normal(NOON_S, SPREAD_S, len(day)).astype(np.int64)
    used = (within > 0) & (within < DAY_S) & (count[customer] > 0)
    day, customer, within = day[used], customer[used], within[used]
    order = np.argsort(day * DAY_S + within, kind="stable")
    day, customer, second = day[order], customer[order], (day * DAY_S + within)[order]
    rows = len(day)
    amount = rng.normal(mean[customer], mean[customer] / 2)
    negative = np.flatnonzero(amount < 0)
    amount[negative] = rng.uniform(0, 2 * mean[customer[negative]])
    amount = np.round(amount, 2)
    first = np.cumsum(count) - count
    terminal = near[first[customer] + np.floor(rng.random(rows) * count[customer]).astype(np.int64)]

    scenario = np.zeros(rows, np.int8)
    scenario[amount > HIGH_AMOUNT] = 1
    bad = _compromised(config.terminals, config.days, TERMINALS_A_DAY, TERMINAL_DAYS, rng)
    scenario[bad[terminal, day]] = 2
    bad = _compromised(config.customers, config.days, CARDS_A_DAY, CUSTOMER_DAYS, rng)
    exposed = np.flatnonzero(bad[customer, day])
    taken = exposed[rng.random(len(exposed)) < CUSTOMER_SHARE]
    amount[taken] *= CUSTOMER_FACTOR
    scenario[taken] = 3
    moment = pl.Series((second + int((start - datetime(1970, 1, 1)).total_seconds())) * 1_000_000)
    return pl.DataFrame(
        {
            "transaction_id": np.arange(rows),
            "datetime": moment.cast(pl.Datetime("us")),
            "customer_id": customer,
            "terminal_id": terminal,
            "amount": np.round(amount, 2),
            "fraud": (scenario > 0).astype(np.int8),
            "labelled_at": (moment + config.label_delay_days * DAY_S * 1_000_000).cast(pl.Datetime("us")),
            "scenario": scenario,
        }
    )


def _terminals_near(config: Data, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return the terminals near each customer, one customer's after the other's, and how many each has."""
    from sklearn.neighbors import KDTree  # takes a while to import, and most commands simulate nothing

    customers = rng.uniform(0, SIDE, (config.customers, 2))
    terminals = rng.uniform(0, SIDE, (config.terminals, 2))
    near = KDTree(terminals).query_radius(customers, RADIUS)
    return np.concatenate(near), np.array([len(found) for found in near])


def _compromised(count: int, days: int, drawn_a_day: int, duration: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return, for each of `count` and each day, whether it is compromised: from the day it is drawn on."""
    state = np.zeros((count, days), bool)
    for day in range(days):
        state[rng.choice(count, drawn_a_day, replace=False), day : day + duration] = True
    return state
