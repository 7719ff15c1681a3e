"""Tests of `dicom`: shades in the standard's order, and a reason for every file that has none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing
from pydicom.sequence import Sequence

from medical_imaging import dicom
from paceline.cache import Refused

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
Write = Callable[..., Path]


def test_rescale_comes_before_the_window(dicom_file: Write) -> None:
    """A window in Hounsfield units is applied to rescaled values, not to stored ones."""
    path = dicom_file(
        RAMP, bits=12, RescaleSlope=2, RescaleIntercept=-1024, RescaleType="HU", WindowCenter=0, WindowWidth=1000,
        VOILUTFunction="LINEAR_EXACT",
    )  # fmt: skip
    shades = dicom.read(path).ravel()
    assert 0.5 == pytest.approx(shades[512])
    assert 0.0 == shades[262]  # -500
    assert 1.0 == shades[762]  # 500
    assert 0.25 == pytest.approx(shades[387])  # -250


def test_monochrome1_is_inverted_after_the_window(dicom_file: Write) -> None:
    """What is windowed the same way comes out as the negative."""
    window = {"WindowCenter": 1000, "WindowWidth": 800}
    plain = dicom.read(dicom_file(RAMP, "plain.dcm", bits=12, **window))
    inverted = dicom.read(dicom_file(RAMP, "inverted.dcm", bits=12, PhotometricInterpretation="MONOCHROME1", **window))
    np.testing.assert_allclose(1 - plain, inverted)


def test_a_look_up_table_goes_before_a_window(dicom_file: Write) -> None:
    """Where a file brings both, the VOI LUT is what its machine would show; it is scaled by its own bits."""
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 10])
    table.add_new("LUTData", "OW", (np.arange(4096) // 4).astype("<u2").tobytes())
    path = dicom_file(RAMP, bits=12, VOILUTSequence=Sequence([table]), WindowCenter=1, WindowWidth=2)
    np.testing.assert_allclose((RAMP // 4) / 1023, dicom.read(path), atol=1e-6)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_are_those_of_pydicom(function: str) -> None:
    """The three functions of the standard agree with pydicom's, scaled to 0 to 1."""
    data = Dataset()
    data.WindowCenter, data.WindowWidth, data.VOILUTFunction = 2000, 1500, function
    data.PhotometricInterpretation, data.BitsStored, data.PixelRepresentation = "MONOCHROME2", 12, 0
    expected = apply_windowing(RAMP, data) / 4095
    np.testing.assert_allclose(expected, dicom.window(RAMP.astype(np.float32), 2000, 1500, function), atol=1e-5)


def test_without_a_window_percentiles_become_black_and_white(dicom_file: Write) -> None:
    """A few outliers do not squeeze the rest into one shade, and padding has no say."""
    pixels = RAMP.copy()
    pixels[0] = 60000
    shades = dicom.read(dicom_file(pixels, PixelPaddingValue=60000))
    assert 0.0 == shades[0].max()
    assert 0.45 < shades[32, 0] < 0.55


def test_frames_are_chosen_by_policy(dicom_file: Write) -> None:
    """Of several frames the first or the middle one is read, or the file is refused."""
    frames = np.stack([np.full((8, 8), value, np.uint8) for value in (0, 100, 200)])
    path = dicom_file(frames, WindowCenter=128, WindowWidth=256, VOILUTFunction="LINEAR_EXACT")
    assert 0.0 == dicom.read(path, "first").max()
    assert 100 / 256 == pytest.approx(dicom.read(path, "middle").max())
    with pytest.raises(Refused, match="several frames"):
        dicom.read(path, "refuse")


def test_a_frame_has_its_own_rescale_and_window(dicom_file: Write) -> None:
    """In enhanced objects the functional group of the frame holds what the top level does not."""
    rescale, display, group = Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, 1000, "US"
    display.WindowCenter, display.WindowWidth, display.VOILUTFunction = 1100, 400, "LINEAR_EXACT"
    group.PixelValueTransformationSequence = Sequence([rescale])
    group.FrameVOILUTSequence = Sequence([display])
    frames = np.full((2, 8, 8), 100, np.uint16)
    path = dicom_file(frames, PerFrameFunctionalGroupsSequence=Sequence([Dataset(), group]))
    assert 0.5 == pytest.approx(dicom.read(path, "middle").max())


def test_colours_stay_colours(dicom_file: Write) -> None:
    """RGB comes out as three channels from 0 to 1."""
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[..., 0] = 255
    shades = dicom.read(dicom_file(pixels))
    assert (4, 6, 3) == shades.shape
    assert [1.0, 0.0, 0.0] == shades[0, 0].tolist()


@pytest.mark.parametrize(
    "syntax",
    ["RLELossless", "JPEG2000Lossless", "JPEGLSLossless", "DeflatedExplicitVRLittleEndian", "ImplicitVRLittleEndian"],
)
def test_compression_without_loss_changes_nothing(syntax: str, dicom_file: Write, tmp_path: Path) -> None:
    """The same pixels in another transfer syntax are the same image."""
    plain = dicom_file(RAMP, bits=12, WindowCenter=2048, WindowWidth=4096)
    data = pydicom.dcmread(plain)
    target = uid.UID(getattr(uid, syntax))
    if target.is_encapsulated:
        data.compress(target, generate_instance_uid=False)
    else:
        data.file_meta.TransferSyntaxUID = target
    data.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(dicom.read(plain), dicom.read(tmp_path / "other.dcm"))


def test_a_file_without_preamble_is_read(dicom_file: Write, tmp_path: Path) -> None:
    """Old archives write the elements alone, some even without group 2."""
    path = dicom_file(RAMP, bits=12)
    bare = tmp_path / "bare.dcm"
    bare.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(dicom.read(path), dicom.read(bare))


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PhotometricInterpretation": "RGB"}, "does not fit the samples"),
        ({"PhotometricInterpretation": "MONOCHROME3"}, "is unknown"),
        ({"PhotometricInterpretation": ""}, "is unknown"),
        ({"SamplesPerPixel": 3}, "does not fit the samples"),
        ({"Rows": 0}, "no size"),
        ({"Rows": 60_000, "Columns": 60_000}, "more than 50 megapixels"),
        ({"NumberOfFrames": 20_000}, "more than 50 megapixels"),
        ({"NumberOfFrames": 9}, "cannot be decoded"),
        ({"BitsAllocated": 12}, "cannot be decoded"),
    ],
)
def test_contradicting_tags_are_refused(tags: dict[str, object], reason: str, dicom_file: Write) -> None:
    """What the header says of the pixels is checked before they are decoded."""
    with pytest.raises(Refused, match=reason):
        dicom.read(_with_tags(dicom_file(RAMP, bits=12), tags))


@pytest.mark.parametrize("name", ["PixelData", "Rows", "BitsAllocated", "PhotometricInterpretation"])
def test_missing_elements_are_refused(name: str, dicom_file: Write) -> None:
    """An object without pixels, such as a report, or without what describes them, has no image."""
    with pytest.raises(Refused, match="no pixels" if name == "PixelData" else f"the tag {name} is missing"):
        dicom.read(_with_tags(dicom_file(RAMP), {name: None}))


def test_damaged_files_are_refused(dicom_file: Write, tmp_path: Path) -> None:
    """Empty, mislabelled, and cut at any place: a reason and never another error."""
    whole = dicom_file(RAMP, bits=12).read_bytes()
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"")
    with pytest.raises(Refused, match="the file is empty"):
        dicom.read(bad)
    for content in (b"\x89PNG\r\n\x1a\n" + b"\0" * 300, b"not a scan", b"\x08\x00"):
        bad.write_bytes(content)
        with pytest.raises(Refused, match="no DICOM file"):
            dicom.read(bad)
    for length in [*range(1, 1000, 13), 2000, len(whole) - 1]:
        bad.write_bytes(whole[:length])
        with pytest.raises(Refused):
            _quietly(bad)


def test_noise_in_a_file_is_refused_or_read(dicom_file: Write, tmp_path: Path) -> None:
    """Whatever bytes of the header are flipped, nothing but a refusal is raised."""
    whole = bytearray(dicom_file(RAMP, bits=12, WindowCenter=9, WindowWidth=5).read_bytes())
    rng = np.random.default_rng(0)
    bad = tmp_path / "bad.dcm"
    refused = 0
    for _ in range(150):
        noisy = whole.copy()
        for place in rng.integers(128, 900, 3):
            noisy[place] = rng.integers(256)
        bad.write_bytes(noisy)
        try:
            shades = _quietly(bad)
        except Refused:
            refused += 1
        else:
            assert 0 <= shades.min() <= shades.max() <= 1
    assert 0 < refused < 150


def test_a_deflated_bomb_is_refused(dicom_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that would fill the memory is refused while it is inflated."""
    monkeypatch.setattr(dicom, "MAX_HEADER_BYTES", 100_000)
    path = dicom_file(np.zeros((512, 512), np.uint8))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / "bomb.dcm", enforce_file_format=True)
    assert (tmp_path / "bomb.dcm").stat().st_size < 3000
    with pytest.raises(Refused, match="inflates"):
        dicom.read(tmp_path / "bomb.dcm")


def _with_tags(path: Path, tags: dict[str, object]) -> Path:
    data = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(path)
    return path


def _quietly(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dicom.read(path)
