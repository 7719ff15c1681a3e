"""Tests of `deidentify`: no identity is left, what learning needs is, and what may be burned in is set apart."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import datetime
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


Pair = tuple[pydicom.FileDataset, pydicom.FileDataset]


@pytest.fixture(scope="module")
def pairs(copies: tuple[Path, dict[str, Any]]) -> list[Pair]:
    """The header of each original that was copied, and that of its copy, which bears the original's salted id."""
    listed, ids, _ = data.listing(CONFIG, "multilabel")
    files = {path.stem: path for path in copies[0].rglob("*.dcm")}
    found = [(listed.root / name, files[item]) for name in listed.rows["file"] if (item := ids.item(name)) in files]
    assert len(found) == len(files) == copies[1]["written"]
    return [
        (pydicom.dcmread(original, stop_before_pixels=True), pydicom.dcmread(copy, stop_before_pixels=True))
        for original, copy in found
    ]


def test_all_dates_of_a_patient_are_shifted_by_the_same_days(pairs: list[Pair]) -> None:
    """By one to 3,650 days back, by other days for another patient: distances stay, dates do not."""
    shifts: dict[str, set[int]] = {}
    for original, copy in pairs:
        for keyword in ("StudyDate", "SeriesDate", "ContentDate"):
            before, after = (datetime.strptime(header[keyword].value, "%Y%m%d") for header in (original, copy))
            shifts.setdefault(copy.PatientID, set()).add((after - before).days)
        assert not copy.PatientBirthDate
    assert 23 <= len(shifts) <= 24
    assert {1} == {len(days) for days in shifts.values()}
    different = {day for days in shifts.values() for day in days}
    assert -deidentify.MOST_SHIFTED_DAYS <= min(different) <= max(different) <= -1
    assert len(different) > 20


def test_identifiers_are_replaced_one_for_one(pairs: list[Pair]) -> None:
    """What pointed at the same study, series or object still does, what differed still differs, and none is the old."""
    new: dict[str, str] = {}
    for original, copy in pairs:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            assert copy[keyword].value == new.setdefault(original[keyword].value, copy[keyword].value)
            assert re.fullmatch(r"2\.25\.\d{1,39}", copy[keyword].value)
        assert copy.SOPInstanceUID == copy.file_meta.MediaStorageSOPInstanceUID
        assert original.SOPClassUID == copy.SOPClassUID
        assert "YES" == copy.PatientIdentityRemoved
        assert copy.PatientID == copy.PatientName != original.PatientID
        assert original.PatientSex == copy.PatientSex
    assert len(new) == len(set(new.values())) > 3 * 24
    assert not set(new) & set(new.values())


def test_another_salt_gives_other_names_to_everything() -> None:
    """Nothing leads back without the salt: not the patient, the days, the identifiers, the site."""
    first, again, other = (data.privacy.Ids(salt) for salt in (b"one", b"one", b"two"))
    one, same, two = (deidentify.person(ids, "MRN123") for ids in (first, again, other))
    assert (one.identity, one.shift, one.uid("1.2.3")) == (same.identity, same.shift, same.uid("1.2.3"))
    assert one.identity != two.identity
    assert one.shift != two.shift
    assert one.uid("1.2.3") != two.uid("1.2.3")
    assert first.site("Scutari") == again.site("Scutari") != other.site("Scutari")
    assert 4 == len({first.site("x"), first.item("x"), first.patient("x"), "x"})


def test_the_table_of_the_copies_names_nobody(dicom_file: Callable[..., Path], tmp_path: Path) -> None:
    """Sites are salted, with a private map; a view, a sex or an age that is none of the usual words is left out."""
    rows = [
        ["0.dcm", "MRN1", "Scutari", "F", "93.5", "pa", "1"],
        ["1.dcm", "MRN1", "Scutari", "Florence", "born in Nightingale's year", "Nightingale's", "0"],
        ["2.dcm", "MRN2", "Koulali", "male", "058Y", "LATERAL", "0"],
        ["3.dcm", "MRN3", "", "", "", "", "1"],
    ]
    for number, row in enumerate(rows):
        pixels = np.random.default_rng(number).integers(0, 4096, (32, 32), dtype=np.uint16)
        dicom_file(pixels, f"ward/{row[0]}", PatientID=row[1])
    with (tmp_path / "ward" / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["file", "patient_id", "site", "sex", "age", "view", "ill"], *rows])
    config = Data(source="dicom", path=str(tmp_path / "ward"))
    deidentify.configured(tmp_path / "out", config, "multilabel", Quarantine())
    text = (tmp_path / "out" / "labels.csv").read_text(encoding="utf-8")
    assert re.search("nightingale|scutari|koulali|florence|mrn|born", text, re.IGNORECASE) is None
    found = list(csv.DictReader(text.splitlines()))
    assert [("F", "90", "PA"), ("", "", ""), ("M", "058Y", "LATERAL"), ("", "", "")] == [
        (row["sex"], row["age"], row["view"]) for row in found
    ]
    sites = [row["site"] for row in found]
    assert sites[0] == sites[1] != sites[2]
    assert "" == sites[3]
    with (tmp_path / "ward.private" / "sites.csv").open(encoding="utf-8", newline="") as file:
        assert {"id": "site", sites[0]: "Scutari", sites[2]: "Koulali"} == dict(csv.reader(file))


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
