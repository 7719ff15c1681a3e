"""Images, masks and videos as arrays. What a header says is checked before anything is decoded.

A PNG of 23 kB can decode to 196 megapixels; OpenCV returns None for a file that breaks off. Both are refused, as is
what is neither PNG nor JPEG. An image is turned as its EXIF orientation says, and masks, boxes and lanes are of the
image as it is then shown.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.labels import UNKNOWN, Labels
from paceline.cache import Refused

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v")
MAX_PIXELS = 50_000_000
UNKNOWN_ID = "the mask has an id that the label map does not name"
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
PALETTE = 3  # a PNG's colour type
FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; the three others are tables
ORIENTATION = 0x0112  # the tag
TURNED = (5, 6, 7, 8)  # orientations that swap width and height


@dataclass(frozen=True)
class Header:
    """What a file says of its picture: the size as shown, after turning, and whether its pixels point to a palette."""

    width_px: int
    height_px: int
    kind: Literal["png", "jpeg"]
    palette: bool = False

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.width_px, self.height_px


def header(file: Path) -> Header:
    """Return the header of a PNG or JPEG file; nothing is decoded.

    Raises:
        Refused: it is neither, is damaged, or has more than `MAX_PIXELS`.
    """
    try:
        with file.open("rb") as opened:
            found = _header(opened)
    except OSError:
        raise Refused("the file cannot be read") from None
    except struct.error:
        raise Refused("the file breaks off in its header") from None
    if found.width_px * found.height_px > MAX_PIXELS:
        raise Refused(f"the header says more than {MAX_PIXELS // 1_000_000} megapixels")
    if not found.width_px * found.height_px:
        raise Refused("the header says no pixels")
    return found


def image(file: Path) -> NDArray[np.uint8]:
    """Return a picture as (height, width, 3) RGB, turned as its EXIF orientation says.

    Raises:
        Refused: see `header`; or it cannot be decoded.
    """
    size_px = header(file).size_px
    return _decoded(file.read_bytes(), cv2.IMREAD_COLOR_RGB, size_px)


def mask(file: Path, by: Literal["value", "colour"]) -> NDArray[Any]:
    """Return a mask as it is stored: (height, width) of values, or (height, width, 3) of RGB.

    Pixels that point to a palette count as values by their number, and as colours by what the palette says.

    Raises:
        Refused: see `header`; or it is no PNG, or holds values where colours are named, or the reverse.
    """
    found = header(file)
    if found.kind != "png":
        raise Refused("the mask is no PNG, and only that keeps its values")
    content = file.read_bytes()
    if by == "value" and found.palette:
        depth = content[24]
        grey = _decoded(_as_grey(content), cv2.IMREAD_UNCHANGED, found.size_px)
        numbers: NDArray[Any] = grey // (255 // (2**depth - 1))  # OpenCV spreads 1, 2 and 4 bits over 0 to 255
        return numbers
    pixels = _decoded(content, cv2.IMREAD_UNCHANGED, found.size_px)
    if by == "value":
        if pixels.ndim == 2:
            return pixels
        if (pixels[..., :1] == pixels[..., 1:3]).all():  # grey, stored as RGB
            return pixels[..., 0]
        raise Refused("the mask has colours, and the label map has values")
    if pixels.ndim == 2 or pixels.dtype != np.uint8:
        raise Refused("the mask is no 8-bit RGB, and the label map has colours")
    return pixels[..., 2::-1]


def resized(picture: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture stretched to `size_px`, (width, height): by area where it shrinks, else linearly."""
    height, width = picture.shape[:2]
    if (width, height) == tuple(size_px):
        return picture
    shrinks = size_px[0] <= width and size_px[1] <= height
    found: NDArray[np.uint8] = cv2.resize(
        picture, size_px, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return found


def resized_mask(indices: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return class indices stretched to `size_px`, (width, height): each pixel takes the nearest one."""
    if indices.shape[::-1] == tuple(size_px):
        return indices
    found: NDArray[np.uint8] = cv2.resize(indices, size_px, interpolation=cv2.INTER_NEAREST_EXACT)
    return found


def frame(
    image_file: Path, mask_file: Path | None, labels: Labels | None, size_px: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return an image, with its class indices as a fourth channel where there is a mask, at `size_px`.

    Raises:
        Refused: see `image` and `mask`; or the mask has another size, or ids that the label map does not name.
    """
    picture = image(image_file)
    shown = resized(picture, size_px)
    if mask_file is None or labels is None:
        return shown
    indices = labels.encode(mask(mask_file, labels.by))
    if indices.shape != picture.shape[:2]:
        raise Refused("the mask has another size than its image")
    if (indices == UNKNOWN).any():
        raise Refused(UNKNOWN_ID)
    return np.dstack([shown, resized_mask(indices, size_px)])


def is_video(file: Path) -> bool:
    """Whether a file is a video, by its suffix."""
    return file.suffix.lower() in VIDEO_SUFFIXES


@contextmanager
def video(file: Path) -> Iterator[tuple[float, Iterator[NDArray[np.uint8]]]]:
    """Open a video, and give its frames per second and its frames, (height, width, 3) RGB, one after the other.

    Raises:
        Refused: it cannot be opened, has no frame, or its frames have more than `MAX_PIXELS`.
    """
    capture = cv2.VideoCapture(str(file))
    try:
        if not capture.isOpened():
            raise Refused("the file cannot be opened as a video")
        if capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MAX_PIXELS:
            raise Refused(f"the video's frames have more than {MAX_PIXELS // 1_000_000} megapixels")
        good, first = capture.read()
        if not good:
            raise Refused("the video has no frames")
        rate = capture.get(cv2.CAP_PROP_FPS)
        yield (rate if 0 < rate <= 1000 else 25.0), _frames(capture, first)
    finally:
        capture.release()


def _frames(capture: Any, first: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    good, picture = True, first
    while good:
        yield np.ascontiguousarray(picture[..., ::-1])
        good, picture = capture.read()


def _header(opened: IO[bytes]) -> Header:
    begin = opened.read(8)
    if begin == PNG:
        length, name, width, height, _, colour_type = struct.unpack(">I4sIIBB", opened.read(18))
        if name != b"IHDR" or length != 13:
            raise Refused("the file breaks off in its header")
        return Header(width, height, "png", palette=colour_type == PALETTE)
    if begin[:2] != JPEG:
        raise Refused("the file is empty" if not begin else "the file is neither PNG nor JPEG")
    opened.seek(2)
    turned = False
    while True:
        mark, kind, length = struct.unpack(">BBH", opened.read(4))
        if mark != 0xFF or length < 2:
            raise Refused("the file breaks off in its header")
        if kind == 0xFF:  # a fill byte before the marker
            opened.seek(-3, 1)
        elif kind in FRAME_MARKERS:
            _, height, width = struct.unpack(">BHH", opened.read(5))
            return Header(height, width, "jpeg") if turned else Header(width, height, "jpeg")
        elif kind == 0xE1:
            turned = _orientation(opened.read(length - 2)) in TURNED or turned
        else:
            opened.seek(length - 2, 1)


def _orientation(segment: bytes) -> int:
    """Return the orientation that an Exif segment holds, 1 (as stored) where it holds none."""
    if segment[:6] != b"Exif\0\0":
        return 1
    tiff = segment[6:]
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == ORIENTATION:
                return int(value)
    except struct.error:
        pass
    return 1


def _decoded(content: bytes, flags: int, size_px: tuple[int, int]) -> NDArray[Any]:
    if content.startswith(PNG) and b"IEND" not in content[-1024:]:  # libpng would complain on the terminal
        raise Refused("the file breaks off or is damaged")
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise Refused("the file breaks off or is damaged")
    if pixels.shape[1::-1] != size_px:
        raise Refused("the picture has another size than its header says")
    found: NDArray[Any] = pixels
    return found


def _as_grey(content: bytes) -> bytes:
    """Return a PNG with a palette as one whose grey values are the palette's numbers; the pixels stay."""
    parts, place = [PNG], len(PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        name, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        if name == b"IHDR":
            data = data[:9] + b"\0" + data[10:]
        if name not in (b"PLTE", b"tRNS"):
            parts.append(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
        place += 12 + length
    return b"".join(parts)
