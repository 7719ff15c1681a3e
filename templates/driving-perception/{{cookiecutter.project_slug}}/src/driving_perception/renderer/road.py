"""The ground: carriageway, pavement, verges and side roads, textured, seen in perspective."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer import light as lights
from driving_perception.renderer import textures
from driving_perception.renderer.camera import View
from driving_perception.renderer.canvas import ROAD, SIDEWALK, TERRAIN, Bytes, Canvas, Floats, Pixels
from driving_perception.renderer.light import Light
from driving_perception.renderer.scenario import Scenario

KERB_M = 0.14  # its width
_BIN_M = 0.05
_HALF_BINS = 16_384  # the cross-section is tabulated to 819 m on both sides, further than is seen
_MARGIN_PX = 0.05  # of the width: rolling the ground must not uncover corners


@dataclass(frozen=True)
class Junction:
    """A side road.

    Attributes:
        start_m: where it begins along the road.
        end_m: where it ends.
        right: it leaves to the right.
        left: it leaves to the left.
    """

    start_m: float
    end_m: float
    right: bool
    left: bool


@dataclass(frozen=True)
class Ground:
    """What the ground of a sequence is made of.

    Attributes:
        profiles: (profiles, bins) material * 256 + train id by cross-section: regular, side road right, left, on both.
        junctions: side roads, in order.
    """

    profiles: NDArray[np.uint16]
    junctions: tuple[Junction, ...]


def make(scenario: Scenario, junctions: tuple[Junction, ...], rng: np.random.Generator) -> Ground:
    """Choose materials for the cross-sections of a road."""
    u = (np.arange(2 * _HALF_BINS) - _HALF_BINS + 0.5) * _BIN_M
    left, right = scenario.left_edge_m, scenario.right_edge_m
    surface = textures.ASPHALT if rng.random() < 0.6 else textures.WORN_ASPHALT
    paving = textures.SLABS if rng.random() < 0.7 else textures.WORN_ASPHALT
    if scenario.place == "urban" and rng.random() < 0.12:
        surface = textures.COBBLES
    green = textures.EARTH if rng.random() < 0.25 else textures.GRASS
    beyond = paving if scenario.place == "urban" else green
    snowy = scenario.weather == "snowy"
    outside = np.maximum(u - right, left - u)
    material = np.full(len(u), beyond, np.uint8)
    label = np.full(len(u), SIDEWALK if scenario.place == "urban" else TERRAIN, np.uint8)
    walk = outside < scenario.pavement_m
    material[walk], label[walk] = paving, SIDEWALK
    strip = (outside >= scenario.pavement_m) & (outside < scenario.pavement_m + scenario.verge_m)
    material[strip] = green
    label[strip] = TERRAIN
    if snowy:
        material[:] = textures.SNOW
    carriageway = outside < 0
    material[carriageway], label[carriageway] = surface, ROAD
    if scenario.parking_m and scenario.place != "highway":
        parked = carriageway & (outside > -scenario.parking_m)
        material[parked] = textures.WORN_ASPHALT if surface == textures.ASPHALT else textures.ASPHALT
    if snowy:
        _tracks(material, carriageway, ((u - left) / scenario.lane_width_m).astype(np.float64), surface, rng)
    materials, labels = np.tile(material, (4, 1)), np.tile(label, (4, 1))
    for profile in range(4):
        side = ((profile & 1) > 0) & (u > 0) | ((profile & 2) > 0) & (u < 0)
        materials[profile, side & ~carriageway], labels[profile, side & ~carriageway] = surface, ROAD
    return Ground(materials.astype(np.uint16) * 256 + labels, junctions)


def _tracks(
    material: Bytes, carriageway: NDArray[np.bool_], lane: Floats, surface: int, rng: np.random.Generator
) -> None:
    """Put snow on the carriageway: driven free, to slush or not at all, in tracks that differ from lane to lane."""
    material[carriageway] = textures.SLUSH
    if rng.random() < 0.25:
        return
    for number in range(max(int(lane[carriageway].max()) + 1, 1)):
        middle, half, free = 0.5 + rng.normal(0, 0.05), rng.uniform(0.17, 0.25), rng.uniform(0.02, 0.14)
        place = lane - number
        mine = carriageway & (place >= 0) & (place < 1)
        away = np.abs(np.abs(place - middle) - half)
        material[mine & (away > free + rng.uniform(0.03, 0.1))] = textures.SNOW
        if rng.random() < 0.7:
            material[mine & (away < free)] = surface


def draw(canvas: Canvas, view: View, ground: Ground, light: Light, lamps: Floats) -> int:
    """Paint sky and ground and return the row of the horizon.

    The ground is computed upright, row by row (all of a row is equally far), then rolled as the camera is.
    """
    width, height = canvas.width_px, canvas.height_px
    margin = int(np.ceil(width * _MARGIN_PX))
    horizon, z = view.rows(0, height + margin)
    lights.sky(canvas, view, light, min(horizon + margin, height))
    if not len(z):
        return horizon
    columns = np.arange(-margin, width + margin, dtype=np.float64)
    y = view.height(z)
    depth = z * view.cos_pitch - (y - view.scenario.camera_height_m) * view.sin_pitch
    # The offset from the road's centre line, linear along a row: in bins of the cross-section.
    per_column = view.mirror * depth / view.focal_px
    start = -view.shift(z) - per_column * view.centre[0]
    offset = per_column.astype(np.float32)[:, None] * columns.astype(np.float32) + start.astype(np.float32)[:, None]
    s = z + view.s_m
    first = (_profiles(ground, s) * (2 * _HALF_BINS) + _HALF_BINS).astype(np.float32)
    bins = (offset * (1 / _BIN_M) + first[:, None]).astype(np.intp)  # NumPy would convert others
    found = np.take(ground.profiles.ravel(), bins, mode="clip")

    # The level of detail follows the size of a pixel on the ground, between its width and its length.
    texel_m = textures.TILE_M / textures.TILE
    footprint = depth / view.focal_px * np.sqrt(np.maximum(depth / view.scenario.camera_height_m, 1.0))
    level = np.clip(np.round(np.log2(np.maximum(footprint / texel_m, 1e-3))), 0, textures.LEVELS - 1)
    scale = 1 / (texel_m * 2**level)
    # Column and row in the atlas as the halves of one number: a tile is as wide as the number of labels, 256.
    sample = (offset * scale.astype(np.float32)[:, None]).astype(np.int32)
    sample &= textures.TILE - 1
    sample |= found & 0xFF00
    down = ((s * scale).astype(np.int32) & (textures.TILE - 1)) + level.astype(np.int32) * textures.TILE
    sample |= (down << 16)[:, None]
    picture = cv2.remap(textures.ground(), sample.view(np.int16).reshape(*bins.shape, 2), None, cv2.INTER_NEAREST)
    picture = _lit(picture, lights.ground_gain(view, light, z, columns[::8], lamps))
    _roll(canvas, view, picture, found.astype(np.uint8), depth, horizon, margin)
    return horizon


def shadows(canvas: Canvas, horizon: int, polygons: list[Pixels], strength: float) -> None:
    """Darken the ground inside convex polygons, whose rows count from the horizon."""
    top = max(horizon, 0)
    layer = np.zeros((canvas.height_px - top, canvas.width_px), np.uint8)
    for polygon in polygons:
        cv2.fillConvexPoly(layer, polygon, 255)
    here = canvas.image[top:]
    cv2.copyTo(cv2.convertScaleAbs(here, None, 1.0 - strength), layer, here)


def _profiles(ground: Ground, s: NDArray[np.float64]) -> NDArray[np.int64]:
    profile = np.zeros(len(s), np.int64)
    for junction in ground.junctions:
        profile[(s >= junction.start_m) & (s < junction.end_m)] = junction.right + 2 * junction.left
    return profile


def _lit(picture: Bytes, gain: NDArray[np.float32]) -> Bytes:
    """Return a picture under a light given for every eighth column."""
    if gain.min() == gain.max():
        return np.asarray(cv2.convertScaleAbs(picture, None, float(gain[0, 0])), np.uint8)
    whole = cv2.resize(gain, (picture.shape[1], picture.shape[0]))
    return np.asarray(cv2.multiply(picture, cv2.merge([whole] * 4), dtype=cv2.CV_8U), np.uint8)


def _roll(
    canvas: Canvas, view: View, picture: Bytes, label: Bytes, depth: NDArray[np.float64], horizon: int, margin: int
) -> None:
    """Put the upright ground onto the canvas, rolled."""
    matrix = view.roll_matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (-margin, horizon)  # from the strip's own coordinates
    edge = min(matrix[1, 2], matrix[1, 2] + matrix[1, 0] * label.shape[1])  # the row that its upper edge reaches
    top = min(max(int(edge) - 2, 0), canvas.height_px - 1)
    matrix[1, 2] -= top
    size = (canvas.width_px, canvas.height_px - top)
    labels = cv2.warpAffine(label, matrix, size, flags=cv2.INTER_NEAREST, borderValue=255)
    where = cv2.compare(labels, 255, cv2.CMP_NE)
    columns = np.broadcast_to(depth.astype(np.float32)[:, None], label.shape)
    rolled = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)
    cv2.copyTo(cv2.cvtColor(rolled, cv2.COLOR_RGBA2RGB), where, canvas.image[top:])
    cv2.copyTo(labels.astype(np.int32), where, canvas.ids[top:])
    cv2.copyTo(cv2.warpAffine(columns, matrix, size, flags=cv2.INTER_NEAREST), where, canvas.ground_depth[top:])
