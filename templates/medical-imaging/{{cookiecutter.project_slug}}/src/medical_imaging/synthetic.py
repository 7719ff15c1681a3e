"""The embedded data: a cohort of phantom chest radiographs as a hospital would hand it over, to the warts.

Real DICOM files of three sites in folders named for patients, one table of labels, masks of the findings. Planted in
it: names and numbers of (invented) patients in tags, file and folder names, a private tag, uncertain and blank labels,
a truncated file, one film filed under two patients, and a letter burned into films of the site where more are ill.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation, JPEGBaseline8Bit

from medical_imaging import films, phantom
from medical_imaging.config import Data
from paceline import cache

FILES_PER_PATIENT = 3
NO_FINDING = "no_finding"
CLASSES = (*phantom.FINDINGS, NO_FINDING)
COLUMNS = ("file", "patient_id", "site", "sex", "age", "view", *CLASSES, "finding", "mask")
PERSISTS = 0.7  # how probable a finding is seen again in the patient's next study
UNCERTAIN, BLANK = 0.04, 0.03  # shares of the labels
NAMES = ("Abendroth", "Birkholz", "Castellane", "Dunmorrow", "Eszterhas", "Fairweather", "Grimaldieu", "Hollandsworth")
ORGANISATION = "1.2.826.0.1.3680043.10.1338"  # root of the UIDs made here
FEWEST_WITH_DEFECTS = 20  # patients; of fewer, two bad files would be more than `max_quarantined_share`
VERSION = 2  # of what is written; a higher one makes the files anew


@dataclass(frozen=True)
class Patient:
    """Who is examined where; all of it invented."""

    number: int
    identity: str
    name: str
    born: date
    body: phantom.Body
    site: films.Site


@dataclass(frozen=True)
class Film:
    """One image and what is written about it."""

    patient: Patient
    study: int
    taken: date
    pose: phantom.Pose
    disease: phantom.Disease
    storage: films.Storage


def folder(config: Data) -> Path:
    """Return the folder of the configured cohort in the cache, written now if it is not there.

    Raises:
        OSError: it cannot be written.
    """
    key = {"version": VERSION, "patients": config.patients, "seed": config.seed, "size": config.image_size_px}
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
    place = cache.folder() / "phantom-cohorts" / name
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
        try:
            with disable_value_validation():  # the values are our own, and a fifth of the time
                write(part, config)
            part.rename(place)
        except OSError:
            if not place.exists():  # else another process was first
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return place


def write(folder: Path, config: Data) -> Path:
    """Write the cohort into `folder` and return it.

    Args:
        folder: is made; gets `labels.csv`, `masks/` and a folder of DICOM files for each site.
        config: `patients, seed, image_size_px` are used. The same ones give the same bytes.
    """
    rows: list[dict[str, Any]] = []
    rendered: list[tuple[Film, NDArray[np.float32], NDArray[np.uint8]]] = []
    made = set()
    (folder / "masks").mkdir(parents=True)
    everything = list(_films(config))
    for number, film in enumerate(everything):
        rng = np.random.default_rng((config.seed, 1, number))
        loss, mask = phantom.render(film.patient.body, film.pose, film.disease, config.image_size_px)
        levels = films.expose(loss, film.patient.site, rng)
        findings = film.disease.findings()
        if rng.random() < film.patient.site.marked[0 if findings else 1]:
            levels = films.mark(levels, film.patient.site.name)
        rendered.append((film, levels, mask))
    if config.patients >= FEWEST_WITH_DEFECTS:  # a film of the first patient is filed under the last one as well
        double, source = rendered[-1][0], rendered[0]
        twin = replace(double, pose=source[0].pose, disease=source[0].disease, storage=source[0].storage)
        rendered[-1] = (twin, source[1], source[2])
    for number, (film, levels, mask) in enumerate(rendered):
        rng = np.random.default_rng((config.seed, 2, number))
        place = Path(
            f"site_{film.patient.site.name}",
            f"{film.patient.identity}_{film.patient.name.upper()}",
            film.taken.strftime("%Y%m%d"),
            f"IM{number:05d}.dcm",
        )
        if place.parent not in made:
            (folder / place.parent).mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        _dataset(film, films.stored(levels, film.storage), number).save_as(folder / place, enforce_file_format=True)
        mask_name = f"masks/{number:05d}.png" if mask.any() else ""
        if mask_name:
            cv2.imwrite(str(folder / mask_name), mask)
        rows.append(_row(film, place, mask_name, rng))
    if config.patients >= FEWEST_WITH_DEFECTS:
        _truncate(folder / rows[len(rows) // 2]["file"])
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _films(config: Data) -> Iterator[Film]:
    """Yield `FILES_PER_PATIENT` films a patient on average: one to four studies, of one film or more each."""
    rng = np.random.default_rng((config.seed, 0))
    patients = [_patient(number, config.patients, rng) for number in range(config.patients)]
    studies = [(patient, study) for patient in patients for study in range(int(rng.integers(1, 5)))]
    extra = rng.integers(0, len(studies), FILES_PER_PATIENT * len(patients) - len(studies))
    counts = 1 + np.bincount(extra, minlength=len(studies))
    present: set[phantom.Finding] = set()
    taken = date(2024, 1, 1)
    for (patient, study), count in zip(studies, counts, strict=True):
        before = present if study else set()
        present = {
            name
            for name in phantom.FINDINGS
            if rng.random() < (PERSISTS if name in before else patient.site.prevalence * (0.5 if study else 1.0))
        }
        start = date(2024, 1, 1) if not study else taken
        taken = start + timedelta(days=int(rng.integers(3, 90)))
        ill = phantom.disease(rng, present, patient.body)
        for _ in range(count):
            storage = patient.site.storages[int(rng.integers(len(patient.site.storages)))]
            yield Film(patient, study, taken, phantom.pose(rng, lying=patient.site.lying), ill, storage)


def _patient(number: int, of: int, rng: np.random.Generator) -> Patient:
    bounds = np.cumsum([site.share for site in films.SITES])
    site = films.SITES[int(np.searchsorted(bounds, ((number * 0.618034) % 1.0) * 0.9999))]  # spread evenly for any `of`
    body = phantom.body(rng)
    born = date(2024 - body.age_years, 1, 1) - timedelta(days=int(rng.integers(0, 365)))
    identity = f"MRN{int(rng.integers(10**6, 10**7))}{number:04d}"
    return Patient(number, identity, NAMES[int(rng.integers(len(NAMES)))], born, body, site)


def _row(film: Film, place: Path, mask: str, rng: np.random.Generator) -> dict[str, Any]:
    findings = film.disease.findings()
    truth = {name: int(name in findings) for name in phantom.FINDINGS} | {NO_FINDING: int(not findings)}
    labels: dict[str, int | str] = {}
    for name, value in truth.items():
        chance = rng.random()
        labels[name] = -1 if chance < UNCERTAIN else "" if chance < UNCERTAIN + BLANK else value
    most = next((name for name in reversed(phantom.DRAWN) if name in findings), NO_FINDING)
    who = film.patient
    return {
        "file": place.as_posix(),
        "patient_id": who.identity,
        "site": who.site.name,
        "sex": who.body.sex,
        "age": who.body.age_years,
        "view": film.pose.view,
        **labels,
        "finding": most,
        "mask": mask,
    }


def _truncate(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])


def _dataset(film: Film, pixels: NDArray[Any], number: int) -> Dataset:
    """Return the DICOM object of a film, with all that a machine would write about the patient."""
    who, storage = film.patient, film.storage
    syntax = uids.UID(getattr(uids, storage.syntax))
    study = f"{ORGANISATION}.{who.number + 1}.{film.study + 1}"
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = f"{study}.1.{number + 1}"
    data.file_meta.MediaStorageSOPInstanceUID = uids.UID(data.SOPInstanceUID)
    data.StudyInstanceUID, data.SeriesInstanceUID = study, f"{study}.1"
    data.PatientID, data.PatientName = who.identity, f"{who.name}^Canary"
    data.PatientBirthDate, data.PatientSex = who.born.strftime("%Y%m%d"), who.body.sex
    data.PatientAge = f"{who.body.age_years:03d}Y"
    data.PatientAddress, data.OtherPatientIDs = f"{who.number + 1} {who.name} Lane", f"ALT{who.identity}"
    data.StudyDate = data.SeriesDate = data.ContentDate = film.taken.strftime("%Y%m%d")
    data.StudyTime = data.ContentTime = f"{8 + number % 9:02d}{number % 60:02d}00"
    data.AccessionNumber, data.StudyID = f"ACC{who.number:05d}{film.study}", str(film.study + 1)
    data.SeriesNumber, data.InstanceNumber = 1, number + 1
    data.ReferringPhysicianName = f"{NAMES[(who.number + 3) % len(NAMES)]}^Dr"
    data.InstitutionName, data.Manufacturer = f"Site {who.site.name}", "Paceline phantom"
    data.StudyDescription = f"Chest of {who.name}"
    data.Modality, data.BodyPartExamined, data.ViewPosition = "DX", "CHEST", film.pose.view
    block = data.private_block(0x0009, "PACELINE PHANTOM", create=True)
    block.add_new(0x01, "LO", f"tel {who.identity[3:]}")
    data.ImagerPixelSpacing = [round(400 / len(pixels), 4)] * 2
    data.PixelIntensityRelationshipSign = -1 if storage.photometric == "MONOCHROME2" else 1
    _describe_display(data, storage)
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, storage.photometric, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * pixels.itemsize, storage.bits, storage.bits - 1
    _set_pixels(data, pixels, syntax)
    return data


def _describe_display(data: Dataset, storage: films.Storage) -> None:
    """Write rescale and window or look-up table; MONOCHROME1's run over reversed levels."""
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = storage.slope, storage.intercept, "US"
    if storage.display == "LUT":
        table = Dataset()
        values = films.lookup_table(storage)
        table.add_new("LUTDescriptor", "US", [len(values), 0, 12])
        table.add_new("LUTData", "OW", values.tobytes())
        data.VOILUTSequence = Sequence([table])
        return
    data.WindowCenter, data.WindowWidth = storage.window
    data.VOILUTFunction = storage.display


def _set_pixels(data: Dataset, pixels: NDArray[Any], syntax: uids.UID) -> None:
    """Store `pixels` as `syntax` wants them."""
    if syntax == JPEGBaseline8Bit:
        done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
        if not done:
            raise RuntimeError("OpenCV could not encode a JPEG")
        data.PixelData = encapsulate([encoded.tobytes()])
        data["PixelData"].VR = "OB"
        data.LossyImageCompression = "01"
    elif syntax.is_compressed and syntax.keyword != "DeflatedExplicitVRLittleEndian":
        data.compress(syntax, pixels, generate_instance_uid=False)
    else:
        data.PixelData = pixels.astype("<u2").tobytes()
        data["PixelData"].VR = "OW"
