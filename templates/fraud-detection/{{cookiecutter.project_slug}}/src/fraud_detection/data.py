"""Real formats to one table of transactions; what cannot be used goes to the quarantine, with its place and why.

The table has the columns `transaction_id, datetime, customer_id, terminal_id, amount, fraud, labelled_at` (a format
without customers or terminals lacks that id), where the data has them `device_id, mcc, channel, country, portfolio`,
and every further feature as `extra_...`: numbers are Float32, categories text, both null where missing. Where labels
have changed, `earlier_labels` says what they were (see `labels`, which also describes the files that labels may come
in). Times are naive and in UTC; one without a zone is of `data.time_zone`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from fraud_detection import files, formats, labels, scenarios, synthetic, values
from fraud_detection.config import Columns, Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

IDS = ("transaction_id", "customer_id", "terminal_id")
CODED = (*IDS, "device_id")  # as whole numbers where all are written as such
CONTEXT = ("mcc", "channel", "country", "portfolio")
SAME = ("transaction_id", "datetime", "amount")  # by which a transaction is known again in another reading
TABLE = (*IDS[:1], "datetime", *IDS[1:], "amount", "fraud", "labelled_at")
MAX_AMOUNT = 1e9
QUANTILES = {"min": 0.0, "p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99, "max": 1.0}
EARLIEST, LATEST = datetime(1970, 1, 1), datetime(2100, 1, 1)
# What the Handbook calls its columns; `labelled_at` and the context are only in files that `synthetic.write` made.
HANDBOOK = Columns(
    transaction_id="TRANSACTION_ID",
    datetime="TX_DATETIME",
    customer_id="CUSTOMER_ID",
    terminal_id="TERMINAL_ID",
    amount="TX_AMOUNT",
    fraud="TX_FRAUD",
    labelled_at="LABELLED_AT",
    device_id="DEVICE_ID",
    mcc="MCC",
    channel="CHANNEL",
    country="COUNTRY",
    portfolio="PORTFOLIO",
)


def load(config: Data, quarantine: Quarantine) -> pl.DataFrame:
    """Return the configured transactions in the order of time, ties by `transaction_id`.

    An empty label means that there is none yet: `fraud` and `labelled_at` are null. Where the data does not tell when a
    label arrived, it is taken to arrive `label_delay_days` after the transaction. Labels that come in files of their
    own (`labels_path`) may change later: see `labels`.

    Args:
        config: `source, path, labels_path, columns, label_delay_days, max_quarantined_share`, and what `synthetic`
            needs.
        quarantine: counts what is read and kept, and receives what is not.

    Raises:
        PacelineError: there is nothing to read, a column is missing, a single file is damaged, or more than
            `max_quarantined_share` of the rows (or of a folder's bytes) cannot be used.
    """
    if config.source == "synthetic":
        table = synthetic.generate(config)
        quarantine.count(read=table.height, kept=table.height)
    else:
        table = _load_files(config, quarantine, [folder_of(config.path)], labelled=True)
    if config.labels_path:
        table = labels.load(config, table, quarantine)
        quarantine.refuse_above(config.max_quarantined_share, setting="data.max_quarantined_share")
    return table


def load_unlabelled(paths: Sequence[Path], config: Data, quarantine: Quarantine) -> pl.DataFrame:
    """Return new transactions, in the layout of the configured source, with null labels; see `load`.

    A file of the synthetic source has the Handbook's layout. Labels in the files are not read. A `transaction_id` that
    is there twice, in one file or in two, is quarantined the second time.
    """
    return _load_files(config, quarantine, paths, labelled=False)


def append(history: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Return `history` and then `new`, so that `features.compute` sees both; the last `len(new)` rows are the new ones.

    A row of the history that is among the new ones is left out: one of the same `transaction_id`, time and amount. One
    whose id alone is (see `reused`) is another transaction and stays. Ids of different types become text.
    """
    for name in ("device_id", labels.EARLIER):  # as for payments in a shop; as for labels that never changed
        if name in history.columns and name not in new.columns:
            new = new.with_columns(pl.lit(None, history[name].dtype).alias(name))
    columns = [name for name in history.columns if name in new.columns]
    history, new = history.select(columns), new.select(columns)
    for name in (name for name in CODED if name in columns):
        if history[name].dtype != new[name].dtype:
            history, new = (table.with_columns(pl.col(name).cast(pl.String)) for table in (history, new))
    key = _identity()
    kept = history.join(new.select(key), left_on=key, right_on=SAME, how="anti", maintain_order="left")
    return pl.concat([kept, new])


def reused(history: pl.DataFrame, new: pl.DataFrame) -> int:
    """Return how many ids of `new` are in `history` for a transaction of another time or amount."""
    old, fresh = (table.select(_identity()) for table in (history, new))
    if old["transaction_id"].dtype != fresh["transaction_id"].dtype:
        old, fresh = (table.with_columns(pl.col("transaction_id").cast(pl.String)) for table in (old, fresh))
    others = old.join(fresh, on=SAME, how="anti")
    return fresh.join(others, on="transaction_id", how="semi").height


def _identity() -> list[pl.Expr]:
    """Return `SAME`, the amount as narrow as a file may hold it."""
    return [pl.col(name).cast(pl.Float32) if name == "amount" else pl.col(name) for name in SAME]


def audit(table: pl.DataFrame, quarantine: Quarantine) -> dict[str, Any]:
    """Return what the data holds: counts, classes, dates, amounts, delays of labels, what is quarantined.

    Args:
        table: as `load` returns it, with a row at least.
        quarantine: the one that `load` filled.
    """
    frauds = table.filter(pl.col("fraud") == 1)
    labelled = table["fraud"].count()
    delay = (frauds["labelled_at"] - frauds["datetime"]).dt.total_seconds() / scenarios.DAY_S
    per_day = table.group_by(pl.col("datetime").dt.date()).len()["len"]
    return {
        "transactions": table.height,
        "classes": {"genuine": labelled - frauds.height, "fraud": frauds.height, "unlabelled": table.height - labelled},
        "prevalence": frauds.height / labelled if labelled else None,
        "first": table["datetime"].min(),
        "last": table["datetime"].max(),
        "days_with_transactions": len(per_day),
        "transactions_per_day": _quantiles(per_day),
        "customers": table["customer_id"].n_unique() if "customer_id" in table.columns else None,
        "terminals": table["terminal_id"].n_unique() if "terminal_id" in table.columns else None,
        "amount": _quantiles(table["amount"]),
        "amount_of_frauds": _quantiles(frauds["amount"]),
        "fraud_label_delay_days": _quantiles(delay),
        "labels_changed": table[labels.EARLIER].count() if labels.EARLIER in table.columns else 0,
        "same_card_same_moment": (
            int(table.select(pl.struct("customer_id", "datetime").is_duplicated().sum()).item())
            if "customer_id" in table.columns
            else None
        ),
        **({"assumed_genuine": int(table[labels.ASSUMED].sum())} if labels.ASSUMED in table.columns else {}),
        **({"label_noise": _label_noise(table)} if "true_fraud" in table.columns else {}),
        "further_features": [name.removeprefix(formats.EXTRA) for name in _extras(table)],
        "quarantine": quarantine.state(),
    }


def each_file(
    config: Data, quarantine: Quarantine, path: Path, *, labelled: bool
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the name and the usable rows of every file below `path`, in the order of their names.

    Raises:
        PacelineError: as `load`, for what shows in a file; of damaged files when all have been read.
    """
    layout = formats.of(config.source) or formats.Format(
        {}, numbers=_prefixed(config.extra_numbers), categories=_prefixed(config.extra_categories)
    )
    required, optional = _names(config, layout, labelled=labelled)
    found = formats.find(path, config.source, labelled=labelled)
    damaged: dict[Path, str] = {}
    for file in found:
        try:
            raw = files.read(file, required, optional, quarantine, layout.numbers)
            usual = formats.standard(raw, file, config, quarantine, labelled=labelled)
        except files.DamagedFile as error:
            damaged[file] = str(error)
        else:
            yield file.name, _checked(raw, usual, file.name, config, layout, quarantine)
    setting = "data.path" if labelled else "INPUT"
    files.refuse_damaged(damaged, found, config.max_quarantined_share, quarantine, setting=setting)


def accept(rows: int, config: Data, quarantine: Quarantine) -> None:
    """Count the `rows` kept; refuse them where there is none, or where too much else is quarantined."""
    quarantine.count(kept=rows)
    quarantine.refuse_above(config.max_quarantined_share, setting="data.max_quarantined_share")
    if not rows:
        raise PacelineError(
            f"There is no transaction in '{config.path}'.", "Name a file with at least a row below its header."
        )


def _load_files(config: Data, quarantine: Quarantine, paths: Sequence[Path], *, labelled: bool) -> pl.DataFrame:
    read = [file for path in paths for file in each_file(config, quarantine, path, labelled=labelled)]
    table = _without_duplicates(joined([table for _, table in read]), [name for name, _ in read], quarantine)
    accept(table.height, config.model_copy(update={"path": "', '".join(map(str, paths))}), quarantine)
    return table.sort("datetime", "transaction_id")


def folder_of(text: str) -> Path:
    """Return the file or folder that `data.path` names."""
    if not text:
        raise PacelineError(
            "data.path is empty.", "Name a CSV or Parquet file or a folder of them, or set data.source = 'synthetic'."
        )
    return Path(text).expanduser()


def _names(config: Data, layout: formats.Format, *, labelled: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Return the columns that must be there and those that may, standard name to name in the file."""
    is_table = config.source == "table"
    mapping = dict(layout.columns)
    if not mapping:
        columns = (config.columns if is_table else HANDBOOK).model_dump()
        mapping = {name: column for name, column in columns.items() if column}
    if is_table:
        mapping |= {name: name.removeprefix(formats.EXTRA) for name in (*layout.numbers, *layout.categories)}
    if not labelled:
        mapping.pop("fraud", None), mapping.pop("labelled_at", None)
    may_lack = () if is_table or layout.columns else ("labelled_at", "device_id", *CONTEXT)
    required = {name: column for name, column in mapping.items() if name not in may_lack}
    found = {name: column for name, column in mapping.items() if name in may_lack}
    return required, {**found, **layout.optional}


def _prefixed(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{formats.EXTRA}{name}" for name in names)


def _extras(table: pl.DataFrame) -> list[str]:
    return [name for name in table.columns if name.startswith(formats.EXTRA)]


def _label_noise(table: pl.DataFrame) -> dict[str, int]:
    """Return where the labels of simulated transactions differ from the truth, which nothing else may look at."""
    fraud, truth = pl.col("fraud"), pl.col("true_fraud")
    never, falsely = (truth == 1) & (fraud == 0), (truth == 0) & (fraud == 1)
    counts = table.select(never_reported=never.sum(), falsely_reported=falsely.sum())
    return {name: int(count) for name, count in counts.row(0, named=True).items()}


def _checked(
    raw: pl.DataFrame,
    usual: pl.DataFrame,
    source: str,
    config: Data,
    layout: formats.Format,
    quarantine: Quarantine,
) -> pl.DataFrame:
    """Return the usable rows of a file with the table's types; the others go to `quarantine`, by their first defect.

    Args:
        raw: as read, to show.
        usual: the same rows with the table's columns, as `formats.standard` gives them.
        source: the file's name.
        config: `label_delay_days` and `time_zone` are used.
        layout: says which of the extra columns hold numbers.
        quarantine: receives what is not usable.
    """
    moment, nowhere = values.moments(usual["datetime"], config.time_zone)
    empty = pl.repeat(None, usual.height, dtype=pl.String, eager=True)
    fraud = values.labels(usual["fraud"] if "fraud" in usual.columns else empty)
    arrival_text = usual["labelled_at"] if "labelled_at" in usual.columns else empty
    arrival, arrives_nowhere = values.moments(arrival_text, config.time_zone)
    given = [name for name in IDS if name in usual.columns]
    numbers = {name: values.numbers(usual[name]) for name in layout.numbers if name in usual.columns}
    table = pl.DataFrame(
        {
            files.ROW: usual[files.ROW],
            **{name: values.ids(usual[name]) for name in given},
            "datetime": moment,
            "amount": values.numbers(usual["amount"]).cast(pl.Float64),
            "fraud": fraud,
            "labelled_at": arrival,
            **({"device_id": values.ids(usual["device_id"])} if "device_id" in usual.columns else {}),
            **{name: values.text(usual[name]) for name in CONTEXT if name in usual.columns},
            **{name: number.fill_nan(None).cast(pl.Float32) for name, number in numbers.items()},
            **{name: values.text(usual[name]) for name in layout.categories if name in usual.columns},
            "_arrival_given": arrival_text.is_not_null(),
            "_nowhere": nowhere | arrives_nowhere,
        }
    )
    label, late = pl.col("fraud"), pl.col("labelled_at")
    defects: Mapping[str, pl.Expr] = {
        **{f"{name} is missing": pl.col(name).is_null() for name in given},
        f"time is skipped or repeated by the clocks of {config.time_zone}": pl.col("_nowhere"),
        f"datetime is no {layout.moment}": pl.col("datetime").is_null(),
        "datetime is before 1970 or after 2099": ~pl.col("datetime").is_between(EARLIEST, LATEST, closed="left"),
        "amount is no number": pl.col("amount").is_null() | ~pl.col("amount").is_finite(),
        "amount is negative": pl.col("amount") < 0,
        "amount is above 1,000,000,000": pl.col("amount") > MAX_AMOUNT,
        "fraud is not 0 or 1": label.is_not_null() & ~label.is_in([0.0, 1.0]),
        "labelled_at is no ISO 8601 date and time": pl.col("_arrival_given") & late.is_null(),
        "labelled_at is before the transaction": late < pl.col("datetime"),
        **{
            f"{name.removeprefix(formats.EXTRA)} is no number": pl.lit(
                (number.is_null() & usual[name].is_not_null()) | number.is_infinite().fill_null(False)
            )
            for name, number in numbers.items()
        },
    }
    reason = pl.coalesce(pl.when(defect).then(pl.lit(text)) for text, defect in defects.items())
    reasons = table.select(reason.alias("reason")).to_series()
    if reasons.null_count() < table.height:
        _list(raw, reasons, source, quarantine)
    labelled_at = pl.when(label.is_not_null()).then(
        late.fill_null(pl.col("datetime") + pl.duration(days=config.label_delay_days))
    )
    further = [name for name in table.columns if name in ("device_id", *CONTEXT) or name.startswith(formats.EXTRA)]
    return table.filter(reasons.is_null()).select(
        *(name for name in TABLE[:5] if name in table.columns),
        label.cast(pl.Int8),
        labelled_at.alias("labelled_at"),
        *further,
        files.ROW,
    )


def _list(raw: pl.DataFrame, reasons: pl.Series, source: str, quarantine: Quarantine) -> None:
    shown = raw.drop(files.ROW).select(pl.all().map_batches(values.text, return_dtype=pl.String))
    bad = pl.DataFrame({"reason": reasons, files.ROW: raw[files.ROW]}).hstack(shown).filter(reasons.is_not_null())
    for (reason,), rows in bad.group_by("reason", maintain_order=True):
        items = ((files.place(source, row[1]), ",".join(value or "" for value in row[2:])) for row in rows.iter_rows())
        quarantine.add_many(str(reason), ((source, place, shown) for place, shown in items))


def joined(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the files' tables one below the other; ids are whole numbers where all are written as such, else text."""
    given = [name for name in CODED if all(name in table.columns for table in tables)]
    for name in given:
        if any(table[name].dtype != pl.Int64 for table in tables):
            tables = [table.with_columns(pl.col(name).cast(pl.String)) for table in tables]
    numbered = [table.with_columns(pl.lit(index, pl.UInt32).alias("_file")) for index, table in enumerate(tables)]
    joined = pl.concat(numbered, how="diagonal")
    for name in given:
        if joined[name].dtype == pl.String and joined[name].str.contains(r"^(0|-?[1-9]\d{0,17})$").all():
            joined = joined.with_columns(pl.col(name).cast(pl.Int64))
    return joined


def _without_duplicates(table: pl.DataFrame, names: list[str], quarantine: Quarantine) -> pl.DataFrame:
    first = table["transaction_id"].is_first_distinct()
    again = table.filter(~first).select("_file", files.ROW, "transaction_id").iter_rows()
    items = ((names[file], files.place(names[file], row), str(repeated)) for file, row, repeated in again)
    quarantine.add_many("transaction_id is repeated", items)
    return table.filter(first).drop("_file", files.ROW)


def _quantiles(values: pl.Series) -> dict[str, float | None]:
    return {name: values.quantile(share, "linear") for name, share in QUANTILES.items()}
