"""What a cohort holds and what is wrong with it, in counts; items are named by their salted ids alone.

What is looked for is what has undone published studies: the same image twice, findings that go with a hospital or with
a letter burned into the film, labels that nobody gave.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medical_imaging import dicom, splits
from medical_imaging import letters as marks
from medical_imaging.cohort import Cohort, Split
from medical_imaging.groups import are_groups
from paceline.cache import Refused
from paceline.quarantine import Quarantine

# The standard's terms (PS3.3 C.7.3.1.1.1, C.7.6.3.1.2, C.7.6.1.1.5); what a header has in their place may be anything.
TERMS = {
    "Modality": {
        *("BI", "CR", "CT", "DG", "DX", "ES", "GM", "IO", "IVOCT", "IVUS", "LEN", "LS", "MG", "MR", "NM", "OCT", "OP"),
        *("OPT", "OPV", "OT", "PT", "PX", "RF", "RG", "SC", "SEG", "SM", "TG", "US", "VA", "XA", "XC"),
    },
    "PhotometricInterpretation": {
        *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420"),
        *("YBR_ICT", "YBR_RCT", "XYB"),
    },
    "BurnedInAnnotation": {"YES", "NO"},
}
HASH_SIDE = 16  # of the perceptual hash: 256 bits
NEAR_BITS = 8  # that may differ between near duplicates
MOST_COMPARED = 20_000  # images; of more only those with equal hashes are found
SHOWN = 20
QUANTILES = {"min": 0.0, "p25": 0.25, "p50": 0.5, "p75": 0.75, "max": 1.0}


def of_cohort(cohort: Cohort, split: Split | None, quarantine: Quarantine) -> dict[str, Any]:
    """Return counts of images, patients, classes and groups, defects, and the proof that no part leaks into another.

    Args:
        cohort: as `data.load` returns it.
        split: adds the parts and what was compared between them.
        quarantine: the one that `data.load` filled.

    Raises:
        PacelineError: a patient or an image is in two parts.
    """
    per_patient = np.bincount(cohort.patients)
    facts: dict[str, Any] = {
        "images": len(cohort.items),
        "patients": int((per_patient > 0).sum()),
        "images_per_patient": _quantiles(per_patient[per_patient > 0]),
        "size_px": int(cohort.images.shape[1]),
        "channels": int(cohort.images.shape[3]),
        "classes": [_of_class(cohort, column) for column in range(len(cohort.classes))],
    }
    for name, groups in (("sites", cohort.sites), ("sex", cohort.sex), ("view", cohort.view)):
        if groups is not None and are_groups(cohort, groups):
            facts[name] = [_of_group(cohort, groups, group) for group in sorted(set(groups.tolist()))]
    if cohort.age_years is not None:
        facts["age_years"] = _quantiles(cohort.age_years[np.isfinite(cohort.age_years)])
    if cohort.has_mask is not None and cohort.masks is not None:
        lesion = cohort.masks.any(axis=(1, 2))
        facts["masks"] = {"given": int(cohort.has_mask.sum()), "with_a_lesion": int(lesion.sum())}
    facts["near_duplicates"] = _near_duplicates(cohort)
    letters = np.array([marks.places(image).any() for image in cohort.images], bool)
    facts["burned_in"] = _burned_in(cohort, letters)
    facts["burned_in_by_class"] = [_letters_by_class(cohort, letters, column) for column in range(len(cohort.classes))]
    if split is not None:
        facts["split"] = "as published" if cohort.official is not None else "by patient"
        facts["parts"] = [_of_part(cohort, name, getattr(split, name)) for name in (*splits.PARTS, "external")]
        facts["leakage"] = splits.refuse_leakage(cohort, split)
    return {**facts, "quarantine": quarantine.state()}


def of_headers(files: Sequence[Path], patients: Sequence[str]) -> dict[str, Any]:
    """Return what the headers of DICOM files say of their pixels, and where they disagree with the table of labels.

    Args:
        files: to read; what cannot be is left to the quarantine.
        patients: of the same files, by the table.
    """

    def read(path: Path) -> Dataset | None:
        try:
            return dicom.header(path)
        except (Refused, OSError):
            return None

    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        found = list(pool.map(read, files))
    headers = [header for header in found if header is not None]
    spacing = [float(value[0]) for header in headers if (value := _spacing(header))]
    other = sum(
        header is not None and bool(header.get("PatientID")) and str(header.PatientID).strip() != patient
        for header, patient in zip(found, patients, strict=True)
    )
    return {
        "read": len(headers),
        "photometric_interpretation": _counted(_term(header, "PhotometricInterpretation") for header in headers),
        "bits_stored": _counted(header.get("BitsStored") for header in headers),
        "transfer_syntax": _counted(header.file_meta.TransferSyntaxUID.name for header in headers),
        "modality": _counted(_term(header, "Modality") for header in headers),
        "shades": _counted(_display(header) for header in headers),
        "size_px": _counted(f"{header.get('Rows')} x {header.get('Columns')}" for header in headers),
        "several_frames": sum(str(header.get("NumberOfFrames") or 1) != "1" for header in headers),
        "pixel_spacing_mm": _quantiles(np.array(spacing)),
        "without_pixel_spacing": len(headers) - len(spacing),
        "burned_in_annotation": _counted(_term(header, "BurnedInAnnotation") or "not said" for header in headers),
        "lossy_compressed": sum(header.get("LossyImageCompression") == "01" for header in headers),
        "patient_differs_from_table": other,
    }


def _term(header: Dataset, keyword: str) -> str | None:
    """Return what a header says where that is a term of the standard, `another` where it is not, None for nothing."""
    value = str(header.get(keyword) or "").strip()
    return (value if value in TERMS[keyword] else "another") if value else None


def perceptual_hashes(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return for each image 256 bits: whether it gets brighter to the right, in a grid of 16 × 16.

    Brightness, contrast, noise and lossy compression change few of them.
    """
    bits = []
    for image in images:
        grey = image[..., 0] if image.shape[2] == 1 else image.mean(axis=2).astype(np.uint8)
        small = cv2.resize(np.ascontiguousarray(grey), (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
        bits.append(np.packbits(small[:, 1:] > small[:, :-1]))
    return np.array(bits, np.uint8).reshape(len(images), -1).view(np.uint64)


def _near_duplicates(cohort: Cohort) -> dict[str, Any]:
    """Return pairs of images of different patients that look the same."""
    hashes = perceptual_hashes(cohort.images)
    pairs: list[tuple[int, int]] = []
    if len(hashes) <= MOST_COMPARED:
        for row in range(len(hashes) - 1):
            differ = np.bitwise_count(hashes[row + 1 :] ^ hashes[row]).sum(axis=1)
            pairs += [(row, row + 1 + int(other)) for other in np.flatnonzero(differ <= NEAR_BITS)]
    else:
        _, group = np.unique(hashes, axis=0, return_inverse=True)
        order = np.argsort(group, kind="stable")
        pairs = [(int(a), int(b)) for a, b in pairwise(order) if group[a] == group[b]]
    between = [(a, b) for a, b in pairs if cohort.patients[a] != cohort.patients[b]]
    return {
        "pairs_of_different_patients": len(between),
        "pairs_of_one_patient": len(pairs) - len(between),
        "compared": "all pairs" if len(hashes) <= MOST_COMPARED else "equal hashes",
        "examples": [{"item": cohort.items[a], "looks_like": cohort.items[b]} for a, b in between[:SHOWN]],
    }


def _burned_in(cohort: Cohort, letters: NDArray[np.bool_]) -> dict[str, Any]:
    """Return where letters are suspected."""
    found = {
        "suspected": int(letters.sum()),
        "examples": [cohort.items[row] for row in np.flatnonzero(letters)[:SHOWN]],
    }
    if cohort.sites is None or not are_groups(cohort, cohort.sites):
        return found
    shares = {str(site): _share(letters[cohort.sites == site]) for site in sorted(set(cohort.sites.tolist()))}
    return {**found, "share_by_site": shares}


def _letters_by_class(cohort: Cohort, letters: NDArray[np.bool_], column: int) -> dict[str, Any]:
    """Return the share of images with letters; where they go with a finding, a model may read the letters."""
    values = cohort.labels[:, column]
    return {
        "class": cohort.classes[column],
        "letters_where_present": _share(letters[values == 1]),
        "letters_where_absent": _share(letters[values == 0]),
    }


def _of_class(cohort: Cohort, column: int) -> dict[str, Any]:
    values = cohort.labels[:, column]
    return {
        "class": cohort.classes[column],
        "present": int((values == 1).sum()),
        "absent": int((values == 0).sum()),
        "uncertain": int((values == -1).sum()),
        "not_given": int(np.isnan(values).sum()),
        "patients_with_it": len(np.unique(cohort.patients[values == 1])),
    }


def _of_group(cohort: Cohort, groups: NDArray[np.object_], group: str) -> dict[str, Any]:
    rows = np.flatnonzero(groups == group)
    return {"group": group or "not given", **_counts(cohort, rows), "mean_shade": float(cohort.images[rows].mean())}


def _of_part(cohort: Cohort, name: str, rows: NDArray[np.int64]) -> dict[str, Any]:
    return {"part": name, **_counts(cohort, rows)}


def _counts(cohort: Cohort, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return how many images and patients some rows are, and how frequent each class is there."""
    labels = cohort.labels[rows]
    shares = {name: _share((labels[:, at] == 1)[labels[:, at] >= 0]) for at, name in enumerate(cohort.classes)}
    return {"images": len(rows), "patients": len(np.unique(cohort.patients[rows])), **shares}


def _display(header: Dataset) -> str:
    """Return by what the stored values become shades."""
    voi = "look-up table" if header.get("VOILUTSequence") else "window" if header.get("WindowWidth") else "percentiles"
    slope, intercept = header.get("RescaleSlope", 1), header.get("RescaleIntercept", 0)
    return voi if (slope, intercept) == (1, 0) else f"rescale {slope} {intercept}, {voi}"


def _spacing(header: Dataset) -> Any:
    return header.get("PixelSpacing") or header.get("ImagerPixelSpacing")


def _counted(values: Any) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first."""
    return dict(Counter("missing" if value is None else str(value) for value in values).most_common(SHOWN))


def _share(found: NDArray[np.bool_]) -> float | None:
    return float(found.mean()) if len(found) else None


def _quantiles(values: NDArray[Any]) -> dict[str, float] | None:
    if not len(values):
        return None
    return {name: float(np.quantile(values, at)) for name, at in QUANTILES.items()}
