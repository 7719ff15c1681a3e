"""Tests of `deidentify`: no identity is left, what learning needs is, and what may be burned in is set apart."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medical_imaging import data, deidentify, synthetic
from medical_imaging.config import Data
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

CONFIG = Data(patients=24, image_size_px=128)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The phantom cohort, de-identified, and what was said of it."""
    out = tmp_path_factory.mktemp("copies") / "out"
    return out, deidentify.configured(out, CONFIG, "multilabel", Quarantine())


def test_no_planted_identifier_is_left(copies: tuple[Path, dict[str, Any]]) -> None:
    """Neither in names nor in bytes: patients' names, numbers, addresses, studies, organisations, private tags."""
    source = synthetic.folder(CONFIG)
    with (source / "labels.csv").open(encoding="utf-8") as file:
        numbers = {row["patient_id"] for row in csv.DictReader(file)}
    planted = [number[3:].encode() for number in numbers] + [name.encode() for name in synthetic.NAMES]
    planted += [name.upper().encode() for name in synthetic.NAMES]
    planted += [b"Canary", b"ACC0", b"Site ", b"PACELINE PHANTOM", synthetic.ORGANISATION.encode()]
    original = b"".join(path.read_bytes() for path in source.rglob("*.dcm"))
    assert sum(text in original for text in planted) > len(numbers)
    for path in copies[0].rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for text in planted:
            assert text not in content
            assert text.decode() not in path.name


def test_the_copies_are_the_same_data(copies: tuple[Path, dict[str, Any]]) -> None:
    """Read again by the table that was written, images and labels are those of the originals."""
    first = data.load(CONFIG, "multilabel", Quarantine())
    quarantine = Quarantine()
    config = Data(source="dicom", path=str(copies[0]), classes=first.classes, max_quarantined_share=0.2)
    again = data.load(config, "multilabel", quarantine)
    assert len(first.items) == len(again.items)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.patients, again.patients)
    assert again.lesions is not None
    assert first.lesions is not None
    np.testing.assert_array_equal(first.lesions > 0, again.lesions > 0)


def test_dates_keep_their_distances_and_ids_their_meaning(copies: tuple[Path, dict[str, Any]]) -> None:
    """Studies of a patient stay in order and apart; what belonged together still does."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for path in sorted(copies[0].rglob("*.dcm")):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert "YES" == header.PatientIdentityRemoved
        assert header.PatientID == header.PatientName
        assert header.StudyInstanceUID.startswith("2.25.")
        assert header.SOPInstanceUID == header.file_meta.MediaStorageSOPInstanceUID
        found.setdefault(header.PatientID, []).append((header.StudyInstanceUID, header.StudyDate, header.PatientSex))
    assert 23 <= len(found) <= 24
    for films in found.values():
        assert len({study for study, _, _ in films}) == len({(study, day) for study, day, _ in films})
        assert 1 == len({sex for _, _, sex in films})
        assert all(day < "20240101" for _, day, _ in films) or any(day < "20241231" for _, day, _ in films)


def test_suspected_letters_are_set_apart(copies: tuple[Path, dict[str, Any]]) -> None:
    """Films of the site that burns a letter in are in a folder to be looked at, and flagged."""
    out, answer = copies
    apart = list((out / deidentify.TO_CHECK).iterdir())
    assert answer["to_check_for_burned_in_text"] == len(apart) > 0
    assert {"YES"} == {pydicom.dcmread(path).BurnedInAnnotation for path in apart}


def test_elements_by_the_profile(dicom_file: Callable[..., Path]) -> None:
    """Nested, binary, free and private elements; a birth date is emptied, an age above 89 capped."""
    inner = Dataset()
    inner.ReferencedSOPInstanceUID, inner.ReferencedSOPClassUID = "1.2.3.9", "1.2.840.10008.5.1.4.1.1.7"
    inner.PersonName, inner.ContentDate = "Nightingale", "20240310"
    path = dicom_file(
        np.eye(8, dtype=np.uint8),
        PatientBirthDate="18200512",
        PatientAge="093Y",
        StudyDate="20240301",
        AcquisitionDateTime="20240301101500.5",
        InstitutionName="Scutari",
        ImageComments="of F. Nightingale",
        Manufacturer="Maker",
        PatientWeight="60",
        SourceImageSequence=Sequence([inner]),
        ReferencedSeriesSequence=Sequence([inner]),
    )
    found = pydicom.dcmread(path)
    found.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", "Nightingale")
    found.add_new((0x6000, 0x3000), "OW", b"\1\1")
    who = deidentify.person(data.privacy.Ids(b"s"), "MRN123")
    clean = deidentify.cleaned(found, who, burned_in=False)
    assert "Nightingale" not in str(clean)
    assert "PatientBirthDate" in clean
    assert not clean.PatientBirthDate
    assert "090Y" == clean.PatientAge
    assert "Maker" == clean.Manufacturer
    assert [] == [name for name in ("InstitutionName", "ImageComments", "PatientWeight", "SourceImageSequence")
                  if name in clean]  # fmt: skip
    assert (0x6000, 0x3000) not in clean
    assert not any(element.tag.is_private for element in clean)
    nested = clean.ReferencedSeriesSequence[0]
    assert who.uid("1.2.3.9") == nested.ReferencedSOPInstanceUID
    assert "1.2.840.10008.5.1.4.1.1.7" == nested.ReferencedSOPClassUID
    assert "101500.5" == clean.AcquisitionDateTime[8:]
    assert clean.AcquisitionDateTime[:8] == clean.StudyDate != "20240301"


def test_the_folder_for_copies_must_be_new_and_elsewhere(tmp_path: Path) -> None:
    """Copies never mix with originals or with earlier copies."""
    with pytest.raises(PacelineError, match="lies in that of the data"):
        deidentify.configured(synthetic.folder(CONFIG) / "out", CONFIG, "multilabel", Quarantine())
    (tmp_path / "something").write_text("", encoding="utf-8")
    with pytest.raises(PacelineError, match="is not empty"):
        deidentify.configured(tmp_path, CONFIG, "multilabel", Quarantine())
    with pytest.raises(PacelineError, match="only DICOM is de-identified"):
        deidentify.configured(tmp_path / "x", Data(source="images"), "multilabel", Quarantine())
