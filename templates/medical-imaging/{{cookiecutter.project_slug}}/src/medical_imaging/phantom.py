"""Chest radiographs that nobody had to be exposed for: a body, what is wrong with it, and what the rays lose in it.

`render` gives line integrals of attenuation and the places of the findings; noise, detector and site come in `films`.
Coordinates run from -1 to 1, x to the right of the image (the patient's left), y downwards. The shapes are simple, but
what makes reading hard is there: vessels and ribs that hide a nodule, hearts of every width, stout patients, bad
inspiration. So findings overlap with their absence, and no reader can be right always.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]  # of floats
Finding = Literal["nodule", "consolidation", "effusion", "cardiomegaly"]
FINDINGS: tuple[Finding, ...] = ("nodule", "consolidation", "effusion", "cardiomegaly")
DRAWN = ("cardiomegaly", "effusion", "consolidation", "nodule")  # later ones cover earlier ones in the mask
LUNG_LOSS = 1.5  # line integral that air saves
RIB_PAIRS = 9


@dataclass(frozen=True)
class Body:
    """What stays the same in all studies of a patient; lengths are shares of half the image's width."""

    sex: Literal["F", "M"]
    age_years: int
    habitus: float  # thickness against the average
    lung_half_width: float
    lung_half_height: float
    heart_half_width: float  # where the heart is not enlarged
    rib_phase: float
    vessels: int  # seed of their pattern


@dataclass(frozen=True)
class Pose:
    """How the patient stood or lay for one film."""

    view: Literal["PA", "AP"]
    shift: tuple[float, float]
    rotation_degrees: float
    scale: float
    inspiration: float  # 1 is full


@dataclass(frozen=True)
class Spot:
    """Where a finding lies and how much it attenuates."""

    x: float
    y: float
    radius: float
    loss: float
    seed: int = 0


@dataclass(frozen=True)
class Disease:
    """What is wrong with a body at one moment; all zero and empty where nothing is."""

    nodules: tuple[Spot, ...] = ()
    consolidations: tuple[Spot, ...] = ()
    effusions: tuple[float, float] = (0.0, 0.0)  # depth of the fluid on the image's left and right
    heart_growth: float = 0.0  # of its half width
    mimics: tuple[Spot, ...] = field(default=())  # round shadows that are none: nipples, vessels seen end-on

    def findings(self) -> frozenset[Finding]:
        """Return the names of what is present."""
        present: dict[Finding, bool] = {
            "nodule": bool(self.nodules),
            "consolidation": bool(self.consolidations),
            "effusion": any(self.effusions),
            "cardiomegaly": self.heart_growth > 0,
        }
        return frozenset(name for name, found in present.items() if found)


def body(rng: np.random.Generator) -> Body:
    """Return a patient: women have narrower lungs, the old wider hearts."""
    sex: Literal["F", "M"] = "F" if rng.random() < 0.48 else "M"
    age = int(np.clip(rng.normal(58, 16), 18, 89))
    return Body(
        sex=sex,
        age_years=age,
        habitus=float(np.clip(rng.normal(1.0, 0.14), 0.7, 1.5)),
        lung_half_width=float(rng.normal(0.345 if sex == "M" else 0.33, 0.018)),
        lung_half_height=float(rng.normal(0.68, 0.035)),
        heart_half_width=float(rng.normal(0.32 + 0.0006 * (age - 58), 0.022)),
        rib_phase=float(rng.uniform(0, 1)),
        vessels=int(rng.integers(2**31)),
    )


def pose(rng: np.random.Generator, *, lying: float) -> Pose:
    """Return how a film was taken; `lying` is the share of AP films, which widen the heart and lift the diaphragm."""
    view: Literal["PA", "AP"] = "AP" if rng.random() < lying else "PA"
    return Pose(
        view=view,
        shift=(float(rng.normal(0, 0.04)), float(rng.normal(0, 0.04))),
        rotation_degrees=float(rng.normal(0, 2.0)),
        scale=float(rng.normal(1.0, 0.04)),
        inspiration=float(np.clip(rng.normal(0.88 if view == "AP" else 1.0, 0.05), 0.7, 1.1)),
    )


def disease(rng: np.random.Generator, findings: Iterable[Finding], who: Body) -> Disease:
    """Return a course of the given findings, from hardly visible to plain."""
    wanted = set(findings)
    fluid = 0.14 + 0.3 * rng.beta(1.3, 2.2)
    side = int(rng.integers(2))
    both = fluid * rng.uniform(0.5, 1.0) if rng.random() < 0.3 else 0.0
    return Disease(
        nodules=tuple(
            _spot(rng, who, radius=(0.09, 0.16), loss=(0.6, 1.25)) for _ in range(1 + int(rng.random() < 0.25))
        )
        if "nodule" in wanted
        else (),
        consolidations=tuple(
            _spot(rng, who, radius=(0.17, 0.32), loss=(0.3, 0.75)) for _ in range(1 + int(rng.random() < 0.3))
        )
        if "consolidation" in wanted
        else (),
        effusions=((fluid, both) if side else (both, fluid)) if "effusion" in wanted else (0.0, 0.0),
        heart_growth=float(rng.uniform(0.07, 0.19)) if "cardiomegaly" in wanted else 0.0,
        mimics=tuple(_spot(rng, who, radius=(0.02, 0.04), loss=(0.1, 0.25)) for _ in range(int(rng.integers(0, 3)))),
    )


def render(who: Body, how: Pose, what: Disease, size_px: int) -> tuple[Image, NDArray[np.uint8]]:
    """Return the line integrals of attenuation and the mask of findings, both of shape (size_px, size_px).

    The mask holds `1 + FINDINGS.index(name)` where a finding lies, 0 elsewhere; of two in one place the smaller.
    """
    x, y = _placed(size_px, how)
    bottom = who.lung_half_height * how.inspiration
    heart_half = (who.heart_half_width + what.heart_growth) * (1.12 if how.view == "AP" else 1.0)
    lungs = [_lung(x, y, side, who, bottom) for side in (-1, 1)]
    air = np.clip(lungs[0] + lungs[1], 0, 1)
    heart = _soft(1 - ((x - 0.28 * heart_half) / heart_half) ** 2 - ((y - 0.3) / (0.34 + 0.15 * heart_half)) ** 2, 0.12)
    loss = who.habitus * (2.5 - 0.75 * np.abs(x) ** 3 - 0.25 * y**2) * _soft(1 - (np.abs(x) / 0.96) ** 6, 0.1)
    loss -= who.habitus**0.3 * LUNG_LOSS * air * (1 - 0.75 * heart)
    loss += 0.35 * _soft(1 - (x / 0.1) ** 2, 0.5) * (1 + 0.12 * np.sin(22 * y))  # spine
    fewer_outwards = np.exp(-1.2 * np.abs(np.abs(x) - 0.2))
    loss += 0.13 * air * (1 - 0.6 * heart) * fewer_outwards * _texture(who.vessels, size_px) + _bones(x, y, who)
    mask = np.zeros(loss.shape, np.uint8)
    if what.heart_growth > 0:
        mask[heart > 0.5] = 1 + FINDINGS.index("cardiomegaly")
    for side, depth in zip((-1, 1), what.effusions, strict=True):
        if depth > 0:
            fluid = _effusion(x, y, side, who, bottom, depth) * lungs[0 if side < 0 else 1]
            loss += 0.85 * LUNG_LOSS * fluid * (1 - 0.75 * heart)
            mask[fluid > 0.4] = 1 + FINDINGS.index("effusion")
    for spot in what.consolidations:
        patch = air * _patch(x, y, spot, size_px)
        loss += spot.loss * patch
        mask[patch > 0.35] = 1 + FINDINGS.index("consolidation")
    for spot in (*what.mimics, *what.nodules):
        ball = _ball(x, y, spot)
        loss += spot.loss * ball
        if spot in what.nodules:
            mask[ball > 0.3] = 1 + FINDINGS.index("nodule")
    return np.maximum(loss, 0.02).astype(np.float32), mask


def _spot(rng: np.random.Generator, who: Body, *, radius: tuple[float, float], loss: tuple[float, float]) -> Spot:
    """Return a place in a lung, away from its border."""
    side = 1 if rng.random() < 0.5 else -1
    angle, out = rng.uniform(0, 2 * np.pi), 0.7 * np.sqrt(rng.random())
    return Spot(
        x=float(side * 0.44 + out * who.lung_half_width * np.cos(angle)),
        y=float(-0.05 + out * who.lung_half_height * np.sin(angle)),
        radius=float(rng.uniform(*radius)),
        loss=float(rng.uniform(*loss)),
        seed=int(rng.integers(2**31)),
    )


@lru_cache(maxsize=4)
def _grid(size_px: int) -> tuple[Image, Image]:
    axis = ((np.arange(size_px, dtype=np.float32) + 0.5) / size_px * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _placed(size_px: int, how: Pose) -> tuple[Image, Image]:
    """Return for each pixel its place in the upright, centred body."""
    x, y = _grid(size_px)
    turn = np.float32(np.deg2rad(how.rotation_degrees))
    x, y = (
        (x - np.float32(how.shift[0])) / np.float32(how.scale),
        (y - np.float32(how.shift[1])) / np.float32(how.scale),
    )
    return x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)


def _soft(inside: Image, width: float) -> Image:
    """Return a step from 0 to 1 where `inside` passes 0, `width` wide."""
    return np.clip(inside / np.float32(width) + np.float32(0.5), 0, 1)


def _floor(x: Image, side: int, bottom: float) -> Image:
    """Return the diaphragm's height, a dome; it stands higher on the image's left, over the liver."""
    return bottom - (0.19 if side < 0 else 0.14) * (1 - ((x - side * 0.44) / 0.42) ** 2) - 0.03 * (side < 0)


def _lung(x: Image, y: Image, side: int, who: Body, bottom: float) -> Image:
    inside = 1 - np.abs((x - side * 0.44) / who.lung_half_width) ** 2.6 - np.abs((y + 0.05) / (bottom + 0.1)) ** 2.6
    return _soft(inside, 0.22) * _soft(_floor(x, side, bottom) - y, 0.05)


def _effusion(x: Image, y: Image, side: int, who: Body, bottom: float, depth: float) -> Image:
    """Return the fluid: level in the middle, climbing along the chest wall, as the meniscus sign shows it."""
    outwards = np.clip((side * x - 0.44) / who.lung_half_width, -1, 1)
    return _soft(y - (_floor(x, side, bottom) + 0.05 - depth * (0.45 + 0.9 * np.clip(outwards, 0, 1) ** 2)), 0.1)


def _bones(x: Image, y: Image, who: Body) -> Image:
    """Return ribs, as arcs that fall outwards, with denser borders, and clavicles."""
    wide = np.abs(x)
    phase = (y + 0.9 - 0.32 * wide**1.5 + 0.1 * who.rib_phase) * (RIB_PAIRS / 1.7)
    across = phase - np.floor(phase)
    rib = np.exp(-(((across - 0.35) / 0.16) ** 2)) + 0.5 * np.exp(-(((across - 0.55) / 0.05) ** 2))
    cage = _soft(0.85 - wide, 0.1) * _soft(wide - 0.12, 0.1)
    clavicle = np.exp(-(((y + 0.66 + 0.16 * (wide - 0.35)) / 0.035) ** 2)) * _soft(wide - 0.1, 0.05)
    return np.asarray(0.2 * rib * cage + 0.3 * clavicle * _soft(0.75 - wide, 0.1), np.float32)


@lru_cache(maxsize=64)
def _texture(seed: int, size_px: int) -> Image:
    """Return a pattern of branching lines and dots of mean 0 and deviation 1, the same for a seed and size."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size_px, size_px), np.float32)
    for cells, weight in ((10, 0.4), (24, 0.7), (48, 0.5)):
        coarse = rng.standard_normal((cells, cells), dtype=np.float32)
        fine = cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
        total += np.float32(weight) * (np.float32(0.8) - 2 * np.abs(fine))  # where it changes sign there is a line
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def _patch(x: Image, y: Image, spot: Spot, size_px: int) -> Image:
    """Return an ill-defined, uneven opacity."""
    away = ((x - spot.x) ** 2 + (y - spot.y) ** 2) / np.float32(spot.radius**2)
    return np.asarray(np.exp(-away) * np.clip(1 + 0.35 * _texture(spot.seed, size_px), 0, 2), np.float32)


def _ball(x: Image, y: Image, spot: Spot) -> Image:
    """Return the chord length through a ball, over its diameter."""
    inside = 1 - ((x - spot.x) ** 2 + (y - spot.y) ** 2) / np.float32(spot.radius**2)
    return np.asarray(np.sqrt(np.clip(inside, 0, 1)), np.float32)
