"""One frame: the world seen from the camera's place, painted far to near, then photographed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer import light as lights
from driving_perception.renderer import markings, road, sensor, weather, world
from driving_perception.renderer.camera import View
from driving_perception.renderer.canvas import Bytes, Canvas, Floats
from driving_perception.renderer.light import dim
from driving_perception.renderer.markings import Lane
from driving_perception.renderer.people import Cyclist, Person
from driving_perception.renderer.surroundings import Post
from driving_perception.renderer.world import Thing, World

FRAMES_PER_SEQUENCE = 8
_SMALLEST_BOX_PX = 12  # visible pixels below which an object gets no box, at 480 × 360
_SLIM_SEEN_M = 80.0
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
    horizon = road.draw(canvas, view, place.ground, light)
    _skyline(canvas, view, place, horizon)
    top = max(horizon - round(abs(view.sin_roll) * width_px / 2), 0)
    lanes = markings.draw(canvas, view, place.markings, place.ground.junctions, light, top)
    things = _in_sight(place.at(frame), view, min(world.SEEN_M, 1.2 * place.visibility_m))
    _shadows(canvas, view, things, place, top)
    for thing in things:
        thing.draw(canvas, view, light)
    if drive.weather == "rainy":
        weather.wet_road(canvas, horizon)
    weather.haze(canvas, light, place.visibility_m)
    if light.night:
        lights.bloom(canvas.image)
    weather.falling(canvas, drive.weather, light, rng)
    _bonnet(canvas, place)
    image = sensor.expose(canvas.image, place.sensor, rng)
    return Scene(image, canvas.mask(), _boxes(canvas), lanes, canvas.depth, drive.attributes)


@lru_cache(maxsize=8)
def _world(seed: int, sequence: int) -> World:
    return world.make(np.random.default_rng([seed, sequence]))


def _in_sight(things: list[Thing], view: View, far_m: float) -> list[Thing]:
    """Return what may be seen, far to near; of two equally far the one further to the side comes first."""
    widest = 1.0 / np.tan(view.scenario.field_of_view_rad / 2)  # a place is outside when it lies this far to the side
    seen = []
    for thing in things:
        z = thing.s_m - view.s_m
        outside = abs(thing.u_m - view.u_m) * widest > z + 14.0 + 0.004 * z * z
        slim = isinstance(thing, (Post, Person, Cyclist))  # a pole further away than that is a small part of a pixel
        if 0.5 - thing.reach_m < z < (min(far_m, _SLIM_SEEN_M) if slim else far_m) and not outside:
            seen.append(thing)
    return sorted(seen, key=lambda t: (-t.s_m, -abs(t.u_m)))


def _shadows(canvas: Canvas, view: View, things: list[Thing], place: World, top: int) -> None:
    """Darken the ground where the sun does not reach; without sun, only right below things."""
    polygons: list[Floats] = []
    for thing in things:
        cast = getattr(thing, "footprint", None)
        if cast is None or thing.s_m - view.s_m > 70:
            continue
        corners = cast(view, place.light)
        if len(corners):
            points = view.on_ground(corners[:, 0], corners[:, 1]).astype(np.float32)
            polygons.append(cv2.convexHull(points)[:, 0].astype(np.float64))
    sun, ambient = place.light.sun, place.light.ambient
    road.shadows(canvas, top, polygons, 0.75 * sun / (sun + ambient) if sun > 0.1 else 0.45)


def _skyline(canvas: Canvas, view: View, place: World, horizon: int) -> None:
    degrees, label = place.skyline
    heights = np.tan(np.deg2rad(np.array(degrees))) * view.focal_px
    far = 0.55 if not place.light.night else 0.8
    base = np.array((70.0, 80.0, 62.0)) * place.light.ambient
    red, green, blue = (base * (1 - far) + np.array(place.light.horizon) * far * 0.75).tolist()
    weather.skyline(canvas, horizon, heights, (red, green, blue), label)


def _bonnet(canvas: Canvas, place: World) -> None:
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
    canvas.polygon(outline, dim((44.0, 46.0, 50.0), light), 1.0)
    shine = np.concatenate([np.stack([x, arch], 1), np.stack([x, arch + 0.25 * tall], 1)[::-1]])
    canvas.detail(shine, dim((116.0, 120.0, 126.0), light))


def _boxes(canvas: Canvas) -> list[Box]:
    smallest = max(4.0, _SMALLEST_BOX_PX * canvas.width_px * canvas.height_px / (480 * 360))
    boxes = []
    for index, instance in enumerate(canvas.instances):
        if instance.area_px < smallest:
            continue
        visible = canvas.visible(index)
        area = int(np.count_nonzero(visible))
        if area < smallest:
            continue
        rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
        left, top = instance.extent[:2]
        hidden = 1.0 - area / instance.area_px
        boxes.append(
            Box(
                category=instance.category,
                x1=left + int(columns[0]),
                y1=top + int(rows[0]),
                x2=left + int(columns[-1]) + 1,
                y2=top + int(rows[-1]) + 1,
                occluded=hidden > _OCCLUDED,
                truncated=instance.truncated,
                occlusion=hidden,
                colour=instance.colour,
            )
        )
    return boxes
