"""JSON lines as columns: one object a line, as streams of transactions are written."""

from __future__ import annotations

import io
import json

import polars as pl

from paceline.quarantine import Quarantine

NOT_JSON = "line is no JSON object"


def parse(raw: bytes, source: str, quarantine: Quarantine) -> tuple[pl.DataFrame, list[int]]:
    r"""Return all columns of the objects in `raw`, and the line of each, from 1 on; blank lines are none.

    Columns have the types of their values. Where a line is no object, or a column has values of several types, all are
    text, and the lines that are no objects go to `quarantine` and count as read.

    >>> parse(b'{"a": 1}\n\n{"a": 2, "b": "x"}', "t.jsonl", Quarantine())[1]
    [1, 3]
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    lines = raw.split(b"\n")
    numbers = [number for number, line in enumerate(lines, start=1) if line.strip()]
    try:
        frame = pl.read_ndjson(io.BytesIO(raw), infer_schema_length=None) if numbers else pl.DataFrame()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return _parse_each(lines, source, quarantine)
    return (frame, numbers) if frame.height == len(numbers) else _parse_each(lines, source, quarantine)


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
