"""Tests of `jpeg_lossless`: what an encoder by the standard's text writes comes back to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medical_imaging import jpeg_lossless


def encoded(image: NDArray[np.int64], predictor: int, bits: int, restart_rows: int = 0) -> bytes:
    """Return a lossless JPEG of (rows, columns, components), pixel by pixel as T.81 describes it."""
    rows, columns, components = image.shape
    codes = [f"{number:04b}" for number in range(15)] + ["11110000", "11110001"]
    output = b"\xff\xd8\xff\xc3" + _segment(
        bytes([bits]) + rows.to_bytes(2) + columns.to_bytes(2) + bytes([components])
        + b"".join(bytes([number + 1, 0x11, 0]) for number in range(components))
    )  # fmt: skip
    output += b"\xff\xc4" + _segment(bytes([0, 0, 0, 0, 15, 0, 0, 0, 2, *[0] * 8, *range(17)]))
    if restart_rows:
        output += b"\xff\xdd" + _segment((restart_rows * columns).to_bytes(2))
    scan = bytes([components]) + b"".join(bytes([number + 1, 0]) for number in range(components))
    output += b"\xff\xda" + _segment(scan + bytes([predictor, 0, 0]))
    text = ""
    for row in range(rows):
        if restart_rows and row and row % restart_rows == 0:
            output += _stuffed(text) + bytes([0xFF, 0xD0 + (row // restart_rows - 1) % 8])
            text = ""
        first = row % restart_rows == 0 if restart_rows else row == 0
        for column in range(columns):
            for part in range(components):
                left = int(image[row, column - 1, part]) if column else 0
                above = int(image[row - 1, column, part]) if not first else 0
                corner = int(image[row - 1, column - 1, part]) if column and not first else 0
                if first:
                    guess = left if column else 1 << (bits - 1)
                elif not column:
                    guess = above
                else:
                    guess = [left, above, corner, left + above - corner, left + ((above - corner) >> 1)][predictor - 1]
                difference = (int(image[row, column, part]) - guess + 32768) % 65536 - 32768
                size = 16 if difference == -32768 else abs(difference).bit_length()
                text += codes[size]
                if 0 < size < 16:
                    text += f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}"
    return output + _stuffed(text) + b"\xff\xd9"


def _segment(content: bytes) -> bytes:
    return (len(content) + 2).to_bytes(2) + content


def _stuffed(text: str) -> bytes:
    text += "1" * (-len(text) % 8)
    return bytes(int(text[place : place + 8], 2) for place in range(0, len(text), 8)).replace(b"\xff", b"\xff\x00")


@pytest.mark.parametrize("predictor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("bits", "components", "restart_rows"), [(8, 1, 0), (12, 1, 5), (16, 1, 0), (8, 3, 4)])
def test_what_was_encoded_comes_back(predictor: int, bits: int, components: int, restart_rows: int) -> None:
    """Every predictor, depth, several components, and restarts, on noise: all sizes of differences."""
    image = np.random.default_rng(predictor).integers(0, 1 << bits, (17, 13, components))
    decoded = jpeg_lossless.decode(encoded(image, predictor, bits, restart_rows))
    np.testing.assert_array_equal(image, decoded)
    assert (np.uint8 if bits == 8 else np.uint16) == decoded.dtype


def test_code_longer_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symbols that lie across the border of two chunks are read."""
    monkeypatch.setattr(jpeg_lossless, "CHUNK_BYTES", 7)
    image = np.random.default_rng(0).integers(0, 4096, (20, 20, 1))
    np.testing.assert_array_equal(image, jpeg_lossless.decode(encoded(image, 1, 12)))


def test_damaged_code_is_refused() -> None:
    """Cut or altered anywhere, the answer is an error of value or some pixels, and never a hang."""
    whole = encoded(np.random.default_rng(0).integers(0, 256, (9, 9, 1)), 1, 8)
    for length in range(len(whole) - 12):
        with pytest.raises((ValueError, IndexError, KeyError)):
            jpeg_lossless.decode(whole[:length])
    with pytest.raises(ValueError, match="predictors 6 and 7"):
        jpeg_lossless.decode(whole[:-100].replace(b"\x01\x00\x01\x00\x00", b"\x01\x00\x06\x00\x00") + whole[-100:])
