"""JPEG Lossless (ITU-T T.81, process 14), the commonest compression in hospitals' archives.

Its known decoders are under the GPL or need a compiler, so it is done here, as a plug-in of pydicom. A Huffman code can
only be read one symbol after another; but where the next symbol begins is worked out for every bit at once, and then
the chain is followed. Differences become pixels by cumulative sums. One megapixel takes a few tenths of a second.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import JPEGLossless, JPEGLosslessSV1

DECODER_DEPENDENCIES = {JPEGLossless: ("numpy",), JPEGLosslessSV1: ("numpy",)}
CHUNK_BYTES = 2**20  # of the code, worked on at a time
SOF3, DHT, SOS, DRI = 0xC3, 0xC4, 0xDA, 0xDD
OTHER_FRAMES = frozenset(range(0xC0, 0xD0)) - {SOF3, DHT, 0xC8, 0xCC}
MARKER = re.compile(rb"\xff[\x01-\xfe]")
MODULUS = 2**16


@dataclass(frozen=True)
class Table:
    """A Huffman code, by the next 16 bits: how long the code is (0: there is none) and the size of the difference."""

    lengths: NDArray[np.uint8]
    sizes: NDArray[np.uint8]


def is_available(uid: str) -> bool:
    """Return whether pydicom may use this plug-in for a transfer syntax."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """Decode a frame for pydicom."""
    pixels = decode(src)
    runner.set_option("bits_allocated", 8 * pixels.itemsize)
    if pixels.shape[2] > 1:
        runner.set_option("planar_configuration", 0)
    return pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()


def decode(src: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return the samples of a JPEG, (rows, columns, components).

    Raises:
        ValueError: it is no lossless JPEG, uses what DICOM's writers do not, or is damaged.
    """
    tables: dict[int, Table] = {}
    shape, precision, order, restart, place = (0, 0, 0), 0, [0], 0, 2
    if src[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    while place + 4 <= len(src):
        marker, length = src[place + 1], int.from_bytes(src[place + 2 : place + 4])
        part = src[place + 4 : place + 2 + length]
        place += 2 + length
        if marker == SOF3:
            precision = part[0]
            shape = (int.from_bytes(part[1:3]), int.from_bytes(part[3:5]), part[5])
            order = list(part[6::3])
            if any(sampling != 0x11 for sampling in part[7::3]) and shape[2] > 1:
                raise ValueError("subsampled")
        elif marker in OTHER_FRAMES:
            raise ValueError("no lossless JPEG")
        elif marker == DHT:
            tables |= _tables(part)
        elif marker == DRI:
            restart = int.from_bytes(part[:2])
        elif marker == SOS:
            if part[0] != shape[2] or list(part[1 : 1 + 2 * part[0] : 2]) != order or 0 in shape:
                raise ValueError("components in several scans")
            used = [tables[part[2 + 2 * number] >> 4] for number in range(part[0])]
            predictor, shift = part[1 + 2 * part[0]], part[3 + 2 * part[0]] & 15
            differences = _differences(src[place:], used, shape, restart)
            values = np.concatenate([_predicted(rows, predictor, precision - shift) for rows in differences])
            samples = (values << shift) % MODULUS
            return samples.astype(np.uint8) if precision <= 8 else samples.astype(np.uint16)
    raise ValueError("cut short")


def _tables(part: bytes) -> dict[int, Table]:
    """Return the Huffman tables of a DHT segment by their number."""
    found = {}
    while part:
        counts, values = part[1:17], part[17 : 17 + sum(part[1:17])]
        lengths, sizes = np.zeros(MODULUS, np.uint8), np.zeros(MODULUS, np.uint8)
        code, at = 0, 0
        for length, count in enumerate(counts, start=1):
            for value in values[at : at + count]:
                first = code << (16 - length)
                lengths[first : first + (1 << (16 - length))] = length
                sizes[first : first + (1 << (16 - length))] = value
                code += 1
            at += count
            code <<= 1
        if len(values) != sum(counts) or max(values, default=0) > 16:
            raise ValueError("no table of a lossless JPEG")
        found[part[0] & 15] = Table(lengths, sizes)
        part = part[17 + len(values) :]
    return found


def _differences(
    code: bytes, tables: Sequence[Table], shape: tuple[int, int, int], restart: int
) -> list[NDArray[np.int64]]:
    """Return the differences between the restarts, each (rows, columns, components)."""
    rows, columns, components = shape
    if restart % columns:
        raise ValueError("a restart within a row")
    markers = list(MARKER.finditer(code))
    end = next((match.start() for match in markers if not 0xD0 <= code[match.start() + 1] <= 0xD7), len(code))
    cuts = [match.start() for match in markers if match.start() < end]
    starts = [0, *(cut + 2 for cut in cuts)]
    step = restart // columns or rows
    found = []
    for first, (start, stop) in zip(range(0, rows, step), zip(starts, [*cuts, end], strict=True), strict=True):
        count = min(step, rows - first)
        plain = code[start:stop].replace(b"\xff\x00", b"\xff")
        symbols = _symbols(np.frombuffer(plain, np.uint8), tables, count * columns * components)
        found.append(symbols.reshape(count, columns, components))
    return found


def _symbols(code: NDArray[np.uint8], tables: Sequence[Table], count: int) -> NDArray[np.int64]:
    """Return `count` differences; those of the components take turns."""
    padded = np.concatenate([code, np.full(8, 255, np.uint8)]).astype(np.int64)
    turns = len(tables)
    places: list[int] = []
    place = 0
    for start in range(0, len(code), CHUNK_BYTES):
        stop = min(start + CHUNK_BYTES, len(code))
        here = padded[start : stop + 3]
        ahead = (here[:-3] << 16) | (here[1:-2] << 8) | here[2:-1]
        window = ((ahead[:, None] >> (8 - np.arange(8))) & 0xFFFF).ravel()
        base, limit = 8 * start, 8 * stop
        steps = [memoryview(_step(table)[window]) for table in tables]
        while place < limit and len(places) < count:
            places.append(place)
            place += steps[len(places) % turns - 1][place - base]
    if len(places) < count or place > 8 * len(code):
        raise ValueError("cut short")
    at = np.array(places)
    table = np.arange(count) % turns
    window = (_bits(padded, at) >> 16) & 0xFFFF
    lengths = np.stack([table.lengths for table in tables])[table, window].astype(np.int64)
    sizes = np.stack([table.sizes for table in tables])[table, window].astype(np.int64)
    if not lengths.all():
        raise ValueError("damaged")
    extra = np.where(sizes < 16, sizes, 0)
    value = _bits(padded, at + lengths) >> (32 - extra)
    difference = np.where(value < (1 << np.maximum(extra, 1) - 1), value - (1 << extra) + 1, value)
    return np.where(sizes == 0, 0, np.where(sizes == 16, MODULUS // 2, difference))


def _step(table: Table) -> NDArray[np.uint8]:
    """Return how many bits a symbol takes, difference included; at least one, so that damage cannot stop the chain."""
    return np.maximum(table.lengths + np.where(table.sizes < 16, table.sizes, 0), 1).astype(np.uint8)


def _bits(padded: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the 32 bits from each place on."""
    byte, offset = places >> 3, places & 7
    whole = np.zeros(len(places), np.int64)
    for number in range(5):
        whole = (whole << 8) | padded[byte + number]
    return (whole >> (8 - offset)) & 0xFFFFFFFF


def _predicted(differences: NDArray[np.int64], predictor: int, bits: int) -> NDArray[np.int64]:
    """Return samples by table H.1 of T.81; the first row is predicted from the left, the first column from above."""
    steps = differences.copy()
    steps[0, 0] += 1 << (bits - 1)
    if predictor == 1:  # left
        steps[:, 0] = np.cumsum(steps[:, 0], axis=0)
        return np.cumsum(steps, axis=1) % MODULUS
    if predictor == 4:  # left + above - above left
        return np.cumsum(np.cumsum(steps, axis=0), axis=1) % MODULUS
    values = np.cumsum(steps[:1], axis=1) % MODULUS
    rows = [values[0]]
    for step in steps[1:]:
        above = rows[-1]
        row = above + step
        if predictor == 3:  # above left
            row[1:] = above[:-1] + step[1:]
        elif predictor == 5:  # left + half of what above rises
            row = np.cumsum(np.concatenate([row[:1], step[1:] + ((above[1:] - above[:-1]) >> 1)]), axis=0)
        elif predictor != 2:  # 2: above
            raise ValueError("predictors 6 and 7 are not supported")
        rows.append(row % MODULUS)
    return np.stack(rows)
