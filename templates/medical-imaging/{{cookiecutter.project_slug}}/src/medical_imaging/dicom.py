"""One DICOM file to one image, in the standard's order, with everything that can be wrong with it refused by a reason.

The header is read first: what has no pixels, too many, or tags that contradict each other is refused before anything
is decoded. Then: stored values → modality LUT or rescale → VOI LUT or window → inversion of MONOCHROME1
(PS3.3 C.11.1, C.11.2 and C.7.6.3). What comes out are shades from 0 (black) to 1 (white).
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medical_imaging import decoders
from paceline.cache import Refused

Frame = Literal["first", "middle", "refuse"]
Shades = NDArray[np.float32]
MAX_PIXELS = 50_000_000  # rows × columns × frames of one file, known before anything is decoded
MAX_HEADER_BYTES = 2**30  # of an inflated file: a small deflated one may grow a thousandfold
PREAMBLE_BYTES = 132
SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3}
SAMPLES |= {"YBR_ICT": 3, "YBR_RCT": 3, "YBR_PARTIAL_420": 3, "YBR_PARTIAL_422": 3}
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
WITHOUT_WINDOW = (0.5, 99.5)  # percentiles that become black and white where a file says nothing
REQUIRED = ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "PhotometricInterpretation")


def header(path: Path) -> Dataset:
    """Return all elements but the pixels.

    Raises:
        Refused: it is empty, no DICOM, or its header is damaged.
    """
    _check_inflated_size(path)
    return _parsed(path, stop_before_pixels=True)


def dataset(path: Path) -> Dataset:
    """Return all elements, the encoded pixels included.

    Raises:
        Refused: see `header`.
    """
    _check_inflated_size(path)
    return _parsed(path, stop_before_pixels=False)


def read(path: Path, frame: Frame = "middle") -> Shades:
    """Return the image of a file: (rows, columns) for shades of grey, (rows, columns, 3) for RGB; from 0 to 1.

    Args:
        path: of the file.
        frame: which image of several to take; `refuse` takes none of them.

    Raises:
        Refused: with the reason, which holds nothing of the file's content.
    """
    data = dataset(path)
    index = _check(data, frame)
    try:
        return _shades(data, index)
    except Refused:
        raise
    except MemoryError:
        raise Refused("the pixels do not fit into memory") from None
    except Exception:  # decoders raise anything on damaged data, and their messages may hold it
        raise Refused("the pixels cannot be decoded") from None


def window(values: Shades, centre: float, width: float, function: str = "LINEAR") -> Shades:
    """Return shades from 0 to 1 by the VOI LUT function of PS3.3 C.11.2.1.2 and C.11.2.1.3.

    >>> window(np.float32([-1000, 40, 1000]), 40, 400, "LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -60, 60))), np.float32)
    if function == "LINEAR":
        shade = (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    else:
        shade = (values - centre) / width + 0.5
    return np.asarray(np.clip(shade, 0, 1), np.float32)


def frames(data: Dataset) -> int:
    """Return how many images a file holds."""
    try:
        return max(1, int(data.get("NumberOfFrames") or 1))
    except (TypeError, ValueError):
        raise Refused("the number of frames is no number") from None


def _parsed(path: Path, *, stop_before_pixels: bool) -> Dataset:
    if path.stat().st_size == 0:
        raise Refused("the file is empty")
    bare = _lacks_preamble(path)
    try:
        data = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels, force=bare)
        if "TransferSyntaxUID" not in data.file_meta:
            if not bare:
                raise Refused("the transfer syntax is missing")
            data.file_meta.TransferSyntaxUID = _guessed_syntax(data)
        for element in data:  # values are parsed when they are asked for
            _ = element.value
    except InvalidDicomError:
        raise Refused("it is no DICOM file") from None
    except Refused:
        raise
    except Exception:  # pydicom raises anything on damaged data, OSError included
        raise Refused("the header is damaged") from None
    return data


def _lacks_preamble(path: Path) -> bool:
    """Return whether the file begins with an element of group 2 or 8, as old archives write them, not with a preamble.

    Raises:
        Refused: it begins otherwise, so it is something else.
    """
    with path.open("rb") as file:
        start = file.read(PREAMBLE_BYTES)
    if start[128:] == b"DICM":
        return False
    if start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00" and len(start) == PREAMBLE_BYTES:
        return True
    raise Refused("it is no DICOM file")


def _guessed_syntax(data: Dataset) -> UID:
    """Return the syntax that a file without group 2 was read by."""
    implicit, little = data.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _check_inflated_size(path: Path) -> None:
    """Refuse a deflated file that would inflate to more than `MAX_HEADER_BYTES`."""
    try:
        syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    except Exception:  # whatever is wrong here, the reader proper will say
        return
    if syntax != DeflatedExplicitVRLittleEndian:
        return
    with path.open("rb") as file:
        file.seek(PREAMBLE_BYTES + 8)  # the value of the first element, the length of those that follow it
        file.seek(int.from_bytes(file.read(4), "little"), 1)
        inflating, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        try:
            while block := inflating.unconsumed_tail or file.read(2**16):
                size += len(inflating.decompress(block, 2**20))
                if size > MAX_HEADER_BYTES:
                    raise Refused("it inflates to more than a gigabyte")
        except zlib.error:
            raise Refused("the deflated content is damaged") from None


def _check(data: Dataset, frame: Frame) -> int:
    """Return the number of the frame to decode, or refuse by what the header says."""
    if not any(name in data for name in PIXELS):
        raise Refused("it holds no pixels, or is cut short")
    if missing := [name for name in REQUIRED if data.get(name) is None]:
        raise Refused(f"the tag {missing[0]} is missing")
    photometric, samples = str(data.PhotometricInterpretation).strip().upper(), data.SamplesPerPixel
    if photometric not in SAMPLES:
        raise Refused("the photometric interpretation is unknown")
    if SAMPLES[photometric] != samples:
        raise Refused("the photometric interpretation does not fit the samples per pixel")
    rows, columns, count = data.Rows, data.Columns, frames(data)
    if not all(isinstance(number, int) and number > 0 for number in (rows, columns)):
        raise Refused("the image has no size")
    if rows * columns * count > MAX_PIXELS:
        raise Refused(f"it has more than {MAX_PIXELS // 10**6} megapixels")
    if count > 1 and frame == "refuse":
        raise Refused("it holds several frames, and data.frame is 'refuse'")
    decoders.require(data.file_meta.TransferSyntaxUID)
    return count // 2 if frame == "middle" else 0


def _shades(data: Dataset, index: int) -> Shades:
    stored = pixel_array(data, index=index)
    photometric = str(data.PhotometricInterpretation).strip().upper()
    if photometric == "PALETTE COLOR":
        colours = apply_color_lut(stored, data)
        top = 65535 if colours.max() > 255 else 255  # tables of 16 bits often hold values of 8
        return np.asarray(colours[..., :3].astype(np.float32) / np.float32(top))
    if SAMPLES[photometric] == 3:
        return np.asarray(stored.astype(np.float32) / np.float32(2 ** int(data.BitsStored) - 1))
    padding = _padding(stored, data)
    values = _rescaled(stored, data, index)
    shades = _windowed(values, data, index, padding)
    if photometric == "MONOCHROME1":
        shades = 1 - shades
    if not np.isfinite(shades).all():
        raise Refused("pixels are no numbers")
    if padding is not None:
        shades = np.where(padding, np.float32(0), shades)
    return np.asarray(shades, np.float32)


def _rescaled(stored: NDArray[Any], data: Dataset, index: int) -> NDArray[Any]:
    """Return the modality's values: by its look-up table, or slope and intercept of the file or of the frame."""
    own = _of_frame(data, index, "PixelValueTransformationSequence")
    return np.asarray(apply_modality_lut(stored, own if own is not None else data))


def _windowed(values: NDArray[Any], data: Dataset, index: int, padding: NDArray[np.bool_] | None) -> Shades:
    """Return shades by the VOI LUT, else the window, else percentiles of the image."""
    own = _of_frame(data, index, "FrameVOILUTSequence")
    source = own if own is not None else data
    if source.get("VOILUTSequence"):
        bits = int(source.VOILUTSequence[0].LUTDescriptor[2])
        whole = np.rint(values).astype(np.int64)  # a table is looked up by whole numbers
        return np.asarray(apply_voi(whole, source).astype(np.float32) / np.float32(2**bits - 1))
    centre, width = _first(source.get("WindowCenter")), _first(source.get("WindowWidth"))
    if centre is not None and width is not None and width >= 1:
        return window(values.astype(np.float32), centre, width, str(source.get("VOILUTFunction") or "LINEAR").upper())
    usable = values[np.isfinite(values) & ~padding] if padding is not None else values[np.isfinite(values)]
    low, high = np.percentile(usable, WITHOUT_WINDOW) if usable.size else (0.0, 1.0)
    if high <= low:  # nearly all of one value: take the whole range
        low, high = (float(usable.min()), float(usable.max())) if usable.size else (0.0, 1.0)
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)


def _padding(stored: NDArray[Any], data: Dataset) -> NDArray[np.bool_] | None:
    """Return where there is no image, by Pixel Padding Value and its limit."""
    value = data.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = data.get("PixelPaddingRangeLimit")
    other = limit if isinstance(limit, int) else value
    return (stored >= min(value, other)) & (stored <= max(value, other))


def _of_frame(data: Dataset, index: int, name: str) -> Dataset | None:
    """Return the item of a functional group that holds for a frame, its own before the shared one."""
    for groups, place in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        items = data.get(groups)
        if items and place < len(items) and items[place].get(name):
            return items[place].get(name)[0]  # type: ignore[no-any-return] # pydicom's sequences hold data sets
    return None


def _first(value: Any) -> float | None:
    """Return the first of one or several numbers; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        return float(value[0]) if len(value) else None
    return float(value)
