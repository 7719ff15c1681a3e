"""One frame: the world seen from the camera's place, painted far to near, then photographed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer import light as lights
from driving_perception.renderer import paint, road, roadside, sensor, weather, world
from driving_perception.renderer.camera import View
from driving_perception.renderer.canvas import Bytes, Canvas, whole
from driving_perception.renderer.light import Light, dim
from driving_perception.renderer.paint import Lane
from driving_perception.renderer.vehicles import Vehicle
from driving_perception.renderer.world import Placed, World

FRAMES_PER_SEQUENCE = 8
_SMALLEST_BOX_PX = 12  # visible pixels below which an object gets no box, at 480 × 360
_SLIM_SEEN_M = 80.0  # a pole further away than that is a small part of a pixel
_SHADOWS_SEEN_M = 70.0
_CAR_REACH_M = 2.3  # half of its length
_BONNET_M = 1.0
_OCCLUDED = 0.15  # hidden share from which BDD100K's flag is set


@dataclass(frozen=True)
class Box:
    """An object's box around its visible pixels.

    Attributes:
        category: BDD100K's name.
        x1: left edge in pixels.
        y1: top edge.
        x2: right edge, exclusive.
        y2: bottom edge, exclusive.
        occluded: a good part of it is hidden.
        truncated: it goes on outside the image.
        occlusion: hidden share of its silhouette inside the image.
        colour: what a traffic light shows, "none" for all else.
    """

    category: str
    x1: int
    y1: int
    x2: int
    y2: int
    occluded: bool
    truncated: bool
    occlusion: float
    colour: str


@dataclass(frozen=True)
class Scene:
    """A frame and all that is known of it.

    Attributes:
        image: (h, w, 3) RGB.
        mask: (h, w) Cityscapes train ids 0 to 18; 255, to be ignored, where the ego's bonnet is.
        boxes: of everything that BDD100K boxes, far to near.
        lanes: lines along the road, kerbs and crossings.
        depth: (h, w) metres along the optical axis; the sky is 1,000 m away.
        attributes: `weather`, `timeofday` and `scene` in BDD100K's words.
    """

    image: Bytes
    mask: Bytes
    boxes: list[Box]
    lanes: list[Lane]
    depth: NDArray[np.float32]
    attributes: dict[str, str]


def render(
    index: int, *, seed: int, width_px: int, height_px: int, frames_per_sequence: int = FRAMES_PER_SEQUENCE
) -> Scene:
    """Render frame `index` of an endless drive; the same arguments give the same frame, in any order.

    Frames `k * frames_per_sequence` and on share a world in which the camera moves ahead.

    Args:
        index: from 0.
        seed: of everything.
        width_px: of the image.
        height_px: of the image.
        frames_per_sequence: how many frames share a world.
    """
    sequence, frame = divmod(index, frames_per_sequence)
    place = _world(seed, sequence)
    rng = np.random.default_rng([seed, sequence, frame])
    drive, light = place.scenario, place.light
    view = View(drive, place.course, frame * drive.speed_m_per_frame, place.ego_u_m, width_px, height_px)
    canvas = Canvas(width_px, height_px)
    horizon = road.draw(canvas, view, place.ground, light, place.lamps)
    _skyline(canvas, view, place, horizon)
    top = max(horizon - round(abs(view.sin_roll) * width_px / 2), 0)
    lanes = paint.draw(canvas, view, place.markings, place.ground.junctions, light, top)
    things = _in_sight(place.things, frame, view, min(roadside.SEEN_M, 1.2 * place.visibility_m))
    _shadows(canvas, view, things, place, top)
    _paint(canvas, view, things, light)
    if drive.weather == "rainy":
        weather.wet_road(canvas, horizon)
    depth = canvas.depth()
    weather.haze(canvas, depth, light, place.visibility_m)
    if light.night:
        lights.bloom(canvas.image)
    weather.falling(canvas, drive.weather, light, rng)
    _bonnet(canvas, depth, place)
    image = sensor.expose(canvas.image, place.sensor, rng)
    return Scene(image, canvas.mask(), _boxes(canvas), lanes, depth, drive.attributes)


@lru_cache(maxsize=8)
def _world(seed: int, sequence: int) -> World:
    return world.make(np.random.default_rng([seed, sequence]))


def _in_sight(things: tuple[Placed, ...], frame: int, view: View, far_m: float) -> list[Placed]:
    """Return what may be seen, far to near; of two equally far the one further to the side comes first."""
    widest = 1.0 / math.tan(view.scenario.field_of_view_rad / 2)  # a place is outside when it lies this far to the side
    s_m, u_m, slim_m = view.s_m, view.u_m, min(far_m, _SLIM_SEEN_M)
    seen = []
    for placed in things:
        ahead_m = frame * placed.speed_m
        z = placed.s_m + ahead_m - s_m
        inside = 0.5 - placed.reach_m < z < (slim_m if placed.slim else far_m)
        if inside and abs(placed.u_m - u_m) * widest < z + 14.0 + 0.004 * z * z:
            seen.append(placed.moved(ahead_m) if ahead_m else placed)
    return sorted(seen, key=_nearness)


def _nearness(placed: Placed) -> tuple[float, float]:
    """Return the key of the order of painting: a vehicle's by its near end, as it may be long, and then by the side."""
    long_m = max(placed.reach_m - _CAR_REACH_M, 0.0) if isinstance(placed.thing, Vehicle) else 0.0
    return long_m - placed.s_m, -abs(placed.u_m)


def _paint(canvas: Canvas, view: View, things: list[Placed], light: Light) -> None:
    """Project all things at once and paint one after the other."""
    if not things:
        return
    seen = view.see(np.concatenate([placed.corners for placed in things]))
    start = 0
    for placed in things:
        end = start + len(placed.corners)
        placed.thing.draw(canvas, view, light, seen.part(start, end))
        start = end


def _shadows(canvas: Canvas, view: View, things: list[Placed], place: World, top: int) -> None:
    """Darken the ground where the sun does not reach; without sun, only right below things."""
    casts = [cast for placed in things if len(cast := placed.footprint) and placed.s_m - view.s_m < _SHADOWS_SEEN_M]
    if not casts:
        return
    corners = np.concatenate(casts)
    pixels = np.rint(view.on_ground(corners[:, 0], corners[:, 1]) - (0, top)).astype(np.int32)
    ends = np.cumsum([len(cast) for cast in casts]).tolist()
    polygons = [cv2.convexHull(pixels[end - len(cast) : end]) for cast, end in zip(casts, ends, strict=True)]
    sun, ambient = place.light.sun, place.light.ambient
    road.shadows(canvas, top, polygons, 0.75 * sun / (sun + ambient) if sun > 0.1 else 0.45)


def _skyline(canvas: Canvas, view: View, place: World, horizon: int) -> None:
    degrees, label = place.skyline
    heights = np.tan(np.deg2rad(np.array(degrees))) * view.focal_px
    far = 0.55 if not place.light.night else 0.8
    base = np.array((70.0, 80.0, 62.0)) * place.light.ambient
    red, green, blue = (base * (1 - far) + np.array(place.light.horizon) * far * 0.75).tolist()
    weather.skyline(canvas, horizon, heights, (red, green, blue), label)


def _bonnet(canvas: Canvas, depth: NDArray[np.float32], place: World) -> None:
    """Paint the front of the ego vehicle, which no class names."""
    if not place.scenario.bonnet:
        return
    height, width = canvas.height_px, canvas.width_px
    tall = place.scenario.bonnet * height
    x = np.linspace(0.0, width, 16)
    arch = height - tall * (1 - 0.55 * (2 * x / width - 1) ** 2)
    outline = np.concatenate([np.stack([x, arch], 1), [(width, height + 2), (0, height + 2)]])
    canvas.begin(255)
    light = place.light.ambient + 0.5 * place.light.sun
    canvas.polygon(whole(outline), dim((44.0, 46.0, 50.0), light), _BONNET_M)
    cv2.fillPoly(depth, [whole(outline)], _BONNET_M)
    shine = np.concatenate([np.stack([x, arch], 1), np.stack([x, arch + 0.25 * tall], 1)[::-1]])
    canvas.detail(whole(shine), dim((116.0, 120.0, 126.0), light))


def _boxes(canvas: Canvas) -> list[Box]:
    smallest = max(4.0, _SMALLEST_BOX_PX * canvas.width_px * canvas.height_px / (480 * 360))
    boxes = []
    for index, instance in enumerate(canvas.instances):
        if instance.area_px < smallest:
            continue
        visible = canvas.visible(index)
        area = cv2.countNonZero(visible)
        if area < smallest:
            continue
        x, y, width, height = cv2.boundingRect(visible)
        left, top = instance.extent[0] + x, instance.extent[1] + y
        hidden = 1.0 - area / instance.area_px
        boxes.append(
            Box(
                category=instance.category,
                x1=left,
                y1=top,
                x2=left + width,
                y2=top + height,
                occluded=hidden > _OCCLUDED,
                truncated=instance.truncated,
                occlusion=hidden,
                colour=instance.colour,
            )
        )
    return boxes
