"""The simulated population: merchants and their terminals, cards and where they are used, devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

NEARBY, ONLINE = 24, 8  # terminals that a customer uses: so many around the home, so many on the web
RADIUS = 5.0  # standard deviation of the way to a nearby terminal, in a country of 100 by 100
DISTANT = 2  # so many of the countries abroad, the last ones, are far away
SECOND_DEVICE, SECOND_DEVICE_USE = 0.4, 0.3  # share of the cards that have one, and of their payments online
HOUSEHOLD = 0.15  # share of the cards that pay with the device of another one
DEVICE_YEARS = 3.0  # a first device is replaced within so long


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
    new_terminals_yearly: float  # share that opens in a year
    high_amount_share: float  # of payments
    terminals_compromised: float  # per 10,000 terminals
    customers_compromised: float  # per 5,000 cards, like the three below
    takeovers: float
    card_tests: float
    merchants_compromised: float
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
        abroad=("FR", "NL", "DE", "LU", "US", "TH"),
        new_terminals_yearly=0.2,
        high_amount_share=6e-4,
        terminals_compromised=1.5,
        customers_compromised=2.0,
        takeovers=1.0,
        card_tests=0.08,
        merchants_compromised=0.12,
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
        abroad=("PT", "FR", "MA", "GB", "US", "TH"),
        new_terminals_yearly=0.3,
        high_amount_share=9e-4,
        terminals_compromised=1.6,
        customers_compromised=2.3,
        takeovers=1.4,
        card_tests=0.08,
        merchants_compromised=0.12,
        fraud_growth_yearly=0.5,
    ),
}


class Terminals:
    """Where the terminals are and whose: arrays of one entry a terminal, and the texts that their codes stand for.

    Attributes:
        merchant: whose each is.
        online: whether it is a web site.
        atm: whether it gives cash.
        distant: whether it is in a country far away.
        opens: the first day it is used; below 0 for those that were there before the history.
        elder: one nearby of the same channel that was there before: used until it opens.
        log_factor: logarithm of the typical amount, against a customer's own.
        place: where it stands.
    """

    def __init__(self, count: int, name: str, days: int, rng: np.random.Generator) -> None:
        portfolio = PORTFOLIOS[name]
        merchants = max(2, count // 3)
        shares = np.array([kind.share[name] for kind in KINDS])
        kind_of_merchant = rng.choice(len(KINDS), merchants, p=shares / shares.sum())
        kind_of_merchant[:2] = 0, len(KINDS) - 1  # shops and web sites exist in the smallest population too
        self.merchant = np.concatenate([np.arange(merchants), rng.integers(0, merchants, count - merchants)])
        kind = kind_of_merchant[self.merchant]
        self.online = np.array([kind.channel == "online" for kind in KINDS])[kind]
        self.atm = np.array([kind.channel == "atm" for kind in KINDS])[kind]
        self.log_factor = np.log([kind.factor for kind in KINDS]).astype(np.float32)[kind]
        abroad = rng.random(count) < portfolio.abroad_share * np.where(self.online, 3.0, 0.5)
        # The nearer abroad, the more terminals: the square of a uniform number favours the first countries.
        nearer = 1 + np.floor(rng.random(count) ** 2 * len(portfolio.abroad)).astype(np.int64)
        country = np.where(abroad, nearer, 0)
        self.distant = country > len(portfolio.abroad) - DISTANT
        self.place = rng.uniform(0, 100, (count, 2))
        self.opens, self.elder = self._openings(portfolio.new_terminals_yearly * days / 365.25, days, rng)
        self._texts = {
            "mcc": (kind, [kind.mcc for kind in KINDS]),
            "channel": (kind, [kind.channel for kind in KINDS]),
            "country": (country, [portfolio.home, *portfolio.abroad]),
        }

    def _openings(
        self, share: float, days: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first day of each, and the older one nearby."""
        count = len(self.place)
        order = np.lexsort((*np.floor(self.place.T / 5), self.online))  # neighbours of a channel are near each other
        new = rng.random(count)[order] < min(share, 0.5)
        new[np.unique(self.online[order], return_index=True)[1]] = False  # the first of a channel is old
        opens = np.full(count, -1)
        opens[order[new]] = rng.integers(0, days, int(new.sum()))
        elder = np.empty(count, np.int64)
        elder[order] = order[np.maximum.accumulate(np.where(new, 0, np.arange(count)))]
        return opens, elder

    def text(self, name: str, terminal: NDArray[np.int64]) -> pl.Series:
        """Return the `mcc`, `channel` or `country` of each payment's terminal."""
        codes, texts = self._texts[name]
        return pl.Series(texts).gather(codes.astype(np.uint32)[terminal])


def favourites(customers: int, terminals: Terminals, rng: np.random.Generator) -> NDArray[np.int64]:
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


class Devices:
    """What cards pay online with: one device or two, the first at times shared in a household, at times replaced."""

    def __init__(self, customers: int, days: int, rng: np.random.Generator) -> None:
        self.count = 3 * customers
        # Every other card may use its neighbour's, which so is nobody's guest itself.
        guest = (rng.random(customers) < 2 * HOUSEHOLD) & (np.arange(customers) % 2 == 1)
        self._owner = np.arange(customers) - guest
        self._has_second = rng.random(customers) < SECOND_DEVICE
        self._replaced = np.floor(rng.random(customers) * DEVICE_YEARS * 365.25)

    def of(self, customer: NDArray[np.int64], day: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the device of each of these payments."""
        owner = self._owner[customer]
        first = 3 * owner + (day >= self._replaced[owner])
        second = self._has_second[customer] & (rng.random(len(customer), dtype=np.float32) < SECOND_DEVICE_USE)
        return np.where(second, 3 * customer + 2, first)
