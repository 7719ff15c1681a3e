"""Tests of `data`: from files to a cohort, with everything that is wrong with them counted and named by salted ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medical_imaging import data, splits
from medical_imaging.cohort import Cohort
from medical_imaging.config import Data
from paceline.quarantine import Quarantine

SMALL = Data(patients=24, image_size_px=64)


@pytest.fixture(scope="module")
def phantom() -> tuple[Cohort, Quarantine]:
    """A small phantom cohort as `load` gives it, and what was quarantined."""
    quarantine = Quarantine()
    return data.load(SMALL, "multilabel", quarantine), quarantine


def test_the_embedded_cohort_becomes_images_labels_and_people(phantom: tuple[Cohort, Quarantine]) -> None:
    """Three files a patient come out as grey squares with labels of 1, 0, -1 and NaN; two planted ones do not."""
    cohort, quarantine = phantom
    rows = len(cohort.items)
    assert rows == 3 * 24 - 2
    assert (rows, 64, 64, 1) == cohort.images.shape
    assert np.uint8 == cohort.images.dtype
    assert ("nodule", "consolidation", "effusion", "cardiomegaly", "no_finding") == cohort.classes
    assert {-1.0, 0.0, 1.0} == set(np.unique(cohort.labels[~np.isnan(cohort.labels)]).tolist())
    assert np.isnan(cohort.labels).any()
    assert cohort.sites is not None
    assert {"A", "B", "C"} == set(cohort.sites)
    assert set(range(24)) >= set(cohort.patients.tolist())
    assert {"read": 72, "kept": 70, "quarantined": 2} == {
        name: quarantine.state()[name] for name in ("read", "kept", "quarantined")
    }


def test_the_planted_file_and_film_are_found(phantom: tuple[Cohort, Quarantine]) -> None:
    """The cut file and the film filed under a second patient are quarantined, each with its reason."""
    reasons = phantom[1].state()["by_reason"]
    assert {
        "it holds no pixels, or is cut short": 1,
        "equal to the last pixel to an image of another patient": 1,
    } == reasons


def test_lesions_carry_the_number_of_their_class(phantom: tuple[Cohort, Quarantine]) -> None:
    """Where a mask names a finding, the finding is labelled, if its label is certain."""
    cohort = phantom[0]
    assert cohort.lesions is not None
    assert cohort.masks is not None
    assert np.array_equal(cohort.lesions > 0, cohort.masks == 1)
    for column in range(4):
        with_lesion = (cohort.lesions == column + 1).any(axis=(1, 2))
        assert with_lesion.any()
        assert not (cohort.labels[with_lesion, column] == 0).any()


def test_several_classes_are_one_hot(phantom: tuple[Cohort, Quarantine]) -> None:
    """As a multi-class task each image has the one class that the column `finding` names."""
    cohort = data.load(SMALL, "multiclass", Quarantine())
    assert np.array_equal(np.ones(len(cohort.items)), cohort.labels.sum(axis=1))
    assert phantom[0].classes == cohort.classes


def test_loading_again_gives_the_same(phantom: tuple[Cohort, Quarantine]) -> None:
    """Images, ids and numbers of patients do not change from one call to the next."""
    again = data.load(SMALL, "multilabel", Quarantine())
    assert phantom[0].items == again.items
    assert np.array_equal(phantom[0].images, again.images)
    assert np.array_equal(phantom[0].patients, again.patients)


@pytest.fixture
def medmnist(tmp_path: Path) -> Path:
    """A file in the layout of MedMNIST with one image of the training in the test as well."""
    rng = np.random.default_rng(0)
    parts = {"train": 40, "val": 12, "test": 16}
    arrays = {f"{name}_images": rng.integers(0, 255, (rows, 28, 28), dtype=np.uint8) for name, rows in parts.items()}
    labels = {f"{name}_labels": (np.arange(rows) % 2)[:, None].astype(np.uint8) for name, rows in parts.items()}
    arrays["train_images"][5] = arrays["test_images"][3]
    path = tmp_path / "tinymnist.npz"
    np.savez_compressed(path, **arrays, **labels)
    return path


def test_medmnist_keeps_its_official_split(medmnist: Path) -> None:
    """The parts are the file's own, and of an image that is in two of them the test's stays."""
    config = Data(source="medmnist", path=str(medmnist), image_size_px=28, classes=("benign", "malignant"))
    quarantine = Quarantine()
    cohort = data.load(config, "multiclass", quarantine)
    split = splits.divide(cohort, config, seed=0)
    assert [39, 12, 16, 0] == [len(part) for part in (split.train, split.validation, split.test, split.external)]
    assert ("benign", "malignant") == cohort.classes
    assert 1 == quarantine.quarantined


def test_medmnist_is_resized_where_asked(medmnist: Path) -> None:
    """`image_size_px` holds for every source."""
    config = Data(source="medmnist", path=str(medmnist), image_size_px=32)
    assert (67, 32, 32, 1) == data.load(config, "multiclass", Quarantine()).images.shape
