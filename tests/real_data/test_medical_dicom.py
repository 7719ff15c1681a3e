"""The medical template on public test files of many scanners and writers: each is read, or refused with a reason."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from medical_imaging import data, dicom, splits
from medical_imaging.config import Data
from paceline.cache import Refused
from paceline.quarantine import Quarantine

SAMPLES = Path(os.environ.get("PACELINE_SAMPLE_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "medical"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not (SAMPLES / "dicom").exists(), reason=f"the DICOM sample data is not in {SAMPLES}"),
]


def test_every_file_is_read_or_refused_and_nine_in_ten_are_read() -> None:
    """No file raises anything else, and shades are finite and from 0 to 1."""
    read, reasons = 0, Counter[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted((SAMPLES / "dicom").glob("*.dcm")):
            try:
                shades = dicom.read(path)
            except Refused as error:
                reasons[error.reason] += 1
            else:
                read += 1
                assert np.isfinite(shades).all()
                assert 0 <= shades.min() <= shades.max() <= 1
    with_pixels = read + sum(reasons.values()) - reasons["it holds no pixels, or is cut short"]
    assert read >= 0.9 * with_pixels, reasons


def test_an_image_is_the_same_in_every_syntax() -> None:
    """The sample's lossless twins decode to equal shades."""
    twins = ("emri_small.dcm", "emri_small_RLE.dcm", "emri_small_big_endian.dcm", "emri_small_jpeg_ls_lossless.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, *others = (dicom.read(SAMPLES / "dicom" / name) for name in twins)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_breastmnist_keeps_its_test_images() -> None:
    """An image that is in the training and the test is left out of the training alone."""
    config = Data(source="medmnist", path=str(SAMPLES / "medmnist" / "breastmnist.npz"), image_size_px=28)
    cohort = data.load(config, "multiclass", Quarantine())
    split = splits.divide(cohort, config, seed=0)
    assert [545, 78, 156] == [len(part) for part in (split.train, split.validation, split.test)]
