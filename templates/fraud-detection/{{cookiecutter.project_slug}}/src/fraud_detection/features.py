"""The Handbook's features: what a card has spent lately, how risky a terminal has been; from what was known by then.

A customer's windows run over transactions, `(t - w, t]`, the present one included. A terminal's windows run over
*labels*, by the time they arrived: `(t - w, t]` again. With one constant delay d that is what the Handbook computes
from transactions, windows over `(t - d - w, t - d]`; with a delay of its own for each label it stays correct. A label
that changes counts as what it was until then, and from then on as what it is, by the time of the change. Sums are over
integers (ten-thousandths of the currency), so no result depends on the order of rows or on how a table is divided.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection import formats, labels
from fraud_detection.config import Data

DAY_US = 86_400_000_000
UNITS = 10_000  # of one unit of the currency
DEVICE = ("device_age_days", "device_count_1d")

Ints = NDArray[np.int64]


def names(config: Data) -> list[str]:
    """Return the names of the columns that `compute` makes, in order, where the data has parties and a clock.

    >>> names(Data(windows_days=(1,)))[5:8]
    ['amount_ratio_1d', 'amount_to_max_1d', 'terminal_count_1d']
    """
    customer = [
        f"{name}_{days}d"
        for days in config.windows_days
        for name in ("customer_count", "customer_mean_amount", "amount_ratio")
    ]
    customer.append(f"amount_to_max_{max(config.windows_days)}d")
    terminal = [f"{name}_{days}d" for days in config.windows_days for name in ("terminal_count", "terminal_risk")]
    return ["amount", "during_weekend", "during_night", *customer, *terminal, *DEVICE]


def compute(table: pl.DataFrame, config: Data) -> pl.DataFrame:
    """Return the features of every transaction of `table`, each from what was known at its time.

    Transactions of one card in the same microsecond are taken in the order of `transaction_id`. A row without a label
    (`fraud` or `labelled_at` is null) is counted for its customer and not for its terminal; so new transactions are
    scored by computing the features of the history and of them together (`data.append`).

    Args:
        table: as `data.load` returns it; other orders of the rows give the same values.
        config: `windows_days` are used.

    Returns:
        As many rows, in the same order; every column is Float64 without nulls, named by `names`. What the data does not
        have gives no column: windows of a customer or a terminal, weekend and night, devices. `amount_ratio` is the
        amount over the customer's mean (1 where that is 0), `amount_to_max` that over the customer's largest amount in
        the longest window before it (0 where there was none), `terminal_risk` the share of frauds among
        `terminal_count` labels (0 where there are none). Night is 00:00 to 06:59, as in the Handbook.
        `device_age_days` is the time since the card's first payment with its device in this history (-1 without one),
        `device_count_1d` the payments that device made in the last day, for any card.
    """
    order = _time_order(table)
    ordered = table if order is None else table[order]
    time = ordered["datetime"].to_physical().to_numpy()
    amount = ordered["amount"].to_numpy()
    columns: dict[str, NDArray[np.float64]] = {"amount": amount}
    layout = formats.of(config.source)
    if layout is None or layout.clock:
        day, of_day = np.divmod(time, DAY_US)
        columns["during_weekend"] = ((day + 3) % 7 >= 5).astype(np.float64)  # 1970-01-01 was a Thursday
        columns["during_night"] = (of_day < 7 * DAY_US // 24).astype(np.float64)
    if "customer_id" in table.columns:
        columns |= _customer_windows(time, amount, _codes(ordered["customer_id"]), config.windows_days)
    if "terminal_id" in table.columns:
        columns |= _terminal_windows(ordered, time, config.windows_days)
    if "device_id" in table.columns:
        columns |= _device(ordered, time)
    features = pl.DataFrame({name: columns[name] for name in names(config) if name in columns})
    return features if order is None else features[np.argsort(order)]


def _customer_windows(
    time: Ints, amount: NDArray[np.float64], customer: Ints, windows: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    row, spans = _spans(time, customer, windows)
    spent = amount[row]
    # Differences of prefix sums are right even where the running total of a whole table wraps around.
    prefix = _prefix(np.rint(spent * UNITS).astype(np.int64))
    last = np.arange(1, len(row) + 1)
    columns = {}
    for days, first in spans.items():
        count = (last - first).astype(np.float64)
        mean = (prefix[last] - prefix[first]) / (count * UNITS)
        columns[f"customer_count_{days}d"] = count
        columns[f"customer_mean_amount_{days}d"] = mean
        columns[f"amount_ratio_{days}d"] = np.divide(spent, mean, out=np.ones(len(row)), where=mean > 0)
    longest = max(windows)
    largest = _largest(spent, spans[longest], last - 1)
    columns[f"amount_to_max_{longest}d"] = np.divide(spent, largest, out=np.zeros(len(row)), where=largest > 0)
    return {name: _unsorted(values, row) for name, values in columns.items()}


def _spans(time: Ints, party: Ints, windows: Sequence[int]) -> tuple[Ints, dict[int, Ints]]:
    """Return the rows by party and then by time, and for each window the place of the first row inside each row's."""
    bits = _bits(len(time))
    keys = np.sort((party << bits) | np.arange(len(time)))  # rows are in the order of time
    row = keys & ((1 << bits) - 1)
    base = keys - row  # the party's part of the key
    spans = {}
    for days in windows:
        oldest = np.searchsorted(time, time - days * DAY_US, side="right")
        spans[days] = np.searchsorted(keys, base | oldest[row], side="left")
    return row, spans


def _largest(values: NDArray[np.float64], first: Ints, end: Ints) -> NDArray[np.float64]:
    """Return the largest of `values[first:end]` for each pair, 0 for an empty one, by doubling (a sparse table).

    >>> _largest(np.array([3.0, 1.0, 2.0]), np.array([0, 1, 2]), np.array([3, 3, 2])).tolist()
    [3.0, 2.0, 0.0]
    """
    result, length = np.zeros(len(first)), end - first
    table, width = values, 1
    while (here := np.flatnonzero((length >= width) & (length < 2 * width))).size or (length >= 2 * width).any():
        result[here] = np.maximum(table[first[here]], table[end[here] - width])  # two overlapping stretches
        table = np.maximum(table[:-width], table[width:])
        width *= 2
    return result


def _unsorted(values: NDArray[np.float64], row: Ints) -> NDArray[np.float64]:
    column = np.empty(len(values))
    column[row] = values
    return column


def _device(table: pl.DataFrame, time: Ints) -> dict[str, NDArray[np.float64]]:
    """Return how long the card has used its device, and how much that was used today; -1 and 0 without one."""
    known = table["device_id"].is_not_null().to_numpy()
    age, count = np.full(len(time), -1.0), np.zeros(len(time))
    online = table.filter(known)
    first = (
        online.select(pl.col("datetime").min().over("customer_id", "device_id")).to_series().to_physical().to_numpy()
    )
    age[known] = (time[known] - first) / DAY_US
    row, spans = _spans(time[known], _codes(online["device_id"]), (1,))
    count[known] = _unsorted(np.arange(1.0, len(row) + 1) - spans[1], row)
    return {"device_age_days": age, "device_count_1d": count}


def _terminal_windows(table: pl.DataFrame, time: Ints, windows: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Return the windows over labels: a statement counts until its window is over, or until another replaces it."""
    terminal = _codes(table["terminal_id"])
    stated = labels.statements(table)
    since = np.maximum(stated.since_us, time[stated.row] + 1)  # none sees its own label, whatever the file says
    bits = _bits(len(time))
    keys = np.sort((terminal << bits) | np.arange(len(time)))  # the rows by terminal and then by time
    row = keys & ((1 << bits) - 1)
    base, fraud = terminal[stated.row] << bits, stated.fraud == 1

    def from_then(moment: Ints, chosen: NDArray[np.bool_] | slice) -> Ints:
        """Return, for each of `keys`, how many of the chosen statements have their `moment` before or at it."""
        asked = np.sort(base[chosen] | np.searchsorted(time, moment[chosen]))  # sorted: stays in the processor's cache
        return np.cumsum(np.bincount(np.searchsorted(keys, asked), minlength=len(keys) + 1)[:-1])

    everything = slice(None)
    made, made_fraud = from_then(since, everything), from_then(since, fraud)
    columns = {}
    for days in windows:
        over = np.maximum(since, np.minimum(stated.until_us, since + days * DAY_US))
        count = (made - from_then(over, everything)).astype(np.float64)
        frauds = made_fraud - from_then(over, fraud)
        columns[f"terminal_count_{days}d"] = _unsorted(count, row)
        columns[f"terminal_risk_{days}d"] = _unsorted(
            np.divide(frauds, count, out=np.zeros(len(time)), where=count > 0), row
        )
    return columns


def _time_order(table: pl.DataFrame) -> Ints | None:
    """Return the rows in the order of time, ties by `transaction_id`; None where they already are."""
    time, name = pl.col("datetime"), pl.col("transaction_id")
    before = (time < time.shift()) | ((time == time.shift()) & (name < name.shift()))
    if not table.select(before.any()).item():
        return None
    order: Ints = table.select(pl.arg_sort_by("datetime", "transaction_id")).to_series().to_numpy().astype(np.int64)
    return order


def _codes(ids: pl.Series) -> Ints:
    """Return a whole number from 0 on for each id, equal for equal ids."""
    if ids.dtype.is_integer() and len(ids):
        values = ids.cast(pl.Int64).to_numpy()
        low, high = int(values.min()), int(values.max())
        if high - low < 1 << 31:
            return values - low
    codes: Ints = ids.rank("dense").to_numpy().astype(np.int64)
    return codes


def _bits(rows: int) -> int:
    return max(1, int(rows).bit_length())  # enough for the row numbers and for the one after the last


def _prefix(values: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
