"""Text and types as files have them to what the table holds: ids, numbers, labels, moments in UTC."""

from __future__ import annotations

import polars as pl

from paceline.errors import PacelineError

# Of text, the likeliest first; a time may have a zone, and may lack seconds.
FORMS = (
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d",
)


def ids(values: pl.Series) -> pl.Series:
    """Return whole numbers as Int64 and anything else as text."""
    if values.dtype.is_float():  # whole numbers in a column that once had gaps
        whole = values.is_finite() & (values == values.round()) & (values.abs() < 2**53)
        return values.set(~whole.fill_null(False), None).cast(pl.Int64)
    if values.dtype.is_integer() and values.dtype != pl.UInt64:
        return values.cast(pl.Int64)
    return text(values)


def text(values: pl.Series) -> pl.Series:
    """Return text; that of a file is trimmed already (see `files.read`)."""
    try:
        return values.cast(pl.String, strict=False)
    except pl.exceptions.PolarsError:  # lists, structures
        return pl.Series([str(value) if value is not None else None for value in values.to_list()], dtype=pl.String)


def numbers(values: pl.Series) -> pl.Series:
    """Return Float64, or Float32 where that is what there is; null for what is no number."""
    if values.dtype == pl.Float32:
        return values
    if values.dtype.is_numeric():
        return values.cast(pl.Float64)
    return text(values).cast(pl.Float64, strict=False)


def labels(values: pl.Series) -> pl.Series:
    """Return 0.0, 1.0, null where there is none, and NaN for anything else."""
    if values.dtype == pl.Boolean:
        return values.cast(pl.Float64)
    if values.dtype.is_float():
        return values.fill_nan(None).cast(pl.Float64)
    words = text(values).str.to_lowercase().replace({"true": "1", "false": "0"})
    return pl.select(
        pl.when(words.is_not_null()).then(words.cast(pl.Float64, strict=False).fill_null(float("nan")))
    ).to_series()


def moments(values: pl.Series, time_zone: str) -> tuple[pl.Series, pl.Series]:
    """Return naive UTC to the microsecond, and what was a moment but cannot be placed.

    Null are what is neither a date nor ISO 8601 text, and times without a zone that `time_zone` has twice (as clocks go
    back) or not at all (as they go forward); the second series tells the latter.

    Args:
        values: dates, times with or without a zone, or text.
        time_zone: of times that have none, as the IANA names it.

    Raises:
        PacelineError: there is no such zone.
    """
    if values.dtype == pl.Date:
        return _placed(values.cast(pl.Datetime("us")), time_zone)
    if isinstance(values.dtype, pl.Datetime):
        if values.dtype.time_zone:
            zoned = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None).dt.cast_time_unit("us")
            return zoned, pl.repeat(False, len(values), eager=True)
        return _placed(values.dt.cast_time_unit("us"), time_zone)
    words = text(values).str.replace(" ", "T", literal=True).str.strip_suffix(".000000")
    found = pl.repeat(None, len(words), dtype=pl.Datetime("us"), eager=True)
    nowhere = pl.repeat(False, len(words), eager=True)
    for form in FORMS:
        open_rows = (found.is_null() & ~nowhere & words.is_not_null()).arg_true()
        if not len(open_rows):
            break
        rest = words[open_rows].str.replace(r"\s*UTC$", "Z")
        if form == "%Y-%m-%d":
            read = rest.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        else:
            read = rest.str.to_datetime(form, time_unit="us", strict=False, cache=False)  # few repeat
        if form.endswith("z"):
            read, unplaced = read.dt.replace_time_zone(None), None  # the zone has been turned into UTC
        else:
            read, unplaced = _placed(read, time_zone)
        found = read if len(open_rows) == len(words) else found.scatter(open_rows, read)
        if unplaced is not None and unplaced.any():
            nowhere = nowhere.scatter(open_rows.filter(unplaced), True)
    return found, nowhere


def _placed(naive: pl.Series, time_zone: str) -> tuple[pl.Series, pl.Series]:
    if time_zone == "UTC":
        return naive, pl.repeat(False, len(naive), eager=True)
    try:
        zoned = pl.select(naive.alias("t")).select(
            pl.col("t").dt.replace_time_zone(time_zone, ambiguous="null", non_existent="null")
        )["t"]
    except pl.exceptions.PolarsError:
        raise PacelineError(
            f"data.time_zone = '{time_zone}' is no time zone.", "Use the IANA's name, such as Europe/Brussels."
        ) from None
    utc = zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return utc, naive.is_not_null() & utc.is_null()
