"""MedMNIST: small standard data sets with their official split, each one `.npz` of arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging.cohort import Task
from medical_imaging.config import Data
from paceline.errors import PacelineError

PARTS = {"train": "train", "val": "validation", "test": "test"}


def read(path: Path, config: Data, task: Task) -> tuple[NDArray[np.uint8], NDArray[np.float32], tuple[str, ...], Any]:
    """Return images (rows, height, width, channels), labels, classes, and each row's official part.

    MedMNIST says nothing of patients; its authors split by them where their sources did.

    Args:
        path: the `.npz`, read without pickle.
        config: `classes` names the classes in the order of their numbers; numbers stand for them where it is empty.
        task: data sets with one label are multi-class, or multi-label with one class where that is 0 or 1.

    Raises:
        PacelineError: the file is missing, damaged or of another layout, or its labels do not fit `task`.
    """
    images, labels, parts = [], [], []
    for part, meant in PARTS.items():
        found = _array(path, f"{part}_images")
        label = _array(path, f"{part}_labels")
        if found.dtype != np.uint8 or not (found.ndim == 3 or (found.ndim == 4 and found.shape[3] == 3)):
            raise PacelineError(
                f"'{part}_images' is {found.dtype} of shape {found.shape}, no list of two-dimensional images.",
                "Name a 2-D data set of MedMNIST: data.path.",
            )
        if len(label) != len(found):
            raise PacelineError(
                f"'{part}_labels' has {len(label)} rows and '{part}_images' {len(found)}.", "Fetch the file again."
            )
        images.append(found if found.ndim == 4 else found[..., None])
        labels.append(label.reshape(len(label), -1))
        parts += [meant] * len(found)
    numbers = np.concatenate(labels).astype(np.int64)
    coded, classes = _coded(numbers, config.classes, task)
    return np.concatenate(images), coded, classes, np.array(parts, object)


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except FileNotFoundError:
        raise PacelineError("There is no file where data.path says.", "Name the .npz of a MedMNIST data set.") from None
    except KeyError:
        raise PacelineError(
            f"The file holds no '{name}'.", "Name the .npz of a MedMNIST data set: data.path."
        ) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError):
        raise PacelineError("data.path is no readable .npz of arrays.", "Fetch the file again.") from None


def _coded(
    numbers: NDArray[np.int64], wanted: tuple[str, ...], task: Task
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    if task == "segmentation":
        raise PacelineError("MedMNIST holds no masks.", "Set model.task = 'multiclass' or 'multilabel'.")
    columns, top = numbers.shape[1], int(numbers.max())
    if task == "multiclass":
        if columns > 1:
            raise PacelineError(f"The data set has {columns} labels an image.", "Set model.task = 'multilabel'.")
        count = top + 1
        labels = np.eye(count, dtype=np.float32)[numbers[:, 0]]
    else:
        if top > 1:
            raise PacelineError(f"The data set has one label of {top + 1} classes.", "Set model.task = 'multiclass'.")
        count, labels = columns, numbers.astype(np.float32)
    if wanted and len(wanted) != count:
        raise PacelineError(f"data.classes names {len(wanted)}, and the data set has {count}.", "Name all or none.")
    return labels, wanted or tuple(str(number) for number in range(count))
