"""Layouts of folders that people have: DICOM, NIfTI or pictures with a CSV or masks; NIH ChestX-ray14; CheXpert.

Each is brought to one list of files with labels; what is in the list and not on the disk, or on the disk and not in the
list, comes along with its reason. No message here holds a file's name.
"""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medical_imaging import dicom, pairs, pictures, privacy, tables
from medical_imaging.cohort import Task
from medical_imaging.config import Columns, Data
from paceline.cache import Refused
from paceline.errors import PacelineError

READERS = 2  # version of what decodes; a higher one decodes the cached images anew
SUFFIXES = {
    "dicom": (".dcm", ".dicom", ".ima", ""),
    "nifti": (".nii", ".nii.gz"),
    "images": (".png", ".jpg", ".jpeg"),
    "nih": (".png",),
    "chexpert": (".jpg",),
}
MASK_SUFFIXES = (".png", ".nii", ".nii.gz")  # no JPEG: what it loses makes lesions of a ground that was 0
NIH_CLASSES = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
NO_FINDING = "No Finding"
CHEXPERT_CLASSES = (
    NO_FINDING, "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
UNNAMED = re.compile(r"[^.]+|[\d.]+")  # no suffix, or a UID for a name
NO_IMAGES = ("dicomdir", "license", "readme")
FROM_HEADER = {"patient": "PatientID", "sex": "PatientSex", "age": "PatientAge", "view": "ViewPosition"}


@dataclass(frozen=True)
class Listing:
    """Files with labels, not yet read.

    Attributes:
        root: the folder that names are below.
        rows: see `tables.Table`; `file` is the path below `root`.
        labels: one row for each of `rows`.
        classes: the labels' names.
        refused: paths below `root` and why they are not among the rows.
        read: returns the shades of a file.
    """

    root: Path
    rows: pl.DataFrame
    labels: NDArray[np.float32]
    classes: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    read: Callable[[Path], dicom.Shades]


def listing(config: Data, task: Task, root: Path) -> Listing:
    """Return what the folder `root` holds by `config.source`.

    Raises:
        PacelineError: the folder or a column is missing, or there is no file.
    """
    if not root.is_dir():
        raise PacelineError("There is no folder where data.path says.", f"Name the folder of the {config.source} data.")
    found = _files(root, SUFFIXES[_kind(config)])
    if config.source == "nih":
        table = _nih(config, task, root, found)
    elif config.source == "chexpert":
        table = _chexpert(config, task, root, found)
    else:
        raw = tables.read(root / config.labels_csv) if config.labels_csv else _without_table(config, task, root, found)
        table = tables.of(raw, config.columns, config.classes, task)
        table = _with_headers(table, root) if _kind(config) == "dicom" else table
        if "patient" in table.lacking and config.columns.patient:
            raise PacelineError(
                f"The table of labels has no column '{config.columns.patient}'."
                if config.labels_csv
                else "Without a table of labels nothing tells which images are of one patient.",
                "Set data.columns.patient; empty means that each image is of somebody else.",
            )
    return _joined(table, root, found, reader(config))


def reader(config: Data) -> Callable[[Path], dicom.Shades]:
    """Return what reads one file of the configured source."""
    kind = _kind(config)
    if kind == "dicom":
        return functools.partial(dicom.read, frame=config.frame)
    if kind == "nifti":
        return functools.partial(pictures.read_nifti, frame=config.frame)
    return pictures.read_picture


def new_files(path: Path, config: Data) -> list[Path]:
    """Return the files to predict on: `path` itself, or all of the source's kind below it, in the order of names."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise PacelineError("There is no such file or folder to read.", "Name a file, or a folder of them.")
    names = sorted(_files(path, SUFFIXES[_kind(config)]))
    if not names:
        raise PacelineError("There is no image in the folder.", f"Name one with {_kind(config)} files.")
    return [path / name for name in names]


def _kind(config: Data) -> str:
    return "dicom" if config.source == "synthetic" else config.source


def _files(root: Path, suffixes: tuple[str, ...]) -> set[str]:
    """Return the paths below `root` that end so; where '' is a suffix, names without one and UIDs do."""
    found = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not (name.startswith(".") or name.endswith(privacy.SUFFIX))]
        below = Path(folder).relative_to(root)
        for name in names:
            low = name.lower()
            plain = "" in suffixes and UNNAMED.fullmatch(low) is not None and low not in NO_IMAGES
            if not name.startswith(".") and (plain or low.endswith(tuple(end for end in suffixes if end))):
                found.add((below / name).as_posix())
    return found


def _without_table(config: Data, task: Task, root: Path, found: set[str]) -> pl.DataFrame:
    """Return the table that nobody wrote: `images/` with the masks of the same names below `masks/`."""
    if task != "segmentation":
        raise PacelineError(
            "data.labels_csv is empty, and nothing else tells what an image shows.", "Name the table of labels."
        )
    return pairs.table(found, _files(root, MASK_SUFFIXES), config.columns)


def _joined(table: tables.Table, root: Path, found: set[str], read: Callable[[Path], dicom.Shades]) -> Listing:
    """Return the rows whose files are there; the other rows, and files without a row, are refused."""
    names = table.rows["file"].to_list()
    refused = list(table.refused)
    there = np.zeros(len(names), bool)
    for place, (name, mask) in enumerate(zip(names, table.rows["mask"], strict=True)):
        if any(Path(path).is_absolute() or ".." in Path(path).parts for path in (name, mask)):
            refused.append((name, "the path leads out of data.path"))
        elif Path(name).as_posix() in found or _is_file(root / name):
            there[place] = True
        else:
            refused.append((name, "there is no image for the row"))
    listed = {Path(name).as_posix() for name in (*names, *table.rows["mask"], *(name for name, _ in table.refused))}
    refused += [(name, "there is no row of labels for the image") for name in sorted(found - listed)]
    if not there.any():
        raise PacelineError(
            f"None of the {len(names):,} rows of the table of labels has its image below data.path.",
            "Check data.path and the column of file names: paths are taken from data.path.",
        )
    rows = table.rows.filter(pl.Series(there))
    if "patient" in table.lacking:
        rows = rows.with_columns(patient=pl.col("file"))
    return Listing(root, rows, table.labels[there], table.classes, tuple(refused), read)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for any file; the error would show it
        return False


def _with_headers(table: tables.Table, root: Path) -> tables.Table:
    """Return `table` with what its columns lack and DICOM headers hold: patient, sex, age and view."""
    wanted = {field: tag for field, tag in FROM_HEADER.items() if field in table.lacking}
    if not wanted:
        return table

    def of_file(name: str) -> tuple[str, ...] | str:

        if not _is_file(root / name):
            return ("",) * len(wanted)
        try:
            header = dicom.header(root / name)
        except Refused as error:
            return error.reason
        except OSError:
            return "the file cannot be read"
        return tuple(str(header.get(tag) or "").strip() for tag in wanted.values())

    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # pydicom's warnings hold values of headers
        values = list(pool.map(of_file, table.rows["file"]))
    columns = {
        field: [value[place] if isinstance(value, tuple) else "" for value in values]
        for place, field in enumerate(wanted)
    }
    rows = table.rows.with_columns(pl.Series(field, column, pl.String) for field, column in columns.items())
    names = rows["file"].to_list()
    reasons = [value if isinstance(value, str) else "" for value in values]
    if "patient" in wanted:
        reasons = [
            reason or ("" if patient or not _is_file(root / name) else "the header names no patient")
            for reason, patient, name in zip(reasons, columns["patient"], names, strict=True)
        ]
    good = np.array([not reason for reason in reasons], bool)
    refused = tuple((name, reason) for name, reason in zip(names, reasons, strict=True) if reason)
    lacking = table.lacking - set(wanted)
    kept = rows.filter(pl.Series(good))
    return tables.Table(kept, table.labels[good], table.classes, table.refused + refused, lacking)


def _nih(config: Data, task: Task, root: Path, found: set[str]) -> tables.Table:
    """Return the table of ChestX-ray14: findings joined by `|` in `Data_Entry_2017*.csv`, lists of both parts."""
    entries = sorted(root.glob("Data_Entry_2017*.csv"))
    if not entries:
        raise PacelineError(
            "data.path holds no Data_Entry_2017.csv.", "Name the folder that ChestX-ray14 was unpacked into."
        )
    raw = tables.read(entries[0], "Data_Entry_2017.csv")
    for name in ("Image Index", "Finding Labels", "Patient ID"):
        if name not in raw.columns:
            raise tables.missing_column(name, raw, "data.path to the original ChestX-ray14")
    paths = {Path(name).name: name for name in sorted(found)}
    findings = pl.col("Finding Labels").str.split("|")
    parts = _nih_parts(root)
    sex = next((name for name in ("Patient Gender", "Patient Sex") if name in raw.columns), None)
    image = pl.col("Image Index")
    standard = raw.select(
        image.replace_strict(paths, default=image).alias("file"),
        pl.col("Patient ID").alias("patient"),
        (pl.col(sex) if sex else pl.lit("")).alias("sex"),
        (pl.col("Patient Age") if "Patient Age" in raw.columns else pl.lit("")).alias("age"),
        (pl.col("View Position") if "View Position" in raw.columns else pl.lit("")).alias("view"),
        image.replace_strict(parts, default="").alias("split"),
        *(
            findings.list.contains(name).cast(pl.Int8).cast(pl.String).alias(name)
            for name in (*NIH_CLASSES, NO_FINDING)
        ),
    )
    standard = standard if parts else standard.drop("split")
    return tables.of(standard, Columns(patient="patient"), config.classes or (*NIH_CLASSES, NO_FINDING), task)


def _nih_parts(root: Path) -> dict[str, str]:
    parts: dict[str, str] = {}
    for name, part in (("train_val_list.txt", "train"), ("test_list.txt", "test")):
        if _is_file(root / name):
            parts |= dict.fromkeys((root / name).read_text(encoding="utf-8").split(), part)
    return parts


def _chexpert(config: Data, task: Task, root: Path, found: set[str]) -> tables.Table:
    """Return the tables of CheXpert, whose paths begin with the data set's own folder and hold the patient."""
    files = [(name, root / f"{name}.csv") for name in ("train", "valid", "test") if (root / f"{name}.csv").is_file()]
    if not files:
        raise PacelineError("data.path holds no train.csv of CheXpert.", "Name the folder that holds train.csv.")
    # Without the test labels, which came later, the 200 expert-labelled studies of `valid` are what scores are from.
    parts = {"train": "train", "valid": "validation" if len(files) > 2 else "test", "test": "test"}
    several = []
    for name, path in files:
        raw = tables.read(path, path.name)
        if "Path" not in raw.columns:
            raise tables.missing_column("Path", raw, "data.path to the original CheXpert")
        below = raw["Path"].map_elements(functools.partial(_below, found=found), return_dtype=pl.String)
        sides = raw["AP/PA"] if "AP/PA" in raw.columns else pl.Series([""] * raw.height)
        plane = raw["Frontal/Lateral"] if "Frontal/Lateral" in raw.columns else sides
        several.append(
            pl.DataFrame(
                {
                    "file": below,
                    "patient": raw["Path"].str.extract(r"(patient\d+)").fill_null(""),
                    "sex": raw["Sex"] if "Sex" in raw.columns else "",
                    "age": raw["Age"] if "Age" in raw.columns else "",
                    "view": pl.select(pl.when(sides != "").then(sides).otherwise(plane)).to_series(),
                    "split": parts[name],
                }
            ).with_columns(raw[name] for name in CHEXPERT_CLASSES if name in raw.columns)
        )
    raw = pl.concat(several, how="diagonal").fill_null("")
    return tables.of(raw, Columns(patient="patient"), config.classes, task)


def _below(path: str, found: set[str]) -> str:
    """Return a path of the table as a path below the folder, less the folder's own name where it begins with it."""
    parts = Path(path).parts
    return next(
        (name for start in range(len(parts)) if (name := Path(*parts[start:]).as_posix()) in found),
        path,
    )
