"""The table of labels: which columns hold what, and which rows cannot be used."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medical_imaging.cohort import LESION, Task
from medical_imaging.config import Columns
from paceline.errors import PacelineError

FIELDS = ("file", "patient", "site", "sex", "age", "view", "mask", "split")
PARTS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
MOST_CLASSES = 100  # that are taken from the data without being named: free text is no class
MOSTLY = 0.95  # share of a column's values that are labels, for it to be taken as a class


@dataclass(frozen=True)
class Table:
    """Rows that can be used, and those that cannot.

    Attributes:
        rows: columns `FIELDS`, all text, empty where not given.
        labels: see `Cohort`; one row for each of `rows`.
        classes: the labels' names.
        refused: names of files and why their rows cannot be used.
        lacking: of `FIELDS`, those that no column holds.
    """

    rows: pl.DataFrame
    labels: NDArray[np.float32]
    classes: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    lacking: frozenset[str]


def read(path: Path, setting: str = "data.labels_csv") -> pl.DataFrame:
    """Return a CSV file as text, empty where nothing stands.

    Raises:
        PacelineError: it is missing or no table. The message does not hold its name.
    """
    try:
        return pl.read_csv(path, infer_schema=False).fill_null("")
    except FileNotFoundError:
        raise PacelineError(f"There is no table of labels where {setting} says.", "Correct it or data.path.") from None
    except (OSError, pl.exceptions.PolarsError):
        raise PacelineError(
            f"The table of labels ({setting}) is no CSV in UTF-8 with a header.", "Save it as one."
        ) from None


def of(raw: pl.DataFrame, columns: Columns, wanted: Sequence[str], task: Task) -> Table:
    """Return the rows of `raw` with their labels.

    Args:
        raw: all text.
        columns: what its columns are called.
        wanted: the classes; all that look like some where this is empty.
        task: `multiclass` wants exactly one class a row; `segmentation` needs no class, for the masks tell: without
            one the class is `LESION`, and nothing is known of it yet.

    Raises:
        PacelineError: a column is missing, or there is no class.
    """
    names = {field: getattr(columns, field) for field in FIELDS}
    if names["file"] not in raw.columns:
        raise missing_column(names["file"], raw, "data.columns.file")
    lacking = frozenset(field for field, name in names.items() if name not in raw.columns)
    rows = raw.select(
        (pl.lit("") if field in lacking else pl.col(name).str.strip_chars()).alias(field)
        for field, name in names.items()
    )
    if task == "multiclass" and columns.label in raw.columns:
        labels, classes, reasons = _named(raw[columns.label].str.strip_chars(), wanted)
    else:
        other = set(names.values()) | {columns.label}
        classes = tuple(wanted) or tuple(name for name in raw.columns if name not in other and _is_label(raw[name]))
        if not classes and task == "segmentation":
            labels, classes, reasons = np.full((raw.height, 1), np.nan, np.float32), (LESION,), [""] * raw.height
        elif not classes:
            raise PacelineError(
                "The table of labels has no column that holds 1, 0, -1 (uncertain) or nothing alone.",
                "Name the columns of labels: data.classes.",
            )
        else:
            labels, reasons = _numbers(raw, classes, task)
    _mark(reasons, rows["file"] == "", "the row names no file")
    _mark(reasons, rows["file"].is_duplicated() & ~rows["file"].is_first_distinct(), "an earlier row is of this file")
    if "patient" not in lacking:
        _mark(reasons, rows["patient"] == "", "the row has no patient")
    split = rows["split"].str.to_lowercase()
    rows = rows.with_columns(split=split.replace_strict(PARTS, default=""))
    if "split" not in lacking and (split != "").any():
        _mark(reasons, rows["split"] == "", "the split is none of train, validation and test")
    good = np.array([reason == "" for reason in reasons], bool)
    refused = tuple((str(rows["file"][int(place)]), reasons[place]) for place in np.flatnonzero(~good))
    return Table(rows.filter(pl.Series(good)), labels[good], classes, refused, lacking)


def missing_column(name: str, raw: pl.DataFrame, setting: str) -> PacelineError:
    """Return the error for a column that is not there.

    Of the others only one that is called nearly the same is named: without a header, names of columns are a patient's.
    """
    near = difflib.get_close_matches(name.lower(), raw.columns, n=1, cutoff=0.7)
    hint = f"Did you mean '{near[0]}'?" if near else f"Its first row should name its {raw.width} columns."
    return PacelineError(f"The table of labels has no column '{name}'.", f"Set {setting}. {hint}")


def _named(found: pl.Series, wanted: Sequence[str]) -> tuple[NDArray[np.float32], tuple[str, ...], list[str]]:
    classes = tuple(wanted) or tuple(sorted(name for name in found.unique() if name))
    if len(classes) > MOST_CLASSES:
        raise PacelineError(
            f"The column of labels holds {len(classes):,} different values.",
            "Name the classes (data.classes), or another column: data.columns.label.",
        )
    labels = np.stack([(found == name).to_numpy() for name in classes], axis=1).astype(np.float32)
    reasons = [""] * len(found)
    _mark(reasons, found == "", "the row has no label")
    _mark(reasons, ~found.is_in(classes), "the label is none of data.classes")
    return labels, classes, reasons


def _numbers(raw: pl.DataFrame, classes: Sequence[str], task: Task) -> tuple[NDArray[np.float32], list[str]]:
    reasons = [""] * raw.height
    values = []
    for name in classes:
        if name not in raw.columns:
            raise missing_column(name, raw, "data.classes")
        text = raw[name].str.strip_chars()
        number = text.cast(pl.Float32, strict=False)
        known = number.is_in([1.0, 0.0, -1.0]).fill_null(False)
        _mark(reasons, (text != "") & ~known, "a label is none of 1, 0 and -1")
        values.append(number.fill_null(float("nan")).to_numpy())
    labels = np.stack(values, axis=1).astype(np.float32)
    if task == "multiclass":
        one = (labels == 1).sum(axis=1) == 1
        _mark(reasons, pl.Series(~one), "not exactly one class is 1")
        labels = (labels == 1).astype(np.float32)
    return labels, reasons


def _is_label(column: pl.Series) -> bool:
    given = column.str.strip_chars()
    given = given.filter(given != "")
    number = given.cast(pl.Float32, strict=False)
    return int(number.is_in([1.0, 0.0, -1.0]).sum()) >= MOSTLY * max(1, len(given))


def _mark(reasons: list[str], bad: pl.Series, reason: str) -> None:
    """Give `reason` to the bad rows that have none yet."""
    for place in bad.arg_true():
        reasons[place] = reasons[place] or reason
