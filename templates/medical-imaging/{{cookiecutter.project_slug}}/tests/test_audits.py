"""Tests of `audits`: what a cohort holds and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from medical_imaging import audits, data, splits
from medical_imaging.cohort import Cohort
from medical_imaging.config import Data
from paceline.quarantine import Quarantine

CONFIG = Data(patients=60)


@pytest.fixture(scope="module")
def loaded() -> tuple[Cohort, Quarantine]:
    """A phantom cohort and its quarantine."""
    quarantine = Quarantine()
    return data.load(CONFIG, "multilabel", quarantine), quarantine


def test_counts_add_up(loaded: tuple[Cohort, Quarantine]) -> None:
    """Labels of a class, images of the sites and of the parts sum to all images."""
    cohort, quarantine = loaded
    facts = data.audit(cohort, splits.divide(cohort, CONFIG, 0), quarantine)
    images = facts["images"]
    assert len(cohort.items) == images
    for row in facts["classes"]:
        assert images == row["present"] + row["absent"] + row["uncertain"] + row["not_given"]
    for groups in ("sites", "sex", "view", "parts"):
        assert images == sum(row["images"] for row in facts[groups])
    assert facts["patients"] == sum(row["patients"] for row in facts["parts"])
    assert 0 == facts["leakage"]["patients_in_two_parts"]
    assert 2 == facts["quarantine"]["quarantined"]


def test_the_burned_in_letter_is_found_and_goes_with_findings(loaded: tuple[Cohort, Quarantine]) -> None:
    """Only site B is suspected, and the letter is on more films with a finding than without: the planted shortcut."""
    facts = audits.of_cohort(loaded[0], None, loaded[1])
    by_site = facts["burned_in"]["share_by_site"]
    assert by_site["B"] > 0.5
    assert 0 == by_site["A"] == by_site["C"]
    healthy = next(row for row in facts["burned_in_by_class"] if row["class"] == "no_finding")
    assert healthy["letters_where_absent"] > 2 * healthy["letters_where_present"]


def test_near_duplicates_survive_brightness_noise_and_compression(loaded: tuple[Cohort, Quarantine]) -> None:
    """A changed copy under another patient is found, and hardly anything else is."""
    cohort, quarantine = loaded
    images = np.array(cohort.images)
    encoded = cv2.imencode(".jpg", images[0], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    copy = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.float32) * 0.9 + 10
    images[-1, ..., 0] = copy.astype(np.uint8)
    changed = Cohort(images, cohort.labels, cohort.classes, cohort.patients, cohort.items, cohort.task)
    found = audits.of_cohort(changed, None, quarantine)["near_duplicates"]
    assert {"item": cohort.items[0], "looks_like": cohort.items[-1]} in found["examples"]
    assert found["pairs_of_different_patients"] <= 3


def test_headers_are_counted(dicom_file: Callable[..., Path]) -> None:
    """What the pixels' tags say, by how many files say it, and where the patient is another than in the table."""
    files = [
        dicom_file(np.eye(8, dtype=np.uint8), "a.dcm", PixelSpacing=[0.2, 0.2], PatientID="P1"),
        dicom_file(np.eye(8, dtype=np.uint16), "b.dcm", bits=12, PhotometricInterpretation="MONOCHROME1"),
    ]
    (files[0].parent / "c.dcm").write_bytes(b"")
    facts = audits.of_headers([*files, files[0].parent / "c.dcm"], ["P1", "P2", "P3"])
    assert 2 == facts["read"]
    assert {"MONOCHROME2": 1, "MONOCHROME1": 1} == facts["photometric_interpretation"]
    assert {"8": 1, "12": 1} == facts["bits_stored"]
    assert 1 == facts["without_pixel_spacing"]
    assert 1 == facts["patient_differs_from_table"]


def test_a_header_is_counted_by_the_terms_of_the_standard(dicom_file: Callable[..., Path]) -> None:
    """What somebody else's program wrote in their place may be a name, and is not shown."""
    tags = {"Modality": "NIGHTINGALE", "BurnedInAnnotation": "MRN77"}
    files = [
        dicom_file(np.eye(8, dtype=np.uint8), "a.dcm", Modality="CR"),
        dicom_file(np.eye(8, dtype=np.uint8), "b.dcm", **tags),
    ]
    facts = audits.of_headers(files, ["", ""])
    assert {"CR": 1, "another": 1} == facts["modality"]
    assert {"not said": 1, "another": 1} == facts["burned_in_annotation"]
