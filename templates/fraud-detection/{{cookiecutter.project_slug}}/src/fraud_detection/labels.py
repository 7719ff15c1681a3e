"""What is known of each transaction, and since when: labels come late, in files of their own, and change.

`data.labels_path` names a CSV, Parquet or JSON-lines file, or a folder of them, with the columns `transaction_id`,
`fraud` (0 or 1) and `labelled_at`. A row is a statement: so it was thought to be from that moment on. A later statement
about the same transaction replaces it, as when a customer withdraws a claim. A label in the transactions' own file is
one more statement. At any moment the last one made by then holds; what repeats the one before says nothing new.

A feed of frauds alone says nothing of the rest. With `data.unstated_genuine` a transaction counts as genuine from
`label_delay_days` after it on, until a statement says otherwise; at no moment does that look ahead. Without it, one
that no statement names is left out of training and judging.

In the table `fraud` and `labelled_at` are the last statement, and `earlier_labels`, there only where some label has
changed, lists those before it; `label_assumed`, there only with `unstated_genuine`, tells what no statement names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraud_detection import files, values
from fraud_detection.config import Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

COLUMNS = ("transaction_id", "fraud", "labelled_at")
EARLIER = "earlier_labels"
ASSUMED = "label_assumed"
NEVER_US = np.iinfo(np.int64).max

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Statements:
    """Every statement about the rows of a table: it holds from `since_us` up to `until_us`, exclusive.

    Attributes:
        row: the number of the row it is about.
        fraud: 1 or 0.
        since_us: when it was made, in microseconds since 1970.
        until_us: when the next about the same row was made; `NEVER_US` for the last.
    """

    row: Ints
    fraud: NDArray[np.int8]
    since_us: Ints
    until_us: Ints

    def known(self, rows: int, moment_us: int = NEVER_US - 1) -> NDArray[np.int8]:
        """Return what is known of each of `rows` rows at a moment, at the end by default: 1, 0, or -1 for nothing."""
        found = np.full(rows, -1, np.int8)
        holds = (self.since_us <= moment_us) & (moment_us < self.until_us)
        found[self.row[holds]] = self.fraud[holds]
        return found


def statements(table: pl.DataFrame) -> Statements:
    """Return all statements about the rows of `table`, which is as `data.load` returns it."""
    stated = table["fraud"].is_not_null() & table["labelled_at"].is_not_null()
    row = stated.arg_true().to_numpy().astype(np.int64)
    fraud = table["fraud"].filter(stated).to_numpy().astype(np.int8)
    since = table["labelled_at"].filter(stated).to_physical().to_numpy()
    if EARLIER in table.columns:
        before = table.select(pl.int_range(pl.len()).alias("row"), EARLIER).drop_nulls().explode(EARLIER)
        before = before.unnest(EARLIER)
        row = np.concatenate([before["row"].to_numpy(), row])
        fraud = np.concatenate([before["fraud"].to_numpy(), fraud])
        since = np.concatenate([before["labelled_at"].to_physical().to_numpy(), since])
        order = np.lexsort((since, row))
        row, fraud, since = row[order], fraud[order], since[order]
    until = np.full(len(row), NEVER_US)
    until[:-1] = np.where(row[1:] == row[:-1], since[1:], NEVER_US)
    return Statements(row, fraud, since, until)


def known(table: pl.DataFrame, moment: datetime) -> NDArray[np.int8]:
    """Return what is known of each row of `table` at `moment`: 1, 0, or -1 for nothing."""
    return statements(table).known(table.height, us(moment))


def load(config: Data, table: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Return `table` with the statements of `data.labels_path`.

    Quarantined are statements that cannot be read, of no transaction of the table or from before it, and those about
    one transaction that contradict each other at the same moment: none of them holds.

    Args:
        config: `labels_path, label_delay_days, unstated_genuine, time_zone, max_quarantined_share`.
        table: the transactions, with what their own file says.
        quarantine: counts the statements as read, and those that can be used as kept.

    Raises:
        PacelineError: there is nothing to read, a column is missing, or too many files are damaged.
    """
    stated, rows = _read(config, quarantine), table.select("transaction_id", "datetime").with_row_index("row")
    if stated["transaction_id"].dtype != table["transaction_id"].dtype:
        stated, rows = (part.with_columns(pl.col("transaction_id").cast(pl.String)) for part in (stated, rows))
    stated = stated.join(rows, on="transaction_id", how="left", maintain_order="left")
    moment, fraud, same = pl.col("labelled_at"), pl.col("fraud"), ("transaction_id", "labelled_at")
    usable = pl.when(fraud.is_in([0.0, 1.0])).then(fraud)
    defects = {
        "label's transaction_id is missing": pl.col("transaction_id").is_null(),
        "label is not 0 or 1": usable.is_null(),
        f"label's time is skipped or repeated by the clocks of {config.time_zone}": pl.col("_nowhere"),
        "label's labelled_at is no ISO 8601 date and time": moment.is_null(),
        "label is of no transaction in the data": pl.col("row").is_null(),
        "label is from before its transaction": moment < pl.col("datetime"),
        "labels of one moment contradict each other": usable.min().over(same) != usable.max().over(same),
    }
    stated = stated.with_columns(
        reason=pl.coalesce(pl.when(defect).then(pl.lit(text)) for text, defect in defects.items())
    )
    for (text,), bad in stated.drop_nulls("reason").group_by("reason", maintain_order=True):
        items = bad.select("_source", files.ROW, "_shown").iter_rows()
        quarantine.add_many(str(text), ((name, files.place(name, row), shown) for name, row, shown in items))
    kept = stated.filter(pl.col("reason").is_null()).select("row", fraud.cast(pl.Int8), "labelled_at")
    quarantine.count(kept=kept.height)
    return _restated(table, kept, config.label_delay_days, assume_genuine=config.unstated_genuine)


def _read(config: Data, quarantine: Quarantine) -> pl.DataFrame:
    """Return every row of the label files, in their order, with where it stands and what stands there."""
    setting = "data.labels_path"
    found = files.find(Path(config.labels_path).expanduser(), setting=setting)
    parts: list[pl.DataFrame] = []
    damaged: dict[Path, str] = {}
    for file in found:
        try:
            raw = files.read(file, {name: name for name in COLUMNS}, {}, quarantine)
        except files.DamagedFile as error:
            damaged[file] = str(error)
            continue
        except PacelineError as error:
            raise PacelineError(error.cause, f"The columns of {setting} are called {', '.join(COLUMNS)}.") from None
        moment, nowhere = values.moments(raw["labelled_at"], config.time_zone)
        shown = raw.select(values.text(raw[name]).fill_null("") for name in COLUMNS)
        parts.append(
            raw.select(
                values.ids(raw["transaction_id"]).alias("transaction_id"),
                values.labels(raw["fraud"]).alias("fraud"),
                moment.alias("labelled_at"),
                nowhere.alias("_nowhere"),
                pl.lit(file.name).alias("_source"),
                pl.col(files.ROW),
                shown.select(pl.concat_str(pl.all(), separator=",")).to_series().alias("_shown"),
            )
        )
    files.refuse_damaged(damaged, found, config.max_quarantined_share, quarantine, setting=setting)
    if len({part["transaction_id"].dtype for part in parts}) > 1:
        parts = [part.with_columns(pl.col("transaction_id").cast(pl.String)) for part in parts]
    return pl.concat(parts)


def _restated(
    table: pl.DataFrame, stated: pl.DataFrame, delay_days: int, *, assume_genuine: bool = False
) -> pl.DataFrame:
    """Return `table` with further statements: `row` (its number in the table), `fraud`, `labelled_at`.

    A label of the table that arrives after exactly `delay_days` is taken for one whose arrival was not known but
    assumed, so it counts only up to the first statement. With `assume_genuine`, what nothing was said of `delay_days`
    after it is genuine from then on.
    """
    row, moment, fraud = pl.col("row"), pl.col("labelled_at"), pl.col("fraud")
    own = table.select("fraud", "labelled_at", "datetime").with_row_index("row").drop_nulls()
    first = stated.group_by("row").agg(moment.min().alias("first"))
    outrun = (moment == pl.col("datetime") + pl.duration(days=delay_days)) & (moment >= pl.col("first"))
    own = own.join(first, on="row", how="left", maintain_order="left").filter(~outrun.fill_null(False))
    said = pl.concat([own.select(stated.columns), stated])
    if assume_genuine:
        silent = _silent(table, said, delay_days)
        table = table.with_columns(silent["never"].alias(ASSUMED))
        said = pl.concat([said, silent.filter("silent").select(stated.columns)])
    both = said.sort("row", "labelled_at", maintain_order=True)
    both = both.filter(row.ne_missing(row.shift(-1)) | moment.ne_missing(moment.shift(-1)))  # the file's, at one moment
    both = both.filter(row.ne_missing(row.shift()) | fraud.ne_missing(fraud.shift()))
    is_last = row.ne_missing(row.shift(-1))
    last, before = both.filter(is_last), both.filter(~is_last)
    result = table.drop("fraud", "labelled_at").with_row_index("row")
    result = result.join(last, on="row", how="left", maintain_order="left")
    if before.height:
        lists = before.group_by("row", maintain_order=True).agg(pl.struct("fraud", "labelled_at").alias(EARLIER))
        result = result.join(lists, on="row", how="left", maintain_order="left")
    names = [name for name in (*table.columns, EARLIER) if name in result.columns]
    return result.select(names)


def _silent(table: pl.DataFrame, said: pl.DataFrame, delay_days: int) -> pl.DataFrame:
    """Return a statement for each row, that it is genuine `delay_days` after it.

    With `silent`, whether nothing was said of it by then, and `never`, whether nothing ever was.
    """
    first = said.group_by("row").agg(pl.col("labelled_at").min().alias("first"))
    rows = table.select("datetime").with_row_index("row").join(first, on="row", how="left", maintain_order="left")
    moment = pl.col("datetime") + pl.duration(days=delay_days)
    return rows.select(
        "row",
        pl.lit(0, pl.Int8).alias("fraud"),
        moment.alias("labelled_at"),
        (pl.col("first").is_null() | (pl.col("first") > moment)).alias("silent"),
        pl.col("first").is_null().alias("never"),
    )


def us(moment: datetime) -> int:
    """Return the microseconds since 1970."""
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
