"""Published data sets in their own files: where each finds the table's columns, and which of the others are features.

A column named `extra_...` becomes a feature (see `extras`). Where a format has no customer or no terminal, the table
lacks the column and the features over it are left out, not faked. What would give the answer away, or describes a
person rather than a payment, is left out too: each function says what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from fraud_detection import files, values
from fraud_detection.config import Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

EXTRA = "extra_"
MONTH_DAYS = 30  # of a format that counts months
EARTH_KM = 6371.0
IDENTITY_NUMBERS = [f"id_{number:02}" for number in (*range(1, 12), 13, 14, *range(17, 23), 24, 25, 26, 32)]
IDENTITY_TEXTS = [f"id_{number:02}" for number in (12, 15, 16, 23, *range(27, 32), *range(33, 39))]
IDENTITY_TEXTS += ["DeviceType", "DeviceInfo"]


@dataclass(frozen=True)
class Format:
    """A file's layout.

    Attributes:
        columns: that must be there, as standard or extra name to name in the file.
        optional: those that may, likewise.
        numbers: the extra names among both that hold numbers.
        categories: those that hold texts.
        moment: what the column of time holds, as the quarantine says it.
        clock: whether hours and weekdays mean something.
        period_days: how long the time that a moment stands for is.
        single: whether it is one file; its rows are then numbered, as they have no id.
    """

    columns: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    moment: str = "ISO 8601 date and time"
    clock: bool = True
    period_days: int = 1
    single: bool = False


def of(source: str) -> Format | None:
    """Return the layout of a published data set, None for `synthetic`, `handbook` and `table`.

    >>> of("ulb").columns["amount"]
    'Amount'
    """
    match source:
        case "ulb":
            return ulb()
        case "ieee-cis":
            return ieee_cis()
        case "paysim":
            return paysim()
        case "sparkov":
            return sparkov()
        case "baf":
            return baf()
    return None


def has_parties(source: str) -> bool:
    """Return whether the data name a customer or a terminal, over whose past windows can run.

    >>> has_parties("handbook"), has_parties("ulb")
    (True, False)
    """
    return source not in ("ulb", "baf")


def ulb() -> Format:
    """Credit cards of ULB's Machine Learning Group, `creditcard.csv`: two days, 28 principal components, no parties."""
    extra = _extra(f"V{number}" for number in range(1, 29))
    columns = {"datetime": "Time", "amount": "Amount", "fraud": "Class", **extra}
    return Format(columns, numbers=tuple(extra), moment="number of seconds", clock=False, single=True)


def ieee_cis() -> Format:
    """IEEE-CIS (Vesta), `train_transaction.csv` with `train_identity.csv` beside it; `test_...` for prediction.

    The customer is reconstructed as published winning solutions did it (first place, "FraudSquad"): `card1`, `addr1`
    and the day the account began, which is the transaction's day less `D1`. It serves the windows alone: neither the id
    nor its parts `card1` and `addr1` are features. There is no terminal.
    """
    numbers = [*(f"card{number}" for number in (2, 3, 5)), "addr2", "dist1", "dist2"]
    numbers += [*(f"C{number}" for number in range(1, 15)), *(f"D{number}" for number in range(1, 16))]
    texts = [
        "ProductCD",
        "card4",
        "card6",
        "P_emaildomain",
        "R_emaildomain",
        *(f"M{number}" for number in range(1, 10)),
    ]
    optional = _extra(f"V{number}" for number in range(1, 340))  # often cut down before use
    return Format(
        {
            "transaction_id": "TransactionID",
            "datetime": "TransactionDT",
            "amount": "TransactionAmt",
            "fraud": "isFraud",
            "card1": "card1",
            "addr1": "addr1",
            **_extra(numbers),
            **_extra(texts),
        },
        optional,
        numbers=(*_extra([*numbers, *IDENTITY_NUMBERS]), *optional),
        categories=tuple(_extra([*texts, *IDENTITY_TEXTS])),
        moment="number of seconds",
    )


def paysim() -> Format:
    """PaySim, mobile money: a month in hours; the account that gives is the customer, the one that gets the terminal.

    Frauds were cancelled, so the balances give them away, and its authors say not to use them; `isFlaggedFraud` is a
    rule's answer. None of them is a feature.
    """
    columns = {
        "datetime": "step",
        "customer_id": "nameOrig",
        "terminal_id": "nameDest",
        "amount": "amount",
        "fraud": "isFraud",
        "extra_type": "type",
    }
    return Format(columns, categories=("extra_type",), moment="number of hours", single=True)


def sparkov() -> Format:
    """Sparkov, simulated cards: `fraudTrain.csv` and `fraudTest.csv`, or a folder of both.

    Name, gender, birthday, job and address of the card holder are not features; the way to the merchant is.
    `unix_time` is left unread, for it is seven years behind the date.
    """
    columns = {
        "transaction_id": "trans_num",
        "datetime": "trans_date_trans_time",
        "customer_id": "cc_num",
        "terminal_id": "merchant",
        "amount": "amt",
        "fraud": "is_fraud",
        "extra_category": "category",
        "extra_city_pop": "city_pop",
        "lat": "lat",
        "long": "long",
        "merch_lat": "merch_lat",
        "merch_long": "merch_long",
    }
    return Format(columns, numbers=("extra_city_pop", "extra_distance_km"), categories=("extra_category",))


def baf() -> Format:
    """Feedzai's Bank Account Fraud: applications by month, without parties; the amount is the credit limit applied for.

    Months count as 30 days, so windows are multiples of 30. The applicant's age, the set's protected attribute, is not
    a feature. A missing number is -1, as published, and stays so.
    """
    texts = ["payment_type", "employment_status", "housing_status", "source", "device_os"]
    numbers = [
        "income",
        "name_email_similarity",
        "prev_address_months_count",
        "current_address_months_count",
        "days_since_request",
        "intended_balcon_amount",
        "zip_count_4w",
        "velocity_6h",
        "velocity_24h",
        "velocity_4w",
        "bank_branch_count_8w",
        "date_of_birth_distinct_emails_4w",
        "credit_risk_score",
        "email_is_free",
        "phone_home_valid",
        "phone_mobile_valid",
        "bank_months_count",
        "has_other_cards",
        "foreign_request",
        "session_length_in_minutes",
        "keep_alive_session",
        "device_distinct_emails_8w",
        "device_fraud_count",
    ]
    columns = {"datetime": "month", "amount": "proposed_credit_limit", "fraud": "fraud_bool"}
    return Format(
        {**columns, **_extra(numbers), **_extra(texts)},
        numbers=tuple(_extra(numbers)),
        categories=tuple(_extra(texts)),
        moment="number of a month",
        clock=False,
        period_days=MONTH_DAYS,
        single=True,
    )


def find(path: Path, source: str, *, labelled: bool) -> list[Path]:
    """Return the data set's files at `path`, as `files.find` does, less what does not belong to the table.

    Raises:
        PacelineError: a format of one file has several there, or IEEE-CIS no file of transactions.
    """
    setting = "data.path" if labelled else "INPUT"
    found = files.find(path, setting=setting)
    if source == "ieee-cis" and path.is_dir():
        name = f"{'train' if labelled else 'test'}_transaction"
        found = [file for file in found if file.stem == name]
        if not found:
            raise PacelineError(f"There is no {name}.csv in '{path}'.", "Name its folder, or the file itself.")
    layout = of(source)
    if layout is not None and (layout.single or source == "ieee-cis") and len(found) > 1:
        raise PacelineError(f"'{path}' holds {len(found)} files, and {source} is one.", f"Name one of them: {setting}.")
    return found


def standard(raw: pl.DataFrame, file: Path, config: Data, quarantine: Quarantine, *, labelled: bool) -> pl.DataFrame:
    """Return what `files.read` gave with the table's columns filled in, as many rows in the same order.

    Args:
        raw: the columns of the format.
        file: where they are from.
        config: `source`, `start_date` where the format counts from its start.
        quarantine: counts what is read beside the file, and receives what is not usable of it.
        labelled: whether rows without an id are numbered for good; those to predict are named by their file.
    """
    match config.source:
        case "ulb":
            raw = raw.with_columns(_moments(raw["datetime"], config, timedelta(seconds=1)))
        case "ieee-cis":
            raw = _with_client(_with_identity(raw, file, quarantine), config)
        case "paysim":
            raw = raw.with_columns(_moments(raw["datetime"], config, timedelta(hours=1), first=1))
        case "sparkov":
            raw = raw.with_columns(_distance_km(raw)).drop("lat", "long", "merch_lat", "merch_long")
        case "baf":
            _check_months(config)
            raw = raw.with_columns(_moments(raw["datetime"], config, timedelta(days=MONTH_DAYS)))
    if "transaction_id" not in raw.columns:
        row = pl.col(files.ROW)
        raw = raw.with_columns(
            (row if labelled else pl.format("{}-{}", pl.lit(file.name), row)).alias("transaction_id")
        )
    return raw


def _extra(names: object) -> dict[str, str]:
    return {f"{EXTRA}{name}": str(name) for name in names}  # type: ignore[attr-defined]


def _moments(counted: pl.Series, config: Data, unit: timedelta, *, first: int = 0) -> pl.Series:
    """Return the start date plus so many units; null where it is no number."""
    number = values.numbers(counted).cast(pl.Float64)
    usable = number.is_finite() & number.is_between(0, timedelta(days=20_000) / unit)
    since = (number - first).set(~usable.fill_null(False), None) * unit.total_seconds()
    start = datetime.fromisoformat(config.start_date)
    moment = pl.lit(start).cast(pl.Datetime("us")) + (since * 1e6).round().cast(pl.Int64).cast(pl.Duration("us"))
    return pl.select(moment.alias(counted.name)).to_series()


def _with_identity(raw: pl.DataFrame, file: Path, quarantine: Quarantine) -> pl.DataFrame:
    """Return the transactions with their identity: device, browser, network. Most have none; a file need not be."""
    wanted = _extra([*IDENTITY_NUMBERS, *IDENTITY_TEXTS])
    beside = file.with_name(file.name.replace("transaction", "identity"))
    if beside == file or not beside.is_file():
        return raw.with_columns(pl.lit(None, pl.String).alias(name) for name in wanted)
    key = {"transaction_id": "TransactionID"}
    hyphens = {name: column.replace("_", "-", 1) for name, column in wanted.items() if column.startswith("id_")}
    identity = files.read(beside, key, wanted, quarantine)
    if not set(hyphens) & set(identity.columns):  # test_identity.csv spells them id-01
        identity = identity.join(files.read(beside, key, hyphens, Quarantine()), on=[files.ROW, "transaction_id"])
    known = identity["transaction_id"].is_first_distinct() & identity["transaction_id"].is_not_null()
    bad = identity.filter(~known).select(files.ROW, "transaction_id").rows()
    quarantine.add_many(
        "identity's TransactionID is missing or repeated",
        ((beside.name, f"row {row}", str(name or "")) for row, name in bad),
    )
    identity = identity.filter(known).drop(files.ROW)
    quarantine.count(kept=identity.height)
    identity, raw = (part.with_columns(pl.col("transaction_id").cast(pl.String)) for part in (identity, raw))
    joined = raw.join(identity, on="transaction_id", how="left", maintain_order="left")
    return joined.with_columns(pl.lit(None, pl.String).alias(name) for name in wanted if name not in joined.columns)


def _with_client(raw: pl.DataFrame, config: Data) -> pl.DataFrame:
    day = values.numbers(raw["datetime"]) // 86_400
    begun = (day - values.numbers(raw["extra_D1"])).alias("begun")
    parts = [part.cast(pl.String).fill_null("none") for part in (raw["card1"], raw["addr1"], begun)]
    client = pl.select(pl.concat_str(parts, separator="_").alias("customer_id")).to_series()
    return raw.with_columns(_moments(raw["datetime"], config, timedelta(seconds=1)), client).drop("card1", "addr1")


def _distance_km(raw: pl.DataFrame) -> pl.Series:
    """Return the great circle between card holder and merchant, by the haversine formula; null where a place lacks."""
    table = raw.select(
        values.numbers(raw[name]).radians().alias(name) for name in ("lat", "long", "merch_lat", "merch_long")
    )
    north, south = pl.col("lat"), pl.col("merch_lat")
    half = ((south - north) / 2).sin() ** 2
    half = half + north.cos() * south.cos() * ((pl.col("merch_long") - pl.col("long")) / 2).sin() ** 2
    return table.select((2 * EARTH_KM * half.sqrt().arcsin()).alias("extra_distance_km")).to_series()


def _check_months(config: Data) -> None:
    for name in ("train_days", "validation_days", "test_days", "label_delay_days"):
        days = getattr(config, name)
        if days % MONTH_DAYS:
            raise PacelineError(
                f"data.{name} is {days:g}, and baf knows months only.",
                f"Set it to a multiple of {MONTH_DAYS}, as configs/baf.toml does.",
            )
