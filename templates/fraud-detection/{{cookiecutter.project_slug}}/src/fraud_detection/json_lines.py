"""JSON lines as columns: one object a line, as streams of transactions are written."""

from __future__ import annotations

import io
import json
from collections.abc import Collection

import polars as pl

from paceline.quarantine import Quarantine

FIRST_LINES = 1000  # tell the types of the columns; to ask every line takes longer than to read them
NOT_JSON = "line is no JSON object"


def parse(raw: bytes, source: str, wanted: Collection[str], quarantine: Quarantine) -> tuple[pl.DataFrame, list[int]]:
    r"""Return the columns of the objects in `raw`, and the line of each, from 1 on; blank lines are none.

    Columns have the types of their first values. Where a column has values of several types, or a line is no object,
    all are text, and the lines that are no objects go to `quarantine` and count as read.

    Args:
        raw: the content of a file.
        source: its name.
        wanted: the columns to find, whichever line is the first to have them; of others, those that the first lines
            have are returned too.
        quarantine: receives the lines that are no objects.

    >>> parse(b'{"a": 1}\n\n{"a": 2, "b": "x"}', "t.jsonl", ["a", "b", "c"], Quarantine())[0].to_dicts()
    [{'a': 1, 'b': None}, {'a': 2, 'b': 'x'}]
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    lines = raw.split(b"\n")
    numbers = [number for number, line in enumerate(lines, start=1) if line and not line.isspace()]
    if not numbers:
        return pl.DataFrame(), numbers
    try:
        first = io.BytesIO(b"\n".join(lines[number - 1] for number in numbers[:FIRST_LINES]))
        schema = dict(pl.read_ndjson(first, infer_schema_length=None).schema)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return _parse_each(lines, source, quarantine)
    late = [name for name in wanted if name not in schema]
    as_text = dict.fromkeys([*schema, *late], pl.String())
    for types in (schema | dict.fromkeys(late, pl.String()), as_text):
        try:
            frame = pl.read_ndjson(io.BytesIO(raw), schema=types)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            continue
        if frame.height == len(numbers):
            return frame.drop(name for name in late if frame[name].null_count() == frame.height), numbers
    return _parse_each(lines, source, quarantine)


def _parse_each(lines: list[bytes], source: str, quarantine: Quarantine) -> tuple[pl.DataFrame, list[int]]:
    found: list[dict[str, str | None]] = []
    numbers, bad = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            item = None
        if isinstance(item, dict):
            found.append({name: None if value is None else _text(value) for name, value in item.items()})
            numbers.append(number)
        else:
            bad.append((source, f"line {number}", line.decode("utf-8", "replace")))
    quarantine.count(read=len(bad))
    quarantine.add_many(NOT_JSON, bad)
    columns = dict.fromkeys(name for item in found for name in item)
    frame = pl.DataFrame({name: pl.Series([item.get(name) for item in found], dtype=pl.String) for name in columns})
    return frame, numbers


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
