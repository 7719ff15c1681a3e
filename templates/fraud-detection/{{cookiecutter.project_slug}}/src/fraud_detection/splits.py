"""How time divides the transactions: train, wait for the labels, test; and the same further back (prequential folds).

A payment's label is known `label_delay_days` later, so a model that is to work from `test_start` on can learn from
payments up to `test_start - label_delay_days`. See the Fraud Detection Handbook, chapter 5, "Validation strategies".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection import formats, labels
from fraud_detection.config import Data
from paceline.errors import PacelineError

Rows = NDArray[np.int64]
Labels = NDArray[np.int8]


@dataclass(frozen=True)
class Fold:
    """One training window and the later window it is judged on; ends are exclusive.

    Attributes:
        name: what the fold is called in messages and reports.
        train: the training rows' numbers in the table, in its order.
        train_labels: what was known of them at `test_start`: a fraud reported later still counts as genuine, one that
            was withdrawn later as fraud.
        window: the rows of the later window.
        test: those of them that are evaluated: of cards not yet known as compromised on that day.
        test_labels: the labels of `test`, as known when the fold is judged.
        left_out: how many of the training and of the later window have no label and are in none of the above.
        assumed: how many of `train` and of `window` count as genuine because no statement names them.
    """

    name: str
    train_start: datetime
    train_end: datetime
    test_start: datetime
    test_end: datetime
    train: Rows
    train_labels: Labels
    window: Rows
    test: Rows
    test_labels: Labels
    left_out: tuple[int, int] = (0, 0)
    assumed: tuple[int, int] = (0, 0)

    def state(self) -> dict[str, Any]:
        """Return the fold's dates and counts, for the run record; bounds are exact, their ends exclusive."""
        return {
            "train": [_first(self.train_start), _last(self.train_end)],
            "test": [_first(self.test_start), _last(self.test_end)],
            "train_bounds": [self.train_start.isoformat(), self.train_end.isoformat()],
            "test_bounds": [self.test_start.isoformat(), self.test_end.isoformat()],
            "train_transactions": len(self.train),
            "train_frauds": int(self.train_labels.sum()),
            "test_transactions": len(self.test),
            "test_frauds": int(self.test_labels.sum()),
            "removed_known_compromised": len(self.window) - len(self.test),
            "train_unlabelled_left_out": self.left_out[0],
            "test_unlabelled_left_out": self.left_out[1],
            "train_assumed_genuine": self.assumed[0],
            "test_assumed_genuine": self.assumed[1],
        }

    def doubts(self) -> list[str]:
        """Return a sentence for each window that transactions without a label are left out of, with their share."""
        return [
            f"{out:,} of {out + kept:,} transactions ({out / (out + kept):.1%}) of the {part} window of the fold "
            f"'{self.name}' have no label and are left out: shares of frauds and scores are of the others."
            for part, out, kept in zip(
                ("training", "later"), self.left_out, (len(self.train), len(self.window)), strict=True
            )
            if out
        ]


class PrequentialSplit:
    """The windows of `config` on the time axis of `table`.

    ```
    validation   train_days | delay | validation_days |
    final              train_days            | delay | test_days
                                             ^ test_start - label_delay_days
    ```

    Args:
        table: as `data.load` returns it: in the order of time.
        config: `test_start, test_days, train_days, validation_days, label_delay_days`.

    Attributes:
        test_start: the first day of the test; without one in `config`, `test_days` before the end of the last day.

    Raises:
        PacelineError: the table does not cover the test or the training before it.
    """

    def __init__(self, table: pl.DataFrame, config: Data) -> None:
        self._config = config
        self._time = table["datetime"].to_physical().to_numpy()
        if not len(self._time):
            raise PacelineError("There is no transaction to divide.", "See what `data` says of data.path.")
        self._labels = labels.statements(table)
        self._final = self._labels.known(len(self._time))  # -1: not labelled, so in no window
        self._assumed = table[labels.ASSUMED].to_numpy() if labels.ASSUMED in table.columns else None
        self._customer = customers(table)
        first, last = table["datetime"][0], table["datetime"][-1]
        layout = formats.of(config.source)
        period = timedelta(days=layout.period_days if layout else 1)
        self._first_day, self._end = _midnight(first), _midnight(last) + period
        self._delay = timedelta(days=config.label_delay_days)
        test_days = timedelta(days=config.test_days)
        self.test_start = datetime.fromisoformat(config.test_start) if config.test_start else self._end - test_days
        if not self._first_day <= self.test_start < self._end:
            raise PacelineError(
                f"data.test_start is {self.test_start:%Y-%m-%d}, but the transactions are of {self._span()}.",
                "Choose a day inside, or leave it empty for the last test_days.",
            )

    def final(self) -> Fold:
        """Return the fold that ends in the test; its test labels are the final ones.

        Raises:
            PacelineError: the history is too short for it, or a window has one class only.
        """
        config = self._config
        return self._fold("test", self.test_start, config.test_days, judged_at=None)

    def validation(self) -> Fold:
        """Return the fold for choices (rounds, calibration, threshold): its last labels arrive as the test begins.

        Raises:
            PacelineError: the history is too short for it, or a window has one class only.
        """
        return self._fold(
            "validation", self._validation_start(0), self._config.validation_days, judged_at=self.test_start
        )

    def folds(self, count: int) -> list[Fold]:
        """Return `count` folds for choices, the latest first: `validation`, then each `validation_days` earlier.

        Raises:
            PacelineError: the history is too short for as many, or a window has one class only.
        """
        days = self._config.validation_days
        return [
            self._fold(
                f"validation-{index}" if index else "validation",
                self._validation_start(index),
                days,
                judged_at=self.test_start,
            )
            for index in range(count)
        ]

    def _validation_start(self, index: int) -> datetime:
        return self.test_start - self._delay - timedelta(days=self._config.validation_days * (index + 1))

    def _fold(self, name: str, test_start: datetime, days: float, *, judged_at: datetime | None) -> Fold:
        train_end = test_start - self._delay
        train_start = train_end - timedelta(days=self._config.train_days)
        test_end = test_start + timedelta(days=days)
        self._check_history(name, train_start, test_end)
        train, train_out = self._rows(train_start, train_end, known_at=test_start)
        window, window_out = self._rows(test_start, test_end, known_at=judged_at)
        train_labels = self._frauds_known(test_start)[train]
        test = window[~self._compromised(train_start, window)]
        test_labels = self._frauds_known(judged_at)[test]
        for part, known, start, end, left_out in (
            ("training", train_labels, train_start, train_end, train_out),
            ("evaluated", test_labels, test_start, test_end, window_out),
        ):
            frauds = int(known.sum())
            if frauds in (0, len(known)):
                raise PacelineError(
                    f"The {part} window of the fold '{name}' ({_first(start)} to {_last(end)}) "
                    f"has {len(known):,} transactions and {frauds:,} frauds: one class only.",
                    f"{left_out:,} more have no label: bring labels of both classes"
                    + (", or set data.unstated_genuine = true." if self._config.labels_path else ".")
                    if left_out
                    else "Lengthen it in [data], or move data.test_start.",
                )
        return Fold(
            name, train_start, train_end, test_start, test_end,
            train, train_labels.astype(np.int8), window, test, test_labels.astype(np.int8),
            (train_out, window_out), (self._count_assumed(train), self._count_assumed(window)),
        )  # fmt: skip

    def _rows(self, start: datetime, end: datetime, *, known_at: datetime | None) -> tuple[Rows, int]:
        """Return the rows with a label, and how many have none.

        Label files that name both classes tell by what they leave out: there a label must have been known by then.
        """
        first, last = np.searchsorted(self._time, [labels.us(start), labels.us(end)])
        rows = np.arange(first, last)
        known = self._final
        if known_at is not None and self._config.labels_path and not self._config.unstated_genuine:
            known = self._labels.known(len(self._time), labels.us(known_at))
        labelled = rows[known[rows] >= 0]
        return labelled, len(rows) - len(labelled)

    def _count_assumed(self, rows: Rows) -> int:
        return 0 if self._assumed is None else int(self._assumed[rows].sum())

    def _frauds_known(self, moment: datetime | None) -> NDArray[np.bool_]:
        """Return which rows of the table are known as frauds at `moment`, or in the end."""
        known = self._final if moment is None else self._labels.known(len(self._time), labels.us(moment))
        return np.equal(known, 1)

    def _compromised(self, train_start: datetime, window: Rows) -> NDArray[np.bool_]:
        """Return which rows are of a card that, as its day began, was known for a fraud since `train_start`."""
        stated = self._labels
        reported = (stated.fraud == 1) & (self._time[stated.row] >= labels.us(train_start))
        frauds = pl.DataFrame(
            {
                "card": self._customer[stated.row[reported]],
                "since": stated.since_us[reported],
                "until": stated.until_us[reported],
            }
        )
        days = pl.DataFrame(
            {"row": window, "card": self._customer[window], "day": self._time[window] // _DAY_US * _DAY_US}
        )
        known = days.join(frauds, on="card").filter(pl.col("day") > pl.col("since"), pl.col("day") <= pl.col("until"))
        return np.isin(window, known["row"].to_numpy())

    def _check_history(self, name: str, start: datetime, end: datetime) -> None:
        if end > self._end:
            raise PacelineError(
                f"The fold '{name}' reaches to the end of {_last(end)}, but the transactions are of {self._span()}.",
                "Shorten data.test_days or move data.test_start back.",
            )
        if start >= self._first_day:
            return
        config, day = self._config, timedelta(days=1)
        test_end = self.test_start + timedelta(days=config.test_days)
        needed, available = (test_end - start) / day, (test_end - self._first_day) / day
        spare = config.train_days - (needed - available)
        remedy = (
            f"Set data.train_days to {spare:g} or fewer"
            if spare >= 1
            else "Shorten data.train_days, data.validation_days and data.test_days"
        )
        raise PacelineError(
            f"From the training of the fold '{name}' to the end of the test it takes {needed:g} days, and there are "
            f"{available:g} (the transactions are of {self._span()}).",
            f"{remedy}, or bring a longer history.",
        )

    def _span(self) -> str:
        return f"{self._first_day:%Y-%m-%d} to {self._end - timedelta(days=1):%Y-%m-%d}"


def customers(table: pl.DataFrame) -> NDArray[np.int64]:
    """Return a code from 0 on for each row, equal for transactions of one card; where cards are not known, all differ.

    So nothing is then taken for a known card's, and the bootstrap over customers is one over transactions.
    """
    if "customer_id" not in table.columns:
        return np.arange(table.height)
    codes: NDArray[np.int64] = table["customer_id"].rank("dense").to_numpy().astype(np.int64) - 1
    return codes


_DAY_US = 86_400_000_000


def _first(start: datetime) -> str:
    return f"{start:%Y-%m-%d}" if start == _midnight(start) else f"{start:%Y-%m-%d %H:%M}"


def _last(end: datetime) -> str:
    return _first(end - timedelta(days=1) if end == _midnight(end) else end)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
