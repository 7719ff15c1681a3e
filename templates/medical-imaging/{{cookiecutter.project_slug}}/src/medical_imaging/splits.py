"""Who is learned from, who judges: patients divided so that findings and sites are spread evenly, and never shared.

The division follows Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data" (2011), with patients
for examples: the rarest finding is dealt out first, each patient to the part that lacks it most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Data
from medical_imaging.groups import are_groups
from paceline.errors import PacelineError

PARTS = ("train", "validation", "test")


def divide(cohort: Cohort, config: Data, seed: int) -> Split:
    """Return the rows for training, validation, test and external validation.

    The split that the data bring is kept; where that has no validation, it is taken from the training's patients.

    Args:
        cohort: as `data.load` returns it.
        config: `external_site, validation_share, test_share`; a site is ignored where the data tell none.
        seed: the same one gives the same division.

    Raises:
        PacelineError: a part would be empty, there is no such site, or patients or pixels are in two parts.
    """
    rng = np.random.default_rng(seed)
    external = np.zeros(len(cohort.items), bool)
    if config.external_site and cohort.sites is not None:
        external = cohort.sites == config.external_site
        if not external.any():
            sites = sorted({str(site) for site in cohort.sites})
            known = (
                f"one of {', '.join(sites)}" if are_groups(cohort, cohort.sites) else f"one of the {len(sites)} sites"
            )
            raise PacelineError(
                f"data.external_site is '{config.external_site}', and no image is of it.", f"Name {known}, or none: ''."
            )
    within = np.flatnonzero(~external)
    if cohort.official is not None:
        parts = _official(cohort, within, config, rng)
    else:
        shares = (1 - config.validation_share - config.test_share, config.validation_share, config.test_share)
        parts = stratified(cohort, within, shares, rng)
    train, validation, test = (np.sort(part).astype(np.int64) for part in parts)
    split = Split(train, validation, test, np.flatnonzero(external))
    for name in PARTS:
        if not len(getattr(split, name)):
            patients = len(np.unique(cohort.patients[within]))
            raise PacelineError(
                f"The part for {name} is empty: there are {patients} patient(s) to divide.",
                "Add patients, at least three, or change data.validation_share, test_share or external_site.",
            )
    refuse_leakage(cohort, split)
    return split


def folds(cohort: Cohort, rows: NDArray[np.int64], count: int, seed: int) -> list[NDArray[np.int64]]:
    """Return `count` parts of `rows` for cross-validation, each patient in one, findings spread evenly.

    Raises:
        PacelineError: there are fewer patients than parts.
    """
    patients = len(np.unique(cohort.patients[rows]))
    if patients < count:
        raise PacelineError(f"{patients} patient(s) cannot make {count} folds.", "Use fewer folds.")
    rng = np.random.default_rng(seed)
    return [np.sort(part) for part in stratified(cohort, rows, [1 / count] * count, rng)]


def stratified(
    cohort: Cohort, rows: NDArray[np.int64], shares: Sequence[float], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return parts of `rows` of about the given shares; a patient's rows stay together."""
    patients, group = np.unique(cohort.patients[rows], return_inverse=True)
    features = _to_spread(cohort, rows)
    counts = np.zeros((len(patients), features.shape[1]))
    np.add.at(counts, group, features)
    part_of = _dealt(counts, np.asarray(shares), rng)
    return [rows[part_of[group] == part] for part in range(len(shares))]


def refuse_leakage(cohort: Cohort, split: Split) -> dict[str, int]:
    """Return how many patients and different images were compared between the parts; none is shared.

    Raises:
        PacelineError: a patient, or an image to the last pixel, is in two parts.
    """
    rows = {name: getattr(split, name) for name in (*PARTS, "external")}
    patients = {name: set(cohort.patients[part].tolist()) for name, part in rows.items()}
    pixels = {name: set(digests(cohort.images, part)) for name, part in rows.items()}
    for what, found in (("patient", patients), ("image", pixels)):
        for first, second in combinations(rows, 2):
            if shared := len(found[first] & found[second]):
                raise PacelineError(
                    f"{shared:,} {what}{'s are' if shared > 1 else ' is'} in both {first} and {second}.",
                    "A score would be of what was learned by heart. Correct the split that the data bring.",
                )
    return {
        "patients": len(set.union(*patients.values())),
        "images": len(set.union(*pixels.values())),
        "patients_in_two_parts": 0,
        "images_in_two_parts": 0,
    }


def digests(images: NDArray[Any], rows: NDArray[np.int64] | None = None) -> list[bytes]:
    """Return a hash of each image's pixels as a network sees them: equal ones are found in whatever syntax."""
    places = range(len(images)) if rows is None else rows
    return [hashlib.blake2b(np.ascontiguousarray(images[row]).data, digest_size=16).digest() for row in places]


def _official(
    cohort: Cohort, within: NDArray[np.int64], config: Data, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    assert cohort.official is not None  # noqa: S101 -- the caller's condition, for the type checker
    given = cohort.official[within]
    train, validation, test = (within[given == name] for name in PARTS)
    if len(train) and not len(validation):
        train, validation = stratified(cohort, train, (1 - config.validation_share, config.validation_share), rng)
    if len(train) and not len(test):
        train, test = stratified(cohort, train, (1 - config.test_share, config.test_share), rng)
    return [train, validation, test]


def _to_spread(cohort: Cohort, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what is to be spread evenly, one column each: classes, sites, and images at all."""
    columns = [(cohort.labels[rows] == 1).astype(np.float64)]
    if cohort.sites is not None:
        sites = cohort.sites[rows]
        columns += [(sites == site)[:, None].astype(np.float64) for site in sorted(set(sites.tolist()))]
    return np.concatenate([*columns, np.ones((len(rows), 1))], axis=1)


def _dealt(counts: NDArray[np.float64], shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the part of each patient.

    Args:
        counts: (patients, features) rows with a feature.
        shares: of the parts; they sum to 1.
        rng: breaks ties.
    """
    wanted = shares[:, None] * counts.sum(axis=0)
    part_of = np.full(len(counts), -1, np.int64)
    left = np.ones(len(counts), bool)
    while left.any():
        remaining = (counts[left] > 0).sum(axis=0)
        rarest = int(np.argmin(np.where(remaining > 0, remaining, np.inf)))  # the last column is in every patient
        places = rng.permutation(np.flatnonzero(left & (counts[:, rarest] > 0)))
        for patient in places[np.argsort(-counts[places, rarest], kind="stable")]:
            need = wanted[:, rarest] / np.maximum(shares, 1e-12)  # relative, or the largest part would take all first
            overall = wanted[:, -1] / np.maximum(shares, 1e-12)
            best = np.lexsort((rng.random(len(shares)), -overall, -need))[0]
            part_of[patient] = best
            wanted[best] -= counts[patient]
            left[patient] = False
    for part in range(len(shares)):  # of very few patients all may have gone to the others
        sizes = np.bincount(part_of, minlength=len(shares))
        if not sizes[part] and sizes.max() > 1:
            part_of[np.flatnonzero(part_of == sizes.argmax())[-1]] = part
    return part_of
