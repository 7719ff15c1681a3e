"""Tests of `privacy` and of every place that an identifier could leak to: names of people and files are canaries."""

from __future__ import annotations

import csv
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medical_imaging import data, formats, groups, privacy, splits
from medical_imaging.config import Data
from paceline import cache
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

CANARY = re.compile(rb"nightingale|crimea|mrn77|scutari", re.IGNORECASE)


def test_ids_need_the_salt(tmp_path: Path) -> None:
    """Equal names have equal ids with one salt, and other ones with another."""
    first, second = tmp_path / "one", tmp_path / "two"
    first.mkdir(), second.mkdir()
    one, again, other = privacy.ids_of(first), privacy.ids_of(first), privacy.ids_of(second)
    assert one.item("a.dcm") == again.item("a.dcm") != other.item("a.dcm")
    assert one.item("a") != one.patient("a")


def test_salt_and_map_are_for_the_owner_alone(tmp_path: Path) -> None:
    """Folder and files beside the data cannot be read by others."""
    place = privacy.folder(tmp_path / "scans")
    privacy.ids_of(place)
    privacy.extend_map(place, [("id", "file", "patient")])
    assert tmp_path / "scans.private" == place
    assert 0o700 == stat.S_IMODE(place.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()}


def test_what_was_noted_stays(tmp_path: Path) -> None:
    """A later command adds to the map: patients, and files of earlier ones, are still led back to."""
    privacy.extend_map(tmp_path, [("1", "a.dcm", "MRN1"), ("2", "b.dcm", "MRN2")])
    file = privacy.extend_map(tmp_path, [("2", "b.dcm", ""), ("3", "c,d.dcm", "")])
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened))
    assert [["item", "file", "patient"], ["1", "a.dcm", "MRN1"], ["2", "b.dcm", "MRN2"], ["3", "c,d.dcm", ""]] == rows


def test_where_nothing_can_be_written_the_map_is_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data on a read-only disk can be used; the folder's name is not in the cache's."""
    monkeypatch.setenv("PACELINE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "Nightingale.private").write_text("in the way", encoding="utf-8")
    place = privacy.folder(tmp_path / "Nightingale")
    assert (tmp_path / "cache") in place.parents
    assert CANARY.search(os.fsencode(place.relative_to(tmp_path))) is None


@pytest.fixture
def ward(dicom_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty files whose names, folders and tags are canaries; an empty one, a stray one, a row without its file."""
    monkeypatch.setenv("PACELINE_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "Crimea"
    rows = []
    for number in range(40):
        name = f"Scutari_{number // 2}/MRN77{number // 2:03d}_Nightingale/IM{number}.dcm"
        pixels = np.random.default_rng(number).integers(0, 4096, (32, 32), dtype=np.uint16)
        dicom_file(pixels, f"Crimea/{name}", PatientID=f"MRN77{number // 2:03d}")
        rows.append([name, f"MRN77{number // 2:03d}", number % 3 % 2])
    (root / rows[3][0]).write_bytes(b"")
    dicom_file(np.eye(9, dtype=np.uint8), "Crimea/Nightingale.dcm")
    rows.append(["Scutari_99/Nightingale.dcm", "MRN77999", 1])
    with (root / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["file", "patient_id", "ill"], *rows])
    return root


def test_nothing_of_a_name_leaves_the_loading(ward: Path, tmp_path: Path) -> None:
    """Cohort, audit, headers, split, quarantine file and cache hold no canary; the private map does."""
    listing = tmp_path / "quarantine.jsonl"
    quarantine = Quarantine(listing)
    config = Data(source="dicom", path=str(ward), image_size_px=16, max_quarantined_share=0.2)
    cohort = data.load(config, "multilabel", quarantine)
    split = splits.divide(cohort, config, 0)
    facts = [data.audit(cohort, split, quarantine), data.headers(config, "multilabel")]
    assert 3 == quarantine.quarantined
    for text in (repr(cohort), json.dumps(facts), listing.read_text(encoding="utf-8"), repr(split)):
        assert CANARY.search(text.encode()) is None
    for path in cache.folder().rglob("*"):
        assert CANARY.search(os.fsencode(path.relative_to(tmp_path))) is None
        assert path.is_dir() or CANARY.search(path.read_bytes()) is None
    known = (tmp_path / "Crimea.private" / "ids.csv").read_text(encoding="utf-8")
    assert all(item in known for item in cohort.items)
    assert CANARY.search(known.encode())


def test_nothing_of_a_name_is_in_an_error(ward: Path) -> None:
    """Whatever is wrong with the data, the message names neither file nor folder nor patient."""
    labels = ward / "labels.csv"
    (ward / "headless.csv").write_bytes(labels.read_bytes().partition(b"\n")[2])
    broken = [
        Data(source="dicom", path=str(ward), max_quarantined_share=0.0, image_size_px=16),
        Data(source="dicom", path=str(ward / "none")),
        Data(source="dicom", path=str(labels)),
        Data(source="dicom", path=str(ward), labels_csv="none.csv"),
        Data(source="dicom", path=str(ward), labels_csv="Nightingale.dcm"),
        Data(source="images", path=str(ward), image_size_px=16, max_quarantined_share=1.0),
        Data(source="nih", path=str(ward)),
        Data(source="chexpert", path=str(ward)),
        Data(source="dicom", path=str(ward), labels_csv="headless.csv"),
        Data(source="medmnist", path=str(labels)),
        Data(source="medmnist", path=str(ward / "none.npz")),
    ]
    for config in broken:
        with pytest.raises(PacelineError) as refused:
            data.load(config, "multilabel", Quarantine())
        assert CANARY.search(str(refused.value).encode()) is None
    with pytest.raises(PacelineError) as refused:
        formats.new_files(ward / "Nightingale", Data())
    assert CANARY.search(str(refused.value).encode()) is None


def test_headers_that_pydicom_warns_of_are_not_shown(ward: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Values that are no UID or no character set come into a warning with what they hold, here and there a name."""
    for number, file in enumerate(sorted(ward.rglob("IM*.dcm"))):
        if not file.stat().st_size:
            continue
        header = pydicom.dcmread(file)
        header.StudyInstanceUID = "1.2.826.MRN77.Nightingale" if number % 2 else "1.2.3"
        header.SpecificCharacterSet = "ISO_IR 100" if number % 2 else "Nightingale"
        header.save_as(file)
    recwarn.clear()
    labels = ward / "labels.csv"
    rows = list(csv.reader(labels.read_text(encoding="utf-8").splitlines()))
    with labels.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([row[0], row[2]] for row in rows)  # no patients: they are read from the headers
    config = Data(source="dicom", path=str(ward), image_size_px=16, max_quarantined_share=0.9)
    data.load(config, "multilabel", Quarantine())
    assert [] == [str(each.message) for each in recwarn if CANARY.search(str(each.message).encode())]


def test_a_name_too_long_for_a_file_is_a_row_without_its_image(ward: Path) -> None:
    """The system's error would show it."""
    with (ward / "labels.csv").open("a", encoding="utf-8") as file:
        file.write(f"{'Nightingale' * 40}.dcm,MRN77000,1\n")
    quarantine = Quarantine()
    data.load(
        Data(source="dicom", path=str(ward), image_size_px=16, max_quarantined_share=0.9), "multilabel", quarantine
    )
    assert 4 == quarantine.quarantined


def test_sites_that_are_as_many_as_people_are_not_named(ward: Path) -> None:
    """A column of names, taken for sites, comes into no error and no group."""
    labels = ward / "labels.csv"
    rows = list(csv.reader(labels.read_text(encoding="utf-8").splitlines()))
    with labels.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*rows[0], "site"])
        writer.writerows([*row, f"Nightingale {row[1]}"] for row in rows[1:])
    config = Data(source="dicom", path=str(ward), image_size_px=16, max_quarantined_share=0.9, external_site="C")
    cohort = data.load(config, "multilabel", Quarantine())
    assert "site" not in groups.of(cohort, np.arange(len(cohort.items)))
    with pytest.raises(PacelineError, match=r"no image is of it\. Name one of the 20 sites, or none") as refused:
        splits.divide(cohort, config, 0)
    assert CANARY.search(str(refused.value).encode()) is None


@pytest.mark.slow
def test_the_command_prints_and_writes_no_name(ward: Path, tmp_path: Path, process_environment: dict[str, str]) -> None:
    """What `data` prints and writes holds no canary but the path that was given."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "config.toml").write_text("", encoding="utf-8")
    settings = [f"data.path={ward}", "data.source=dicom", "data.image_size_px=16", "data.max_quarantined_share=0.2"]
    command = [sys.executable, "-m", "medical_imaging", "data", "--json", *(f"--set={setting}" for setting in settings)]
    done = subprocess.run(command, cwd=work, env=process_environment, capture_output=True, check=False)
    assert 0 == done.returncode, done.stderr.decode()
    written = [done.stdout, done.stderr, *(path.read_bytes() for path in work.rglob("*") if path.is_file())]
    assert len(written) >= 5
    for text in written:
        assert CANARY.search(text.replace(os.fsencode(ward), b"")) is None
