"""Tests of `splits`: patients divided, findings spread, leakage refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medical_imaging import splits
from medical_imaging.cohort import Cohort
from medical_imaging.config import Data
from paceline.errors import PacelineError

CONFIG = Data(external_site="")


def cohort(patients: int = 60, per_patient: int = 3, seed: int = 0) -> Cohort:
    """Return people with a rare and a common finding, of two sites."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(patients), per_patient)
    ill = np.stack([rng.random(patients) < share for share in (0.1, 0.4)], axis=1)
    rows = len(people)
    return Cohort(
        images=rng.integers(0, 256, (rows, 8, 8, 1), dtype=np.uint8),
        labels=ill[people].astype(np.float32),
        classes=("rare", "common"),
        patients=people.astype(np.int64),
        items=tuple(f"{row:x}" for row in range(rows)),
        task="multilabel",
        sites=np.where(people % 3 == 0, "far", "near").astype(object),
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("per_patient", [1, 2, 4])
@pytest.mark.parametrize("patients", [3, 4, 7, 15, 40])
def test_no_patient_is_in_two_parts_and_no_row_is_lost(patients: int, per_patient: int, seed: int) -> None:
    """Whatever the numbers, the parts cover all rows and share nobody."""
    people = cohort(patients, per_patient, seed)
    split = splits.divide(people, CONFIG, seed)
    parts = [split.train, split.validation, split.test]
    assert list(range(patients * per_patient)) == sorted(np.concatenate(parts).tolist())
    groups = [set(people.patients[part].tolist()) for part in parts]
    assert patients == sum(len(group) for group in groups)


def test_findings_are_spread_evenly() -> None:
    """A finding of one patient in ten has nearly the same share in every part."""
    people = cohort(patients=200)
    split = splits.divide(people, CONFIG, 0)
    shares = [people.labels[part].mean(axis=0) for part in (split.train, split.validation, split.test)]
    assert np.ptp(np.array(shares), axis=0).max() < 0.03
    assert 0.02 > abs(len(split.test) / len(people.items) - 0.2)


def test_the_same_seed_gives_the_same_division() -> None:
    """A split can be told by its seed."""
    people = cohort()
    one, same, other = (splits.divide(people, CONFIG, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.train, same.train)
    assert not np.array_equal(one.train, other.train)


def test_a_site_is_held_out() -> None:
    """The external part is the whole site, and nothing else of it is anywhere."""
    people = cohort()
    split = splits.divide(people, Data(external_site="far"), 0)
    assert people.sites is not None
    assert np.flatnonzero(people.sites == "far").tolist() == split.external.tolist()
    assert {"near"} == set(people.sites[np.concatenate([split.train, split.validation, split.test])])


def test_an_unknown_site_is_refused() -> None:
    """The message names the sites that there are."""
    with pytest.raises(PacelineError, match="Name one of far, near"):
        splits.divide(cohort(), Data(external_site="moon"), 0)


@pytest.mark.parametrize("patients", [1, 2])
def test_too_few_patients_are_refused(patients: int) -> None:
    """One or two people cannot be divided into three parts."""
    with pytest.raises(PacelineError, match=rf"there are {patients} patient\(s\) to divide"):
        splits.divide(cohort(patients), CONFIG, 0)


def test_a_patient_in_two_parts_of_an_official_split_is_refused() -> None:
    """A split that the data bring is not trusted."""
    people = cohort()
    parts = np.array(["train", "validation", "test"] * 60, object)
    with pytest.raises(PacelineError, match="60 patients are in both train and validation"):
        splits.divide(replace(people, official=parts), CONFIG, 0)


def test_an_image_in_two_parts_is_refused() -> None:
    """The same pixels of another patient are leakage as well."""
    people = cohort()
    parts = np.repeat(np.array(["train", "train", "validation", "test"], object), 45)
    people.images[170] = people.images[0]
    with pytest.raises(PacelineError, match="1 image is in both train and test"):
        splits.divide(replace(people, official=parts), CONFIG, 0)


def test_a_missing_official_validation_is_taken_from_the_training() -> None:
    """Only patients of the training's part move; the test is untouched."""
    people = cohort()
    parts = np.repeat(np.array(["train", "train", "train", "test"], object), 45)
    split = splits.divide(replace(people, official=parts), CONFIG, 0)
    assert list(range(135, 180)) == split.test.tolist()
    assert 0.15 < len(split.validation) / 135 < 0.25


def test_folds_share_no_patient() -> None:
    """Each row is in one fold, each patient too."""
    people = cohort()
    parts = splits.folds(people, np.arange(180), 5, 0)
    assert list(range(180)) == sorted(np.concatenate(parts).tolist())
    assert 60 == sum(len(set(people.patients[part].tolist())) for part in parts)
