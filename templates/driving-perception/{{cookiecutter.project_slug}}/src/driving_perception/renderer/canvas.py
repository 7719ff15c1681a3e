"""The picture being painted, far to near: image, labels, instances and depth, kept in step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from driving_perception.renderer.camera import Seen

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Pixels = NDArray[np.int32]
Point = tuple[float, float] | list[float]
Colour = tuple[float, float, float]

# Cityscapes' train ids.
ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, VEGETATION, TERRAIN = range(10)
SKY, PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = range(10, 19)
IGNORE = 255
SKY_DEPTH_M = 1000.0
_FLAT_PX = 5  # a narrower face has one colour

_CLASS_BITS = 5  # an id is surface << 5 | class; class 31 stands for IGNORE, surface 0 is sky and ground
_CLASS_MASK = (1 << _CLASS_BITS) - 1
_TRAIN_ID = np.full(256, IGNORE, np.uint8)  # of the lowest byte of an id
for _class in range(19):
    _TRAIN_ID[_class :: 1 << _CLASS_BITS] = _class


@dataclass(frozen=True)
class Sprite:
    """A picture with holes.

    Attributes:
        picture: (h, w, 4), the fourth channel unused.
        inside: (h, w), 1 where there is something.
    """

    picture: Bytes
    inside: Bytes


@dataclass
class Instance:
    """An object that has a box.

    Attributes:
        category: BDD100K's name.
        extent: x1, y1, x2, y2 of its silhouette as far as it is inside the image.
        area_px: pixels of its silhouette inside the image, before anything nearer was painted over it.
        truncated: it goes on outside the image.
        colour: what a traffic light shows: "red", "yellow", "green", or "none" for all else.
        surfaces: the first of its surfaces' numbers and the last.
    """

    category: str
    extent: tuple[int, int, int, int] = (0, 0, 0, 0)
    area_px: int = 0
    truncated: bool = False
    colour: str = "none"
    surfaces: tuple[int, int] = (0, 0)


@lru_cache(256)
def _rectangle(wide: int, high: int) -> NDArray[np.float32]:
    return np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)


def whole(points: Sequence[Point] | Floats) -> Pixels:
    """Return points (n, 2) in whole pixels."""
    return np.rint(points).astype(np.int32)


@dataclass
class Canvas:
    """Buffers of one frame and the instances painted so far.

    Each pixel holds which surface is seen there. A surface is upright, so its inverse depth is one number or changes
    along the columns alone, and depth is worked out at the end; that of sky and ground is kept by pixel.

    Args:
        width_px: of the image.
        height_px: of the image.
    """

    width_px: int
    height_px: int
    image: Bytes = field(init=False)
    ids: NDArray[np.int32] = field(init=False)  # OpenCV fills four bytes a pixel faster than two
    ground_depth: NDArray[np.float32] = field(init=False)
    instances: list[Instance] = field(default_factory=list)
    _label: int = 0
    _open: bool = False  # an instance
    _fresh: bool = True  # nothing is painted since `begin`
    _bounds: list[int] = field(default_factory=list)
    _nearness: list[float] = field(default_factory=lambda: [0.0])  # of each surface: inverse depth in column 0
    _slopes: list[float] = field(default_factory=lambda: [0.0])  # and its change from column to column

    def __post_init__(self) -> None:
        self.image = np.zeros((self.height_px, self.width_px, 3), np.uint8)
        self.ids = np.full((self.height_px, self.width_px), SKY, np.int32)
        self.ground_depth = np.full((self.height_px, self.width_px), SKY_DEPTH_M, np.float32)

    def begin(self, label: int, category: str | None = None, colour: str = "none") -> None:
        """Say what the next shapes are: a class and, with `category`, a new instance; close it with `end`."""
        self._label = label & _CLASS_MASK
        self._fresh = True
        self._open = category is not None
        if category is not None:
            self.instances.append(Instance(category, colour=colour, surfaces=(len(self._slopes), 0)))
            self._bounds = []

    def end(self) -> None:
        """Close the instance that `begin` opened: measure its silhouette, which nothing hides yet."""
        instance = self.instances[-1]
        instance.surfaces = (instance.surfaces[0], len(self._slopes) - 1)
        if not self._bounds:
            return
        x1, y1, x2, y2 = self._bounds
        left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, self.width_px), min(y2, self.height_px)
        if left >= right or top >= bottom:
            return
        instance.extent = (left, top, right, bottom)
        instance.area_px = cv2.countNonZero(self.visible(len(self.instances) - 1))
        instance.truncated = x1 < 0 or y1 < 0 or x2 > self.width_px or y2 > self.height_px

    def polygon(self, corners: Pixels, colour: Colour, depth_m: float) -> None:
        """Fill a polygon (n, 2), convex or not, with one colour; its pixels get the current label."""
        x, y, width, height = cv2.boundingRect(corners)
        if self._clipped(x, y, x + width, y + height):
            return
        cv2.fillPoly(self.image, [corners], colour)
        cv2.fillPoly(self.ids, [corners], self._surface(1 / depth_m))

    def limb(self, start: Point, end: Point, width_px: float, colour: Colour, depth_m: float) -> None:
        """Draw a thick line."""
        a, b = (round(start[0]), round(start[1])), (round(end[0]), round(end[1]))
        thickness = max(1, round(width_px))
        half = thickness // 2
        x1, x2 = (a[0], b[0]) if a[0] < b[0] else (b[0], a[0])
        y1, y2 = (a[1], b[1]) if a[1] < b[1] else (b[1], a[1])
        if not self._clipped(x1 - half, y1 - half, x2 + half + 1, y2 + half + 1):
            cv2.line(self.image, a, b, colour, thickness)
            cv2.line(self.ids, a, b, self._surface(1 / depth_m), thickness)

    def rings(self, outlines: list[Pixels], width_px: float, colour: Colour, depth_m: float) -> None:
        """Draw closed thick lines."""
        thickness = max(1, round(width_px))
        half = thickness // 2
        for corners in outlines:
            x, y, width, height = cv2.boundingRect(corners)
            if self._clipped(x - half, y - half, x + width + half, y + height + half):
                return
        cv2.polylines(self.image, outlines, True, colour, thickness)
        cv2.polylines(self.ids, outlines, True, self._surface(1 / depth_m), thickness)

    def disc(self, centre: Point, radius_px: float, colour: Colour, depth_m: float) -> None:
        """Draw a filled circle."""
        x, y, radius = round(centre[0]), round(centre[1]), max(1, round(radius_px))
        if not self._clipped(x - radius, y - radius, x + radius + 1, y + radius + 1):
            cv2.circle(self.image, (x, y), radius, colour, -1)
            cv2.circle(self.ids, (x, y), radius, self._surface(1 / depth_m), -1)

    def detail(self, corners: Pixels, colour: Colour) -> None:
        """Paint a polygon on the surface of what is there already: the image only."""
        cv2.fillPoly(self.image, [corners], colour)

    def veil(self, corners: Pixels, depth_m: float) -> None:
        """Label a convex polygon that one sees through: all but the image."""
        cv2.fillConvexPoly(self.ids, corners, self._surface(1 / depth_m))

    def texture(self, face: Seen, texels: Bytes, gain: float) -> None:
        """Map `texels` onto an upright quadrilateral: top left, top right, bottom right, bottom left.

        Args:
            face: its four corners.
            texels: (h, w, 4), the fourth channel unused.
            gain: brightness of the light on it.
        """
        x, y, width, height = cv2.boundingRect(face.pixels)
        if self._clipped(x, y, x + width, y + height):
            return
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, self.width_px), min(y + height, self.height_px)
        if min(right - left, bottom - top) < _FLAT_PX:
            red, green, blue, _ = cv2.mean(texels)
            cv2.fillConvexPoly(self.image, face.pixels, (red * gain, green * gain, blue * gain))
            cv2.fillConvexPoly(self.ids, face.pixels, self._surface(1 / float(face.depth[0])))
            return
        high, wide = texels.shape[:2]
        matrix = cv2.getPerspectiveTransform(_rectangle(wide, high), (face.points - (left, top)).astype(np.float32))
        size = (right - left, bottom - top)
        # Outside is the colour of its left edge; to repeat all edges would take twice the time.
        patch = cv2.warpPerspective(texels, matrix, size, borderValue=texels[high // 2, 0].tolist())
        if gain != 1.0:
            cv2.convertScaleAbs(patch, patch, gain)
        inside = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillConvexPoly(inside, face.pixels - np.array((left, top), np.int32), 1)
        cv2.copyTo(cv2.cvtColor(patch, cv2.COLOR_RGBA2RGB), inside, self.image[top:bottom, left:right])
        # A vertical plane: its inverse depth changes along the image's columns alone, but for the camera's roll.
        (a, b), (x1, x2) = face.depth[:2].tolist(), face.points[:2, 0].tolist()
        slope = (1 / b - 1 / a) / (x2 - x1) if abs(x2 - x1) > 0.5 else 0.0
        cv2.fillConvexPoly(self.ids, face.pixels, self._surface(1 / a - slope * x1, slope))

    def sprite(
        self, left: float, top: float, scale: tuple[float, float], sprite: Sprite, gain: float, depth_m: float
    ) -> None:
        """Paste a picture with holes.

        Args:
            left: column of its left edge.
            top: row of its upper edge.
            scale: pixels per texel across and down.
            sprite: the picture.
            gain: brightness of the light on it.
            depth_m: of all of it.
        """
        high, wide = sprite.inside.shape
        x, y = round(left), round(top)
        x2, y2 = x + max(1, round(wide * scale[0])), y + max(1, round(high * scale[1]))
        if self._clipped(x, y, x2, y2):
            return
        x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x2, self.width_px), min(y2, self.height_px)
        # From pixels to texels, between their centres.
        a, b = 1 / scale[0], 1 / scale[1]
        matrix = np.array([[a, 0, (x1 - x + 0.5) * a - 0.5], [0, b, (y1 - y + 0.5) * b - 0.5]])
        size, edge, inverse = (x2 - x1, y2 - y1), cv2.BORDER_REPLICATE, cv2.WARP_INVERSE_MAP
        shown = cv2.warpAffine(sprite.inside, matrix, size, flags=cv2.INTER_NEAREST | inverse, borderMode=edge)
        picture = cv2.warpAffine(sprite.picture, matrix, size, flags=cv2.INTER_LINEAR | inverse)
        if gain != 1.0:
            cv2.convertScaleAbs(picture, picture, gain)
        cv2.copyTo(cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), shown, self.image[y1:y2, x1:x2])
        where = shown.view(np.bool_)
        np.copyto(self.ids[y1:y2, x1:x2], self._surface(1 / depth_m), where=where, casting="same_kind")

    def mask(self) -> Bytes:
        """Return the labels as train ids (h, w)."""
        mask: Bytes = cv2.LUT(self.ids.astype(np.uint8), _TRAIN_ID)
        return mask

    def depth(self) -> NDArray[np.float32]:
        """Return metres along the optical axis (h, w)."""
        surface = (self.ids >> _CLASS_BITS).astype(np.uint16)
        # OpenCV looks up in a table of all 16-bit numbers in a third of NumPy's time.
        table = np.zeros((2, 1 << 16), np.float32)
        table[:, : len(self._slopes)] = self._slopes, self._nearness
        inverse = cv2.LUT(surface, table[0])
        inverse *= np.arange(self.width_px, dtype=np.float32)
        inverse += cv2.LUT(surface, table[1])
        np.maximum(inverse, 1.0 / SKY_DEPTH_M, out=inverse)
        np.minimum(inverse, 1.0, out=inverse)
        depth: NDArray[np.float32] = np.reciprocal(inverse, out=inverse)
        cv2.copyTo(self.ground_depth, cv2.compare(surface, 0, cv2.CMP_EQ), depth)
        return depth

    def visible(self, index: int) -> Bytes:
        """Return which pixels inside the extent of instance `index` show it: 255, others 0."""
        instance = self.instances[index]
        x1, y1, x2, y2 = instance.extent
        first, last = instance.surfaces
        shown: Bytes = cv2.inRange(self.ids[y1:y2, x1:x2], first << _CLASS_BITS, last << _CLASS_BITS | _CLASS_MASK)
        return shown

    def _surface(self, nearness: float, slope: float = 0.0) -> int:
        """Return what to paint the current class with at an inverse depth: another surface's where it is the same."""
        if self._fresh or nearness != self._nearness[-1] or slope != self._slopes[-1]:
            self._nearness.append(nearness)
            self._slopes.append(slope)
            self._fresh = False
        return len(self._slopes) - 1 << _CLASS_BITS | self._label

    def _clipped(self, x1: int, y1: int, x2: int, y2: int) -> bool:
        """Say whether nothing of a shape is inside the image; widen the open instance's bounds by it."""
        if self._open:
            b = self._bounds
            self._bounds = [min(b[0], x1), min(b[1], y1), max(b[2], x2), max(b[3], y2)] if b else [x1, y1, x2, y2]
        return x2 <= 0 or y2 <= 0 or x1 >= self.width_px or y1 >= self.height_px
