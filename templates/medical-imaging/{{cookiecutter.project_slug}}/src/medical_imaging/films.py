"""Three hospitals and what their machines make of the same rays: exposure, noise, blur, and how pixels are stored.

Display values agree between the sites only if a reader keeps to the standard's order: rescale, then window or look-up
table, then inversion of MONOCHROME1. Who skips a step sees site B as a negative and site C without contrast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
LEVELS = 4096  # of the scale that films share after their rescale: twelve bits
LOSS_AT_TOP = 5.0  # line integral that is white


@dataclass(frozen=True)
class Storage:
    """How a machine writes pixels: stored value × slope + intercept is the level of 4096 (for MONOCHROME1, reversed).

    Attributes:
        syntax: the keyword of the transfer syntax in `pydicom.uid`.
        bits: that are used of a pixel.
        display: how levels become shades of grey.
        window: centre and width for `display`, in levels.
    """

    syntax: str
    bits: int
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    slope: float
    intercept: float
    display: Literal["LINEAR", "SIGMOID", "LUT"]
    window: tuple[int, int]


@dataclass(frozen=True)
class Site:
    """A hospital.

    Attributes:
        share: of all patients.
        prevalence: how probable each finding is.
        lying: share of films that are taken of patients in bed (AP).
        photons: that reach a pixel through air.
        blur_px: standard deviation of the detector's blur, at 128 pixels.
        marked: share of films with a burned-in letter: among those with a finding, among those without.
        storages: of its machines.
    """

    name: str
    share: float
    prevalence: float
    lying: float
    photons: float
    blur_px: float
    marked: tuple[float, float]
    storages: tuple[Storage, ...]


def _of_a(syntax: str, bits: int = 12, slope: float = 1.0) -> Storage:
    return Storage(syntax, bits, "MONOCHROME2", slope, 0.0, "LINEAR", (1750, 2900))


def _of_b(syntax: str) -> Storage:
    return Storage(syntax, 10, "MONOCHROME1", 4.0, 0.0, "LUT", (1800, 3000))


def _of_c(syntax: str) -> Storage:
    return Storage(syntax, 14, "MONOCHROME2", 0.5, -1024.0, "SIGMOID", (1700, 2600))


SITES = (
    Site(
        "A",
        share=0.5,
        prevalence=0.17,
        lying=0.15,
        photons=9_000,
        blur_px=0.45,
        marked=(0.0, 0.0),
        storages=(
            _of_a("ExplicitVRLittleEndian"),
            _of_a("DeflatedExplicitVRLittleEndian"),
            _of_a("JPEGLSLossless"),
            _of_a("JPEGBaseline8Bit", bits=8, slope=16.0),
        ),
    ),
    Site(
        "B",
        share=0.3,
        prevalence=0.36,
        lying=0.55,
        photons=4_000,
        blur_px=0.6,
        marked=(0.95, 0.45),
        storages=(_of_b("RLELossless"), _of_b("JPEG2000Lossless")),
    ),
    Site(
        "C",
        share=0.2,
        prevalence=0.22,
        lying=0.25,
        photons=6_000,
        blur_px=0.5,
        marked=(0.0, 0.0),
        storages=(_of_c("ImplicitVRLittleEndian"), _of_c("ExplicitVRLittleEndian"), _of_c("JPEG2000Lossless")),
    ),
)


def expose(loss: Image, site: Site, rng: np.random.Generator) -> Image:
    """Return the film's levels, 0 to 4095: fewer photons behind denser tissue, so more noise; then the blur."""
    expected = site.photons * np.exp(-loss)
    counts = expected + np.sqrt(expected) * rng.standard_normal(loss.shape, dtype=np.float32)  # Poisson's limit
    counts = cv2.GaussianBlur(np.maximum(counts, 1).astype(np.float32), (0, 0), site.blur_px * loss.shape[0] / 128)
    level = -np.log(counts / site.photons) * np.float32((LEVELS - 1) / LOSS_AT_TOP)
    return np.asarray(np.clip(level, 0, LEVELS - 1), np.float32)


def mark(levels: Image, text: str) -> Image:
    """Return `levels` with `text` burned into the upper right corner."""
    size = len(levels)
    drawn = np.zeros(levels.shape, np.uint8)
    place = (int(size * 0.86), int(size * 0.15))
    cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, size / 256, 255, max(1, size // 100), cv2.LINE_AA)
    return np.asarray(np.maximum(levels, drawn * np.float32((LEVELS - 1) / 255)), np.float32)


def stored(levels: Image, storage: Storage) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return the pixel values that `storage` writes for `levels`."""
    if storage.photometric == "MONOCHROME1":
        levels = LEVELS - 1 - levels
    values: NDArray[np.float32] = np.rint((levels - storage.intercept) / storage.slope)
    values = np.clip(values, 0, 2**storage.bits - 1)
    return values.astype(np.uint8) if storage.bits <= 8 else values.astype(np.uint16)


def lookup_table(storage: Storage) -> NDArray[np.uint16]:
    """Return the VOI look-up table of a machine that brings one: by level, shades of 12 bits along a soft curve."""
    centre, width = storage.window
    if storage.photometric == "MONOCHROME1":
        centre = LEVELS - 1 - centre
    shade = 1 / (1 + np.exp(-4 * (np.arange(LEVELS) - centre) / width))
    return np.rint(shade * (LEVELS - 1)).astype(np.uint16)
