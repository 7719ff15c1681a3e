"""Copies of DICOM files without identity, by the Basic Application Confidentiality Profile (PS3.15 Annex E).

Of its options two are taken, as the learning needs them: dates keep their distances within a patient, all shifted by
the same days (Retain Longitudinal Temporal Information with Modified Dates), and sex and age stay (part of Retain
Patient Characteristics; 90 and above become 90). Beyond table E.1-1, every text that is not known to be harmless goes.
What is burned into pixels is not removed: suspects are written apart, for eyes to check.

The table of labels is treated as the files are: patients and sites become salted ids (the profile drops or replaces an
institution's name), views and sexes stay as far as they are the usual words, ages as far as they are numbers, files get
their ids for names. Classes and labels are copied: look at their names.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

from medical_imaging import data, dicom, letters, pictures, privacy
from medical_imaging.cohort import Task
from medical_imaging.config import Data
from medical_imaging.formats import Listing
from medical_imaging.tables import FIELDS
from paceline.cache import Refused
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

TO_CHECK = "check-burned-in"
LOOKED_AT_PX = 512  # side of the image in which letters are looked for
MOST_SHIFTED_DAYS = 3650
OLDEST_YEARS = 90
PER_YEAR = {"": 1.0, "Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
# Defined terms and usual names of views; another text may be anything, and goes.
VIEWS = frozenset(
    {
        "PA", "AP", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL", "FRONTAL", "AP ERECT", "AP SUPINE", "OBLIQUE",
        "CC", "MLO", "ML", "LM", "LMO", "XCC", "XCCL", "XCCM", "FB", "SIO", "ISO", "AXIAL", "CORONAL", "SAGITTAL",
    }
)  # fmt: skip
STANDARD_UIDS = "1.2.840.10008."  # of the standard itself: classes and syntaxes, not of anybody's objects
EMPTIED = frozenset({"AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "StudyID"})  # but must be there
TEXTS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT"})
KEPT_TEXTS = frozenset(
    {
        "CodeMeaning", "CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "LUTExplanation", "Manufacturer",
        "ManufacturerModelName", "ModalityLUTType", "PositionReferenceIndicator", "RescaleType", "SpecificCharacterSet",
    }
)  # fmt: skip
BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
KEPT_BINARY = re.compile(r"(Float|DoubleFloat)?PixelData|LUTData|(Segmented)?(Red|Green|Blue|Alpha)Palette\w+Data")
# Of table E.1-1 what neither its representation nor the rules above tell: numbers, codes and sequences.
REMOVED = frozenset(
    {
        "AcquisitionContextSequence", "ActualHumanPerformersSequence", "AdmittingDiagnosesCodeSequence",
        "AuthorObserverSequence", "ConsentForClinicalTrialUseSequence", "ContentCreatorIdentificationCodeSequence",
        "ContentSequence", "CustodialOrganizationSequence", "DigitalSignaturesSequence", "EncapsulatedDocument",
        "GraphicAnnotationSequence", "HumanPerformerCodeSequence", "IconImageSequence", "InstitutionCodeSequence",
        "InstitutionalDepartmentTypeCodeSequence", "IntendedRecipientsOfResultsIdentificationSequence",
        "InterpretationApproverSequence", "LastMenstrualDate", "MACParametersSequence", "ModifiedAttributesSequence",
        "NonconformingModifiedAttributesSequence", "OperatorIdentificationSequence", "OriginalAttributesSequence",
        "OtherPatientIDsSequence", "ParticipantSequence", "PatientBirthTime", "PatientInsurancePlanCodeSequence",
        "PatientPrimaryLanguageCodeSequence", "PatientSexNeutered", "PatientSize", "PatientWeight",
        "PerformingPhysicianIdentificationSequence", "PersonIdentificationCodeSequence",
        "PhysiciansOfRecordIdentificationSequence", "PhysiciansReadingStudyIdentificationSequence", "PregnancyStatus",
        "ReferencedDigitalSignatureSequence", "ReferencedImageSequence", "ReferencedPatientAliasSequence",
        "ReferencedPatientPhotoSequence", "ReferencedPatientSequence", "ReferencedPerformedProcedureStepSequence",
        "ReferencedSOPInstanceMACSequence", "ReferencedStudySequence", "ReferringPhysicianIdentificationSequence",
        "RequestAttributesSequence", "RequestingServiceCodeSequence", "ResponsiblePersonRole",
        "ScheduledHumanPerformersSequence", "ScheduledPerformingPhysicianIdentificationSequence", "SmokingStatus",
        "SourceImageSequence", "SourceIdentifierSequence", "TimezoneOffsetFromUTC", "VerifyingObserverSequence",
    }
)  # fmt: skip
METHODS = {
    "113100": "Basic Application Confidentiality Profile",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
}


@dataclass(frozen=True)
class Person:
    """What stands for a patient in the copies.

    Attributes:
        identity: the salted id.
        shift: added to all dates.
        uid: gives for each UID another one, always the same.
    """

    identity: str
    shift: timedelta
    uid: Callable[[str], str]


def person(ids: privacy.Ids, patient: str) -> Person:
    """Return the stand-in of a patient; who knows the salt gets the same one again."""
    number = int.from_bytes(hmac.new(ids.salt, f"shift:{patient}".encode(), hashlib.sha256).digest()[:8])

    def uid(original: str) -> str:
        digest = hmac.new(ids.salt, f"uid:{original}".encode(), hashlib.sha256).digest()
        return f"2.25.{int.from_bytes(digest[:16])}"

    return Person(ids.patient(patient), timedelta(days=-1 - number % MOST_SHIFTED_DAYS), uid)


def cleaned(found: Dataset, who: Person, *, burned_in: bool) -> Dataset:
    """Return `found` without identity; it is changed in place.

    Args:
        found: as read from a file.
        who: stands for the patient.
        burned_in: whether the pixels are suspected to hold letters.
    """
    _clean(found, who)
    found.PatientID = found.PatientName = who.identity
    found.PatientIdentityRemoved = "YES"
    found.LongitudinalTemporalInformationModified = "MODIFIED"
    found.DeidentificationMethod = ["PS3.15 Basic Profile", "dates shifted, sex and age kept", "pixels not altered"]
    found.DeidentificationMethodCodeSequence = Sequence([_code(value, text) for value, text in METHODS.items()])
    if burned_in:
        found.BurnedInAnnotation = "YES"
    syntax = found.file_meta.TransferSyntaxUID
    for element in list(found.file_meta):  # names of machines and private information stand here as well
        del found.file_meta[element.tag]
    found.file_meta.TransferSyntaxUID = syntax
    found.file_meta.MediaStorageSOPClassUID = found.get("SOPClassUID", UID(""))
    found.file_meta.MediaStorageSOPInstanceUID = found.get("SOPInstanceUID") or UID(who.uid("none"))
    found.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    found.preamble = b"\0" * 128  # may hold anything
    return found


def configured(out: Path, config: Data, task: Task, quarantine: Quarantine) -> dict[str, Any]:
    """Write clean copies of the configured files; see `write`.

    Raises:
        PacelineError: they are no DICOM files; see `write` and `data.listing`.
    """
    if config.source not in ("synthetic", "dicom"):
        raise PacelineError(f"data.source is '{config.source}', and only DICOM is de-identified.", "Set it to 'dicom'.")
    listed, ids, private = data.listing(config, task)
    answer = write(out, listed, ids, quarantine)
    known = zip(listed.rows["file"], listed.rows["patient"], strict=True)
    privacy.extend_map(private, [(ids.item(name), name, patient) for name, patient in known])
    privacy.note_sites(private, ids, listed.rows["site"])
    return {**answer, "folder": str(out)}


def write(out: Path, listed: Listing, ids: privacy.Ids, quarantine: Quarantine) -> dict[str, Any]:
    """Write clean copies of the listed files with a table of labels, and return how many.

    Args:
        out: a new or empty folder, outside the data's own. Gets `labels.csv`, a file for each salted id, `masks/`, and
            below `check-burned-in/` what may have letters in its pixels.
        listed: DICOM files.
        ids: make the names.
        quarantine: gets what cannot be read, which is not copied.

    Raises:
        PacelineError: `out` holds something, or lies in the data's folder.
    """
    root = listed.root.resolve()
    if out.resolve() == root or root in out.resolve().parents:
        raise PacelineError("The folder for the copies lies in that of the data.", "Name one outside it.")
    if out.exists() and any(out.iterdir()):
        raise PacelineError("The folder for the copies is not empty.", "Name a new one.")
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows, flagged = [], 0
    quarantine.count(read=len(listed.rows) + len(listed.refused))
    for name, reason in listed.refused:
        quarantine.add(ids.item(name), "", reason)
    for at, row in enumerate(listed.rows.iter_rows(named=True)):
        item = ids.item(row["file"])
        try:
            suspected = _copy(listed, row, out, item, person(ids, row["patient"]))
        except (Refused, OSError) as error:
            quarantine.add(item, "", error.reason if isinstance(error, Refused) else "the file cannot be read")
            continue
        flagged += suspected
        quarantine.count(kept=1)
        mask = _copy_mask(listed.root, row["mask"], out, item)
        file = f"{TO_CHECK}/{item}.dcm" if suspected else f"{item}.dcm"
        kept = _kept(row, ids) | {"file": file, "mask": mask}
        labels = [_label(value) for value in listed.labels[at]]
        rows.append([*(kept[field] for field in FIELDS), *labels])
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file_:
        header = [{"patient": "patient_id"}.get(field, field) for field in FIELDS]
        csv.writer(file_).writerows([[*header, *listed.classes], *rows])
    return {"written": len(rows), "to_check_for_burned_in_text": flagged, "quarantine": quarantine.state()}


def _kept(row: Mapping[str, str], ids: privacy.Ids) -> dict[str, str]:
    """Return what the table of the copies says of a row, but its files."""
    view = row["view"].upper()
    return {
        "patient": ids.patient(row["patient"]),
        "site": ids.site(row["site"]) if row["site"] else "",
        "sex": data.SEXES.get(row["sex"].lower(), ""),
        "age": _age(row["age"]),
        "view": view if view in VIEWS else "",
        "split": row["split"],
    }


def _copy(listed: Listing, row: Mapping[str, str], out: Path, item: str, who: Person) -> bool:
    """Write one clean copy, and return whether its pixels may hold letters."""
    path = listed.root / row["file"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shades = listed.read(path)
        found = dicom.dataset(path)
        said = str(found.get("BurnedInAnnotation") or "").upper() == "YES"
        size_px = min(max(shades.shape[:2]), LOOKED_AT_PX)
        suspected = said or bool(letters.places(pictures.squared(shades, size_px, 1)).any())
        folder = out / TO_CHECK if suspected else out
        folder.mkdir(exist_ok=True)
        try:
            cleaned(found, who, burned_in=suspected).save_as(folder / f"{item}.dcm", enforce_file_format=True)
        except Exception:  # values that were read with leniency cannot all be written
            (folder / f"{item}.dcm").unlink(missing_ok=True)
            raise Refused("a clean copy cannot be written: the file breaks the standard") from None
    return suspected


def _copy_mask(root: Path, name: str, out: Path, item: str) -> str:
    """Write the mask's values alone, for its file may hold texts, and return its new name."""
    if not name or not (root / name).is_file():
        return ""
    (out / "masks").mkdir(exist_ok=True)
    try:
        cv2.imwrite(str(out / "masks" / f"{item}.png"), pictures.read_mask(root / name))
    except Refused:
        return ""
    return f"masks/{item}.png"


def _clean(found: Dataset, who: Person) -> None:
    for element in list(found):
        keyword, group = element.keyword, element.tag.group
        if element.tag.is_private or 0x5000 <= group <= 0x501E or 0x6000 <= group <= 0x601E or not keyword:
            del found[element.tag]
        elif keyword in EMPTIED:
            element.value = None
        elif _is_unsafe(element):
            del found[element.tag]
        elif element.VR == "SQ":
            for item in element.value:
                _clean(item, who)
        elif element.VR == "UI":
            element.value = _each(element.value, lambda uid: uid if uid.startswith(STANDARD_UIDS) else who.uid(uid))
        elif element.VR in {"DA", "DT"}:
            element.value = _each(element.value, lambda text: _shifted(text, who.shift))
        elif element.VR == "AS":
            element.value = _each(element.value, _age)


def _is_unsafe(element: DataElement) -> bool:
    if element.keyword in REMOVED:
        return True
    if element.VR in BINARY or element.VR.startswith(("OB or", "US or")):
        return element.VR in BINARY and KEPT_BINARY.fullmatch(element.keyword) is None
    return element.VR in TEXTS and element.keyword not in KEPT_TEXTS


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """Return one or several texts changed."""
    if not value:
        return value
    return change(str(value)) if isinstance(value, str) else [change(str(part)) for part in value]


def _shifted(text: str, shift: timedelta) -> str:
    """Return a date, or a date with a time, some days away; empty where it is none."""
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8])) + shift
    except (ValueError, OverflowError):
        return ""
    return f"{day:%Y%m%d}{text[8:]}"


def _age(text: str) -> str:
    """Return an age, in years or as DICOM writes it, of at most `OLDEST_YEARS`; empty where it is none.

    >>> _age("058Y"), _age("93.5"), _age("1200M"), _age("born in 1931")
    ('058Y', '90', '090Y', '')
    """
    age = re.fullmatch(r"(\d{1,4})(?:\.\d*)?([YMWDymwd]?)", text)
    if age is None:
        return ""
    years = int(age[1]) / PER_YEAR[age[2].upper()]
    if years < OLDEST_YEARS:
        return text
    return f"{OLDEST_YEARS:03d}Y" if age[2] else str(OLDEST_YEARS)


def _label(value: np.float32) -> str:
    return "" if np.isnan(value) else f"{value:g}"


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
