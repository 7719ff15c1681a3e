"""Files that are no DICOM: PNG and JPEG pictures, NIfTI volumes and masks; and how an image becomes a square.

As in `dicom`, size is read from the header before anything is decoded, and shades run from 0 (black) to 1 (white).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from medical_imaging.dicom import MAX_PIXELS, WITHOUT_WINDOW, Frame, Shades
from paceline.cache import Refused

MAX_VOXELS = 1_000_000_000
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, of red, green and blue


def read_picture(path: Path) -> Shades:
    """Return a PNG or JPEG as shades: (rows, columns), or (rows, columns, 3) for RGB.

    What has more than 8 bits holds no word on which values are in use: as without a DICOM window, percentiles become
    black and white.

    Raises:
        Refused: with the reason.
    """
    pixels = _decoded(path)
    if pixels.ndim == 3:
        pixels = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., 0]
    if pixels.dtype == np.uint8:
        return np.asarray(pixels.astype(np.float32) / 255)
    return stretched(pixels)


def read_mask(path: Path, frame: Frame = "middle") -> NDArray[np.uint8]:
    """Return the values of a mask, a PNG of 8 or 16 bits or a NIfTI slice; whatever is above 255 becomes 255."""
    values = _slice(path, frame) if path.name.endswith((".nii", ".nii.gz")) else _decoded(path)
    if values.ndim == 3:
        values = values[..., :3].max(axis=2)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def read_nifti(path: Path, frame: Frame = "middle") -> Shades:
    """Return one axial slice of a NIfTI volume, the patient's front up and right to the left, or the plane it holds.

    Black and white are the header's `cal_min` and `cal_max` where it has them, else percentiles.

    Raises:
        Refused: with the reason.
    """
    return stretched(_slice(path, frame), _display_range(path))


def stretched(values: NDArray[Any], limits: tuple[float, float] | None = None) -> Shades:
    """Return `values` from 0 to 1 between `limits`, or between low and high percentiles."""
    usable = values[np.isfinite(values)]
    if not usable.size:
        raise Refused("pixels are no numbers")
    low, high = limits or np.percentile(usable, WITHOUT_WINDOW)
    if high <= low:
        low, high = float(usable.min()), float(usable.max())
    shades = (np.nan_to_num(values, nan=float(low)) - low) / max(float(high - low), 1e-12)
    return np.asarray(np.clip(shades, 0, 1), np.float32)


def squared(shades: Shades, size_px: int, channels: int) -> NDArray[np.uint8]:
    """Return shades as (size_px, size_px, channels) from 0 to 255: padded with black to a square, then resized.

    The shape of what is seen stays as it is; a heart squeezed into a square would look enlarged.
    """
    if shades.ndim == 3 and channels == 1:
        shades = shades @ LUMINANCE
    square = cv2.resize(_padded(shades), (size_px, size_px), interpolation=_interpolation(shades, size_px))
    values = np.rint(np.clip(square, 0, 1) * 255).astype(np.uint8)
    return values if values.ndim == 3 else np.repeat(values[..., None], channels, axis=2)


def squared_mask(mask: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Return a mask in the geometry of `squared`; no value is mixed with another."""
    return np.asarray(cv2.resize(_padded(mask), (size_px, size_px), interpolation=cv2.INTER_NEAREST))


def unsquared(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return values in the geometry of `squared` as those of an image of `shape`: enlarged, without the padding."""
    rows, columns = shape
    side = max(rows, columns)
    top, left = (side - rows) // 2, (side - columns) // 2
    large = cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[top : top + rows, left : left + columns])


def is_colour(shades: Shades) -> bool:
    """Return whether an image has colours, not only three equal channels."""
    return shades.ndim == 3 and bool(np.ptp(shades, axis=2).max() > 0.02)


def _padded(image: NDArray[Any]) -> NDArray[Any]:
    rows, columns = image.shape[:2]
    side = max(rows, columns)
    top, left = (side - rows) // 2, (side - columns) // 2
    edges = (top, side - rows - top, left, side - columns - left)
    return np.asarray(cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=0)) if any(edges) else image


def _interpolation(shades: Shades, size_px: int) -> int:
    return int(cv2.INTER_AREA if max(shades.shape[:2]) > size_px else cv2.INTER_LINEAR)


def _decoded(path: Path) -> NDArray[Any]:
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as opened:  # reads the header alone
            width, height = opened.size
            kind = str(opened.format)
    except UnidentifiedImageError:
        raise Refused("the file is empty" if path.stat().st_size == 0 else "it is no PNG or JPEG") from None
    except Image.DecompressionBombError:
        raise Refused(f"it has more than {MAX_PIXELS // 10**6} megapixels") from None
    except (OSError, ValueError, SyntaxError):
        raise Refused("the file cannot be read") from None
    if width * height > MAX_PIXELS:
        raise Refused(f"it has more than {MAX_PIXELS // 10**6} megapixels")
    content = np.fromfile(path, np.uint8)
    try:
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or _cut_short(content, kind):
        raise Refused("the file is damaged or cut short")
    return np.asarray(pixels)


def _cut_short(content: NDArray[np.uint8], kind: str) -> bool:
    """Return whether the end is missing; a decoder may fill the rest with grey instead of failing."""
    end = content[-1024:].tobytes()
    return (b"IEND" if kind == "PNG" else b"\xff\xd9") not in end


def _slice(path: Path, frame: Frame) -> NDArray[Any]:
    if path.stat().st_size == 0:
        raise Refused("the file is empty")
    try:
        volume: Any = nibabel.load(path)
    except ImageFileError:
        raise Refused("it is no NIfTI file") from None
    except Exception:  # damaged headers raise anything
        raise Refused("the header is damaged") from None
    shape = volume.shape
    if int(np.prod(shape, dtype=np.int64)) > MAX_VOXELS or int(np.prod(shape[:2], dtype=np.int64)) > MAX_PIXELS:
        raise Refused("it has too many voxels")
    if not 2 <= len(shape) <= 4 or not all(shape):
        raise Refused("it is no plane, volume or series of volumes")
    several = len(shape) > 2 and shape[2] > 1
    if several and frame == "refuse":
        raise Refused("it holds several frames, and data.frame is 'refuse'")
    try:
        if len(shape) == 4:
            volume = volume.slicer[..., :1]
        if len(shape) > 2:
            volume = nibabel.as_closest_canonical(volume)  # type: ignore[no-untyped-call] # it declares no types
            place = volume.shape[2] // 2 if frame == "middle" else 0
            plane = np.asarray(volume.dataobj[:, :, place, 0] if len(shape) == 4 else volume.dataobj[:, :, place])
        else:
            plane = np.asarray(volume.dataobj)
    except Exception:  # cut short, or wrongly compressed
        raise Refused("the file is damaged or cut short") from None
    if np.iscomplexobj(plane) or plane.dtype.fields is not None:
        raise Refused("pixels are no numbers")
    turned = plane.T if len(shape) == 2 else plane.T[::-1, ::-1]  # a single plane does not say how it lies
    return np.ascontiguousarray(turned, np.float32)


def _display_range(path: Path) -> tuple[float, float] | None:
    header: Any = nibabel.load(path).header
    low, high = float(header.get("cal_min", 0) or 0), float(header.get("cal_max", 0) or 0)
    return (low, high) if high > low else None
