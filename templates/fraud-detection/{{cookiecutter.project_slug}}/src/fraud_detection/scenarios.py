"""The frauds of the simulator: some turn honest payments into frauds, others add payments that the card never made.

Scenarios 1 to 3 follow the Fraud Detection Handbook's description (chapter 3, "Transaction data simulator"), 4 to 6
what issuers report. How often each happens changes over the months (`MIX`).

| scenario | what happens |
|---|---|
| 1 high amount | a payment above 220 |
| 2 terminal | everything paid at a compromised terminal, for 28 days |
| 3 card | a third of a compromised card's payments, five times as large, for 14 days |
| 4 takeover | 3 to 8 payments in 1 to 3 days, each larger than the one before, by a new device or far away |
| 5 card test | 20 to 200 cards in a row at one web site, below 2; some are cashed out 2 to 10 days later |
| 6 merchant | cards seen at a merchant in two weeks are used elsewhere, 7 to 30 days after its data was stolen |
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fraud_detection.population import Devices, Portfolio, Terminals

DAY_S = 86_400
HIGH_AMOUNT = 220.0
TERMINAL_DAYS = 28  # how long a terminal stays compromised
CUSTOMER_DAYS = 14  # how long a card stays compromised
CUSTOMER_SHARE = 1 / 3  # of the payments of a compromised card
CUSTOMER_FACTOR = 5  # by which those are larger
TEST_AMOUNT = 2.0  # a card test stays below
CASHED_OUT = 0.15  # share of the tested cards
EXPOSED_DAYS = 14  # of payments at a merchant are stolen
STOLEN = 0.3  # share of the cards seen there that are used
NO_DEVICE = -1  # of a payment in a shop or at a cash machine

Ints = NDArray[np.int64]


class Course(NamedTuple):
    """How a scenario's rate changes: in a year, on top of the portfolio's own growth, and in waves."""

    yearly: float
    wave: float  # amplitude, as a share
    phase: float  # of the wave, in turns


WAVE_DAYS = 150
MIX = {
    1: Course(-0.3, 0.2, 0.0),
    2: Course(-0.1, 0.3, 0.3),
    3: Course(0.0, 0.3, 0.6),
    4: Course(0.5, 0.5, 0.1),
    5: Course(0.6, 0.4, 0.8),
    6: Course(0.1, 0.2, 0.5),
}


@dataclass(frozen=True)
class Payments:
    """Payments as arrays of one length, in the order of time once they are `merged`.

    Attributes:
        customer: the card.
        second: since the start of the history.
        terminal: where.
        amount: how much.
        device: what an online payment was made with, or `NO_DEVICE`.
        scenario: 0 for an honest one.
    """

    customer: Ints
    second: Ints
    terminal: Ints
    amount: NDArray[np.float32]
    device: Ints
    scenario: NDArray[np.int8]


@dataclass(frozen=True)
class World:
    """Where frauds happen: the population, and the days of the history.

    Attributes:
        usual: the typical amount of each card.
        days: length of the history.
    """

    portfolio: Portfolio
    terminals: Terminals
    devices: Devices
    usual: NDArray[np.float64]
    days: int

    def rate(self, scenario: int, base: float) -> NDArray[np.float64]:
        """Return how often `scenario` happens on each day, where it is `base` on the first."""
        day, course = np.arange(self.days), MIX[scenario]
        trend = 1 + (self.portfolio.fraud_growth_yearly + course.yearly) * day / 365.25
        wave = 1 + course.wave * np.sin(2 * np.pi * (day / WAVE_DAYS + course.phase))
        rates: NDArray[np.float64] = base * np.maximum(trend, 0.1) * wave
        return rates

    def per_card(self, rate: float) -> float:
        """Return a rate for these cards from one per 5,000."""
        return rate * len(self.usual) / 5_000


def turn(payments: Payments, world: World, rng: np.random.Generator) -> None:
    """Turn some of the payments into frauds of scenarios 1 to 3, in place."""
    portfolio, scenario, amount = world.portfolio, payments.scenario, payments.amount
    day = payments.second // DAY_S
    share = world.rate(1, portfolio.high_amount_share).astype(np.float32)
    high = np.flatnonzero(rng.random(len(amount), dtype=np.float32) < share[day])
    amount[high] = HIGH_AMOUNT + 0.01 + rng.exponential(60.0, len(high))
    scenario[high] = 1
    terminals, cards = len(world.terminals.merchant), len(world.usual)
    rate = world.rate(2, portfolio.terminals_compromised * terminals / 10_000)
    state = _compromised(terminals, rate, TERMINAL_DAYS, rng)
    scenario[state.ravel()[payments.terminal * world.days + day]] = 2
    rate = world.rate(3, world.per_card(portfolio.customers_compromised))
    state = _compromised(cards, rate, CUSTOMER_DAYS, rng)
    used = np.flatnonzero(state.ravel()[payments.customer * world.days + day])
    used = used[rng.random(len(used)) < CUSTOMER_SHARE]
    amount[used] *= CUSTOMER_FACTOR
    scenario[used] = 3


def added(payments: Payments, world: World, rng: np.random.Generator) -> list[Payments]:
    """Return the payments of scenarios 4 to 6, those of one event after the other; some lie after the last day."""
    portfolio, devices = world.portfolio, world.devices.count
    found = []
    for event, day in enumerate(_days(world.rate(4, world.per_card(portfolio.takeovers)), rng)):
        found.append(_takeover(int(day), devices + event, world, rng))
    devices += len(found)
    for event, day in enumerate(_days(world.rate(5, world.per_card(portfolio.card_tests)), rng)):
        found.append(_card_test(int(day), devices + event, world, rng))
    devices += len(found)
    for event, day in enumerate(_days(world.rate(6, world.per_card(portfolio.merchants_compromised)), rng)):
        found.append(_stolen(int(day), devices + event, payments, world, rng))
    return found


def merged(parts: list[Payments], seconds: int) -> Payments:
    """Return all payments before `seconds`, in the order of time; the first part is in it already."""
    honest, *others = parts
    extra = {
        field.name: np.concatenate([getattr(honest, field.name)[:0], *(getattr(part, field.name) for part in others)])
        for field in fields(Payments)
    }
    order = np.argsort(extra["second"], kind="stable")
    order = order[: np.searchsorted(extra["second"][order], seconds)]
    place = np.searchsorted(honest.second, extra["second"][order], side="right") + np.arange(len(order))
    kept = np.ones(len(honest.second) + len(order), bool)
    kept[place] = False
    columns = {}
    for name, values in extra.items():
        column = np.empty(len(kept), getattr(honest, name).dtype)
        column[kept], column[place] = getattr(honest, name), values[order]
        columns[name] = column
    return Payments(**columns)


def _takeover(day: int, device: int, world: World, rng: np.random.Generator) -> Payments:
    payments = int(rng.integers(3, 9))
    customer = np.full(payments, rng.integers(0, len(world.usual)))
    days = int(rng.integers(1, 4))
    second = day * DAY_S + np.sort(rng.integers(0, days * DAY_S, payments))
    online = rng.random() < 0.6
    sites = world.terminals.online
    terminal = _anywhere(payments, sites if online else world.terminals.distant & ~sites, rng)
    ramp = np.geomspace(rng.uniform(0.5, 1.5), rng.uniform(4, 12), payments)
    return _payments(customer, second, terminal, world.usual[customer] * ramp, device, 4, world)


def _card_test(day: int, device: int, world: World, rng: np.random.Generator) -> Payments:
    """Return the tests, one after the other within a day at one web site, and then the cash-outs."""
    cards = len(world.usual)
    count = min(cards, round(float(np.exp(rng.uniform(np.log(20), np.log(200))))))
    customer = rng.choice(cards, count, replace=False)
    second = day * DAY_S + int(rng.integers(0, DAY_S)) + np.cumsum(rng.exponential(60.0, count)).astype(np.int64)
    site = np.full(count, _anywhere(1, world.terminals.online, rng)[0])
    tests = _payments(customer, second, site, rng.uniform(0.1, TEST_AMOUNT - 0.01, count), device, 5, world)
    taken = np.repeat(customer[rng.random(count) < CASHED_OUT], 2)
    later = second[-1] + rng.integers(2 * DAY_S, 10 * DAY_S, len(taken))
    place = _anywhere(len(taken), world.terminals.online | world.terminals.atm, rng)
    amount = world.usual[taken] * rng.uniform(2, 7, len(taken))
    return merged([tests, _payments(taken, later, place, amount, device, 5, world)], 1 << 62)


def _stolen(day: int, device: int, payments: Payments, world: World, rng: np.random.Generator) -> Payments:
    """Return the use, elsewhere, of cards that were seen at a merchant in the days before `day`."""
    first, last = np.searchsorted(payments.second, [(day - EXPOSED_DAYS) * DAY_S, day * DAY_S])
    if first == last:  # nothing was paid yet
        return _payments(*(np.empty(0, np.int64),) * 3, np.empty(0), device, 6, world)
    merchant_of = world.terminals.merchant
    merchant = merchant_of[payments.terminal[rng.integers(first, last)]]  # a busy one, more likely
    seen = np.unique(payments.customer[first:last][merchant_of[payments.terminal[first:last]] == merchant])
    customer = seen[rng.random(len(seen)) < STOLEN]
    customer = np.repeat(customer, rng.integers(1, 4, len(customer)))
    second = day * DAY_S + rng.integers(7 * DAY_S, 30 * DAY_S, len(customer))
    online = rng.random(len(customer)) < 0.7
    elsewhere = merchant_of != merchant
    terminal = np.where(
        online,
        _anywhere(len(customer), world.terminals.online & elsewhere, rng),
        _anywhere(len(customer), ~world.terminals.online & elsewhere, rng),
    )
    return _payments(
        customer, second, terminal, world.usual[customer] * rng.uniform(1, 5, len(customer)), device, 6, world
    )


def _payments(
    customer: Ints,
    second: Ints,
    terminal: Ints,
    amount: NDArray[np.float64],
    device: int,
    scenario: int,
    world: World,
) -> Payments:
    return Payments(
        customer,
        second,
        terminal,
        amount.astype(np.float32),
        np.where(world.terminals.online[terminal], device, NO_DEVICE),
        np.full(len(customer), scenario, np.int8),
    )


def _anywhere(count: int, allowed: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """Return terminals among those allowed, of all where none is; small populations lack some kinds."""
    choice = np.flatnonzero(allowed) if allowed.any() else np.arange(len(allowed))
    return choice[rng.integers(0, len(choice), count)]


def _days(rates: NDArray[np.float64], rng: np.random.Generator) -> Ints:
    """Return the day of each event; fractions add up to whole events over the days."""
    total = np.floor(np.cumsum(rates) + rng.random()).astype(np.int64)
    return np.repeat(np.arange(len(rates)), np.diff(total, prepend=0))


def _compromised(
    count: int, new_per_day: NDArray[np.float64], days: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return, for each of `count` and each day, whether it is compromised: drawn anew each day, for `days` days."""
    begins = _days(np.concatenate([np.full(days, new_per_day[0]), new_per_day]), rng) - days  # some before the history
    who = rng.integers(0, count, len(begins))
    when = (begins[:, None] + 1 + np.arange(days)).ravel()
    inside = (when >= 0) & (when < len(new_per_day))
    state = np.zeros((count, len(new_per_day)), bool)
    state[np.repeat(who, days)[inside], when[inside]] = True
    return state
