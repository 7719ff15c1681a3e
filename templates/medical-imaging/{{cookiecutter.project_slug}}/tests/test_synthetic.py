"""Tests of `phantom`, `films` and `synthetic`: the embedded cohort is what its description says."""

from __future__ import annotations

import csv
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medical_imaging import dicom, films, phantom, synthetic
from medical_imaging.config import Data
from paceline.cache import Refused

CONFIG = Data(patients=40, image_size_px=64)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small cohort."""
    return synthetic.write(tmp_path_factory.mktemp("cohort") / "files", CONFIG)


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Return the table of labels."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_three_files_a_patient_in_one_to_four_studies(cohort: Path) -> None:
    """Files, patients, studies and the table agree."""
    rows = rows_of(cohort)
    assert 120 == len(rows) == len(list(cohort.rglob("*.dcm")))
    studies: dict[str, set[str]] = {}
    for row in rows:
        studies.setdefault(row["patient_id"], set()).add(Path(row["file"]).parent.name)
    assert {1, 2, 3, 4} == {len(found) for found in studies.values()}
    assert 40 == len(studies)


def test_the_same_seed_writes_the_same_bytes(cohort: Path, tmp_path: Path) -> None:
    """Every file is equal, and another seed makes other ones."""
    again = synthetic.write(tmp_path / "again", CONFIG)
    other = synthetic.write(tmp_path / "other", CONFIG.model_copy(update={"seed": 1}))
    files = sorted(path.relative_to(cohort) for path in cohort.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((cohort / name).read_bytes() == (again / name).read_bytes() for name in files)
    assert (cohort / "labels.csv").read_bytes() != (other / "labels.csv").read_bytes()


def test_sites_differ_as_hospitals_do(cohort: Path) -> None:
    """Syntax, depth, photometric interpretation, rescale and display tell the site; seven syntaxes occur."""
    kinds: dict[str, set[tuple[object, ...]]] = {}
    syntaxes = set()
    for row in rows_of(cohort):
        header = pydicom.dcmread(cohort / row["file"], stop_before_pixels=True)
        syntaxes.add(header.file_meta.TransferSyntaxUID)
        display = "LUT" if "VOILUTSequence" in header else header.VOILUTFunction
        kinds.setdefault(row["site"], set()).add((header.PhotometricInterpretation, header.BitsStored, display))
    assert {("MONOCHROME2", 12, "LINEAR"), ("MONOCHROME2", 8, "LINEAR")} == kinds["A"]
    assert {("MONOCHROME1", 10, "LUT")} == kinds["B"]
    assert {("MONOCHROME2", 14, "SIGMOID")} == kinds["C"]
    assert 7 == len(syntaxes)


def test_a_reader_that_keeps_the_order_sees_all_sites_alike(cohort: Path) -> None:
    """Air around the body is dark and the middle bright, in every site; only then are the sites comparable."""
    for row in rows_of(cohort):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the file that is cut short
                shades = dicom.read(cohort / row["file"])
        except Refused:
            continue
        assert shades[30:, 30:34].mean() > 1.3 * shades[:, :2].mean()


def test_one_file_is_cut_and_one_film_filed_twice(cohort: Path) -> None:
    """The planted defects are there once each."""
    contents: dict[bytes, set[str]] = {}
    refused = 0
    for row in rows_of(cohort):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                contents.setdefault(dicom.read(cohort / row["file"]).tobytes(), set()).add(row["patient_id"])
        except Refused:
            refused += 1
    assert 1 == refused
    assert [2] == [len(patients) for patients in contents.values() if len(patients) > 1]


def test_labels_are_sometimes_uncertain_or_blank(cohort: Path) -> None:
    """All four kinds of label occur, certain ones far more often."""
    values = [row[name] for row in rows_of(cohort) for name in synthetic.CLASSES]
    shares = {kind: values.count(kind) / len(values) for kind in ("1", "0", "-1", "")}
    assert 0.02 < shares["-1"] < 0.06
    assert 0.01 < shares[""] < 0.05
    assert 0.1 < shares["1"] < shares["0"]


def test_site_b_has_more_findings_and_a_letter_that_goes_with_them() -> None:
    """The shortcut: a letter at the site where more are ill, and there more often on films of the ill."""
    a, b, c = films.SITES
    assert b.prevalence > 1.5 * max(a.prevalence, c.prevalence)
    assert b.marked[0] > 2 * b.marked[1] > 0
    assert (0, 0) == a.marked == c.marked


@pytest.mark.parametrize("finding", phantom.FINDINGS)
def test_a_finding_changes_the_image_within_its_mask(finding: phantom.Finding) -> None:
    """What is added to a healthy body attenuates, and nearly all of it lies where the mask says."""
    rng = np.random.default_rng(0)
    who = phantom.body(rng)
    how = phantom.pose(rng, lying=0)
    ill = phantom.disease(rng, {finding}, who)
    healthy = replace(ill, nodules=(), consolidations=(), effusions=(0.0, 0.0), heart_growth=0.0)
    assert {finding} == ill.findings()
    assert set() == healthy.findings()
    with_it, mask = phantom.render(who, how, ill, 128)
    without, empty = phantom.render(who, how, healthy, 128)
    more = np.maximum(with_it - without, 0)
    assert 0 == empty.max()
    assert {0, 1 + phantom.FINDINGS.index(finding)} == set(np.unique(mask))
    assert more[mask > 0].sum() > 0.6 * more.sum()


def test_fewer_photons_are_noisier() -> None:
    """The same body at a lower dose differs more from one film to the next."""
    loss = np.full((64, 64), 2.0, np.float32)
    spread = [
        films.expose(loss, replace(films.SITES[0], photons=photons), np.random.default_rng(0)).std()
        for photons in (9_000, 1_000)
    ]
    assert spread[1] > 2 * spread[0]
