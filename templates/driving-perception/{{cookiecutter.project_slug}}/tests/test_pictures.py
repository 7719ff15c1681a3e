"""Images, masks and videos: what is bad is refused before or in decoding, what is unusual is read rightly."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from driving_perception import labels, pictures
from paceline.cache import Refused

Write = Callable[..., Path]
EXIF_TURNED = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def png(header: tuple[int, int, int, int], chunks: dict[bytes, bytes]) -> bytes:
    """Return a PNG of width, height, bits and colour type, and these chunks."""
    parts = {b"IHDR": struct.pack(">IIBBBBB", *header, 0, 0, 0), **chunks, b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts.items()
    )


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    """A PNG of some kilobytes that would decode to 196 megapixels is never decoded."""
    file = tmp_path / "bomb.png"
    file.write_bytes(png((14_000, 14_000, 8, 0), {b"IDAT": zlib.compress(bytes(14_001) * 2)}))
    with pytest.raises(Refused, match="more than 50 megapixels"):
        pictures.image(file)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_file_that_breaks_off_is_refused(tmp_path: Path, picture: Write, suffix: str, share: float) -> None:
    """Empty, in its header, in its middle or just before its end."""
    file = picture(tmp_path / f"a.{suffix}")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(Refused, match=r"empty|breaks off|neither PNG nor JPEG"):
        pictures.image(file)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    """A text under the name of an image is none."""
    (tmp_path / "a.png").write_text("no picture at all")
    with pytest.raises(Refused, match="neither PNG nor JPEG"):
        pictures.image(tmp_path / "a.png")


def test_exif_orientation_turns_the_picture(tmp_path: Path, picture: Write) -> None:
    """The header's size is that of the picture as it is shown."""
    file = picture(tmp_path / "a.jpg", 64, 48)
    content = file.read_bytes()
    file.write_bytes(content[:2] + EXIF_TURNED + content[2:])
    assert (48, 64) == pictures.header(file).size_px
    assert (64, 48, 3) == pictures.image(file).shape


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_palette_counts_by_its_numbers(tmp_path: Path, bits: int) -> None:
    """Pixels that point to a palette are values, whatever colours it holds; PASCAL VOC's masks are such."""
    per_byte = 8 // bits
    row = b"\0" + bytes([1 << (8 - bits)]) + bytes(8 // per_byte - 1)  # the first pixel is 1, the others 0
    palette = bytes([9, 9, 9, 200, 100, 50])
    file = tmp_path / "a.png"
    file.write_bytes(png((8, 1, bits, 3), {b"PLTE": palette, b"IDAT": zlib.compress(row)}))
    assert [[1, 0, 0, 0, 0, 0, 0, 0]] == pictures.mask(file, "value").tolist()
    assert [200, 100, 50] == pictures.mask(file, "colour")[0, 0].tolist()


def test_a_mask_of_another_mode_is_refused(tmp_path: Path, picture: Write, mask: Write) -> None:
    """Colours where values are named, values where colours are, and a JPEG, which keeps neither."""
    with pytest.raises(Refused, match="the mask has colours"):
        pictures.mask(mask(tmp_path / "a.png", (1, 2, 3)), "value")
    with pytest.raises(Refused, match="no 8-bit RGB"):
        pictures.mask(mask(tmp_path / "b.png", 1), "colour")
    with pytest.raises(Refused, match="no PNG"):
        pictures.mask(picture(tmp_path / "c.jpg"), "value")


def test_values_of_16_bits_and_grey_in_three_channels_are_read(tmp_path: Path, mask: Write) -> None:
    """Both are common exports of label tools."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 4), 1000, np.uint16))
    assert 1000 == pictures.mask(tmp_path / "a.png", "value")[0, 0]
    assert (48, 64) == pictures.mask(mask(tmp_path / "b.png", (7, 7, 7)), "value").shape


def test_a_mask_is_scaled_to_its_nearest_values(tmp_path: Path, picture: Write, mask: Write) -> None:
    """No class appears between two classes, and the border stays where it is in the image."""
    image, values = picture(tmp_path / "a.png"), mask(tmp_path / "m.png", 10, left=0)
    found = pictures.frame(image, values, labels.camvid("value"), (32, 24))
    assert (24, 32, 4) == found.shape
    assert [0] * 16 + [10] * 16 == found[0, :, 3].tolist()


def test_video_gives_rate_and_frames(tmp_path: Path) -> None:
    """Every frame comes, in RGB."""
    file = tmp_path / "a.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), 10.0, (64, 48))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))  # red, in OpenCV's order
    writer.release()
    with pictures.video(file) as (rate, frames):
        shown = list(frames)
    assert (10.0, 3) == (rate, len(shown))
    assert shown[0][..., 0].mean() > 200 > 60 > shown[0][..., 2].mean()


def test_video_without_frames_is_refused(tmp_path: Path) -> None:
    """An empty file and a video that was closed before its first frame."""
    (tmp_path / "a.mp4").write_bytes(b"")
    with (
        pytest.raises(Refused, match=r"cannot be opened as a video|no frames"),
        pictures.video(tmp_path / "a.mp4"),
    ):
        pass
