"""CSV, Parquet and JSON-lines files as columns under the standard names, defects and all; `data` judges the values.

A CSV row is a line: where a file holds quotes that do not close, or lines with too few or too many fields, it is read
line by line, so that one bad line cannot swallow its neighbours.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection, Mapping
from pathlib import Path

import polars as pl
from polars import selectors

from fraud_detection import json_lines
from fraud_detection.config import Columns
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

ROW = "_row"  # the line of a text file, the row of a Parquet file; both from 1 on
SUFFIXES = (".csv", ".parquet", ".jsonl")
WORDS = selectors.string() | selectors.categorical() | selectors.enum()
MALFORMED = "line does not have the header's fields"
ENCODING = "text is not UTF-8 or holds a NUL"
DAMAGED = "file cannot be read"


class DamagedFile(Exception):  # noqa: N818 -- caught by who reads several files, which decides what it means
    """A file that is empty, cut off or no table at all; the message says which."""


def find(path: Path, *, setting: str = "data.path") -> list[Path]:
    """Return the CSV, Parquet and JSON-lines files at `path`, a file or a folder searched to its depth, by name.

    Args:
        path: the file or the folder.
        setting: the key of the configuration that names it.

    Raises:
        PacelineError: there is nothing, or nothing of these formats.
    """
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise PacelineError(f"{setting} = '{path}' is no .csv, .parquet or .jsonl file.", _other_format([path]))
        return [path]
    if not path.is_dir():
        raise PacelineError(
            f"{setting} = '{path}' does not exist.", "Name a CSV, Parquet or JSON-lines file, or a folder of them."
        )
    inside = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith((".", "_"))]
    files = [file for file in inside if file.suffix.lower() in SUFFIXES]
    if not files:
        raise PacelineError(f"There is no .csv, .parquet or .jsonl file in '{path}'.", _other_format(inside))
    return files


def read(
    path: Path,
    required: Mapping[str, str],
    optional: Mapping[str, str],
    quarantine: Quarantine,
    numbers: Collection[str] = (),
) -> pl.DataFrame:
    """Return the wanted columns of a file under their standard names, with the row's place in the column `ROW`.

    Columns of a CSV are text, those of the others have their own types; text is trimmed, and null where it is empty.
    Lines with another number of fields than the header, lines that are no JSON, and lines whose wanted text is damaged,
    go to `quarantine`.
    Columns of `numbers` are Float32 where a file has nothing else in any of them, which saves most of the memory of
    wide files.

    Args:
        path: a file that `find` gave.
        required: standard name to name in the file.
        optional: the same, for columns that are taken where they are there.
        quarantine: counts every row as read.
        numbers: standard names.

    Raises:
        DamagedFile: the file is empty, cut off or no table.
        PacelineError: a required column is missing; the message suggests the nearest name.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_csv(path, required, optional, quarantine, numbers)
    reader = _read_json_lines if suffix == ".jsonl" else _read_parquet
    return reader(path, required, optional, quarantine).with_columns(_trimmed(WORDS.cast(pl.String)))


def place(source: str, row: int) -> str:
    """Return where in the file `source` a row stands, for the quarantine.

    >>> place("a.csv", 2), place("a.parquet", 2)
    ('line 2', 'row 2')
    """
    return f"{'line' if source.lower().endswith('.csv') else 'row'} {row}"


def refuse_damaged(
    damaged: Mapping[Path, str],
    found: list[Path],
    max_share: float,
    quarantine: Quarantine,
    *,
    setting: str = "data.path",
) -> None:
    """Quarantine damaged files as a whole, each as one item (its rows cannot be counted).

    Args:
        damaged: what is wrong, by file.
        found: all files.
        max_share: of the bytes that may be damaged.
        quarantine: receives the damaged files.
        setting: the key of the configuration that names the files.

    Raises:
        PacelineError: all are damaged, or more than `max_share` of the bytes.
    """
    if not damaged:
        return
    file, defect = next(iter(damaged.items()))
    if len(damaged) == len(found):
        raise PacelineError(
            f"'{file}' cannot be read: {defect}.", f"Get the file again, or name another one in {setting}."
        )
    for path, text in damaged.items():
        quarantine.count(read=1)
        quarantine.add(path.name, "", DAMAGED, text)
    share = sum(path.stat().st_size for path in damaged) / max(1, sum(path.stat().st_size for path in found))
    if share > max_share:
        raise PacelineError(
            f"{len(damaged)} of {len(found)} files cannot be read ({share:.1%} of the bytes, {max_share:.1%} are "
            f"allowed), for example '{file}': {defect}.",
            "Get them again, take them out of the folder, or raise data.max_quarantined_share.",
        )


def _read_parquet(
    path: Path, required: Mapping[str, str], optional: Mapping[str, str], quarantine: Quarantine
) -> pl.DataFrame:
    if path.stat().st_size == 0:
        raise DamagedFile("it is empty")
    try:
        wanted = _wanted(path, list(pl.read_parquet_schema(path)), required, optional)
        # Renamed after reading: two standard columns may be one column of the file.
        raw = pl.read_parquet(path, columns=list(dict.fromkeys(wanted.values())), glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise DamagedFile(str(error).partition("\n")[0] or type(error).__name__) from None
    quarantine.count(read=raw.height)
    row = pl.int_range(1, raw.height + 1, dtype=pl.Int64, eager=True).alias(ROW)
    return raw.select(**{name: pl.col(column) for name, column in wanted.items()}).with_columns(row)


def _read_csv(
    path: Path,
    required: Mapping[str, str],
    optional: Mapping[str, str],
    quarantine: Quarantine,
    numbers: Collection[str],
) -> pl.DataFrame:
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    if not raw.strip():
        raise DamagedFile("it is empty")
    if raw[:4096].count(0) > len(raw[:4096]) // 8:  # one here and there is a matter of its line
        raise DamagedFile("it is no UTF-8 text (UTF-16 or binary)")
    head = raw.partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
    separator = max(",;\t|", key=head.count)
    try:
        header = [name.strip() for name in next(csv.reader([head], delimiter=separator))]
    except (csv.Error, StopIteration):
        raise DamagedFile("its first line is no header") from None
    wanted = _wanted(path, header, required, optional)
    utf8 = b"\0" not in raw and _is_utf8(raw)
    numeric = {header.index(wanted[name]) for name in numbers if name in wanted}
    frame = _parse_whole(raw, header, separator, numeric, utf8=utf8) if numeric else None
    if frame is None:
        frame = _parse_whole(raw, header, separator, set(), utf8=utf8)
    if frame is None:
        frame = _parse_lines(raw, header, separator, path, quarantine)
    text = frame.select(
        ROW,
        **{
            name: column if frame.schema[column] == pl.Float32 else _trimmed(pl.col(column))
            for name, column in ((name, f"column_{header.index(column)}") for name, column in wanted.items())
        },
    )
    quarantine.count(read=text.height)
    if utf8:
        return text
    broken = text.select(
        pl.any_horizontal(pl.col(pl.String).str.contains_any(["\ufffd", "\0"]).fill_null(False))
    ).to_series()
    bad = text.filter(broken)
    quarantine.add_many(
        ENCODING,
        ((path.name, f"line {row[0]}", ",".join(value or "" for value in row[1:])) for row in bad.iter_rows()),
    )
    return text.filter(~broken)


def _read_json_lines(
    path: Path, required: Mapping[str, str], optional: Mapping[str, str], quarantine: Quarantine
) -> pl.DataFrame:
    raw = path.read_bytes()
    names = dict.fromkeys([*required.values(), *optional.values()])
    frame, numbers = json_lines.parse(raw, path.name, names, quarantine)
    if not numbers:
        raise DamagedFile("none of its lines is a JSON object" if raw.strip() else "it is empty")
    wanted = _wanted(path, frame.columns, required, optional)
    quarantine.count(read=frame.height)
    row = pl.Series(ROW, numbers, dtype=pl.Int64)
    return frame.select(**{name: pl.col(column) for name, column in wanted.items()}).with_columns(row)


def _parse_whole(
    raw: bytes, header: list[str], separator: str, numeric: set[int], *, utf8: bool
) -> pl.DataFrame | None:
    """Return all columns, `column_0` and so on, as text but for those of numbers; None where it may be read wrong."""
    try:
        frame = pl.read_csv(
            io.BytesIO(raw),
            separator=separator,
            has_header=False,
            skip_lines=1,
            schema={f"column_{index}": pl.Float32 if index in numeric else pl.String for index in range(len(header))},
            encoding="utf8" if utf8 else "utf8-lossy",
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        return None
    lines = raw.count(b"\n")  # without the header
    if frame.height != lines:
        return None
    if b'"' in raw:
        short = frame[frame.columns[-1]].null_count() > 0  # an empty last field, or one that is not there
    else:
        short = raw.count(separator.encode()) != (lines + 1) * (len(header) - 1)
    return None if short else frame.with_columns(pl.int_range(2, lines + 2, dtype=pl.Int64, eager=True).alias(ROW))


def _parse_lines(raw: bytes, header: list[str], separator: str, path: Path, quarantine: Quarantine) -> pl.DataFrame:
    """Return the same as `_parse_whole`, each line taken by itself; those that do not fit go to `quarantine`."""
    rows, numbers, bad = [], [], []
    for number, line in enumerate(raw.decode("utf-8", "replace").split("\n")[1:], start=2):
        if not line.strip():
            continue  # a blank line is no transaction
        try:
            (fields,) = csv.reader([line.rstrip("\r")], delimiter=separator, strict=True)
        except (csv.Error, ValueError):
            fields = []
        if len(fields) == len(header):
            rows.append(fields)
            numbers.append(number)
        else:
            bad.append((path.name, f"line {number}", line))
    quarantine.count(read=len(bad))
    quarantine.add_many(MALFORMED, bad)
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    frame = pl.DataFrame(
        {f"column_{index}": pl.Series(values, dtype=pl.String) for index, values in enumerate(columns)}
    )
    return frame.with_columns(pl.Series(ROW, numbers, dtype=pl.Int64))


def _wanted(path: Path, header: list[str], required: Mapping[str, str], optional: Mapping[str, str]) -> dict[str, str]:
    for name, column in required.items():
        if column not in header:
            near = difflib.get_close_matches(column.lower(), [other.lower() for other in header], n=1, cutoff=0.5)
            nearest = next((other for other in header if near and other.lower() == near[0]), None)
            meant = f"Did you mean '{nearest}'?" if nearest else f"It has {', '.join(header[:20])}."
            raise PacelineError(
                f"'{path.name}' has no column '{column}' for {name}.",
                f"{meant} {_remedy(name)}",
            )
        if header.count(column) > 1:
            raise PacelineError(f"'{path.name}' has {header.count(column)} columns '{column}'.", "Rename all but one.")
    return {**required, **{name: column for name, column in optional.items() if column in header}}


def _remedy(name: str) -> str:
    if name in Columns.model_fields:
        return f"Set data.columns.{name} with data.source = 'table'."
    return "The layout is the published one; data.extra_numbers and data.extra_categories name columns of a 'table'."


def _trimmed(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars().replace("", None)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _other_format(files: list[Path]) -> str:
    if any(file.suffix.lower() in (".pkl", ".pickle") for file in files):
        return (
            "A pickle can run code when it is opened, so none is read here: where you trust its origin, convert it "
            "once with pandas.read_pickle(file).to_parquet(...)."
        )
    return "Convert it to CSV, Parquet or JSON lines (.jsonl)."
