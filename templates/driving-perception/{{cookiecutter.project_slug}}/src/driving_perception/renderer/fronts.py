"""What stands along the road in long stretches: buildings, hedges, walls, fences and guard rails."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from driving_perception.renderer import facades
from driving_perception.renderer.camera import NEAR_M, Seen, View
from driving_perception.renderer.canvas import BUILDING, FENCE, VEGETATION, WALL, Bytes, Canvas, Colour, Floats
from driving_perception.renderer.light import Light, dim


@dataclass(frozen=True)
class Building:
    """A house front along the road with the gable that faces the camera.

    Attributes:
        s_m: its far end.
        length_m: along the road.
        u_m: of the front.
        height_m: to the eaves.
        deep_m: away from the road.
        style: one of `textures.FACADE_STYLES`.
        look: which facade of that style.
        roof_m: height of the roof over the eaves.
        roof: its colour.
        gable: the end that faces the camera is not hidden by a neighbour.
    """

    s_m: float
    length_m: float
    u_m: float
    height_m: float
    deep_m: float
    style: str
    look: int
    roof_m: float
    roof: Colour
    gable: bool = True

    @property
    def reach_m(self) -> float:
        """How far it reaches towards the camera."""
        return self.length_m

    def corners(self) -> Floats:
        """Return its corners (8, 3): the front, then gable and ridge."""
        u, outer = self.u_m, self.u_m + math.copysign(self.deep_m, self.u_m)
        ridge, top = (u + outer) / 2, self.height_m
        near, far = self.s_m - self.length_m, self.s_m
        return np.array([[near, u, top], [far, u, top], [far, u, 0], [near, u, 0], [near, outer, top], [near, outer, 0],
                         [near, ridge, top + self.roof_m], [far, ridge, top + self.roof_m]])  # fmt: skip

    def footprint(self, light: Light) -> Floats:
        """Return the corners of its shadow on the ground."""
        outer = self.u_m + math.copysign(self.deep_m, self.u_m)
        near = self.s_m - self.length_m
        base = np.array([[near, self.u_m], [self.s_m, self.u_m], [self.s_m, outer], [near, outer]])
        return np.concatenate([base, base + np.array(light.shadow(self.height_m))]) if light.sun > 0.1 else base

    def draw(self, canvas: Canvas, view: View, light: Light, seen: Seen) -> None:
        """Paint gable, roof and front."""
        ahead, beside = self.s_m - self.length_m - view.s_m, self.u_m - view.u_m
        cut = max(NEAR_M - ahead, 0.0)
        if cut > self.length_m - 0.3:
            return
        day, lit = facades.facades(self.style)[self.look]
        canvas.begin(BUILDING)
        depth = (float(seen.depth[0]) + float(seen.depth[1])) / 2
        if self.gable and not cut:
            shade = light.on((-1.0, 0.0), ahead, beside)
            _face(canvas, seen.some(_GABLE), day, shade)
            if self.roof_m:
                canvas.polygon(seen.pixels[_GABLE_ROOF], dim(self.roof, 0.8 * shade), depth)
        if self.roof_m:
            canvas.polygon(seen.pixels[_ROOF], dim(self.roof, light.on_top()), depth)
        gain = light.on((0.0, -math.copysign(1.0, self.u_m)), max(ahead, NEAR_M) + 6, beside)
        # The texture starts where the front is cut off.
        _face(canvas, seen.part(0, 4), day, gain, 1.0 - cut / self.length_m, lit if light.night else None)


_GABLE, _GABLE_ROOF, _ROOF = [0, 4, 5, 3], [0, 6, 4], [0, 6, 7, 1]


def _face(
    canvas: Canvas,
    face: Seen,
    levels: tuple[Bytes, ...],
    gain: float,
    shown: float = 1.0,
    lit: tuple[Bytes, ...] | None = None,
) -> None:
    rows = face.pixels[:, 1].tolist()
    tall = max(rows) - min(rows)
    level = min(max(int(math.log2(levels[0].shape[0] / max(tall, 1.0))), 0), len(levels) - 1)
    texels = levels[level]
    if lit is not None:
        texels, gain = cv2.add(cv2.convertScaleAbs(texels, None, gain), lit[level]), 1.0
    canvas.texture(face, texels[:, round((1 - shown) * (texels.shape[1] - 2)) :], gain)


@dataclass(frozen=True)
class Barrier:
    """A stretch of hedge, wall, fence or guard rail along the road.

    Attributes:
        s_m: its far end.
        length_m: along the road.
        u_m: lateral place.
        height_m: of its top.
        kind: "hedge", "wall", "fence" or "rail".
        colour: of fences and rails.
    """

    s_m: float
    length_m: float
    u_m: float
    height_m: float
    kind: str
    colour: Colour

    @property
    def reach_m(self) -> float:
        """How far it reaches towards the camera."""
        return self.length_m

    def corners(self) -> Floats:
        """Return its corners (6, 3): top edge, foot, and the lower edge of a rail or fence."""
        near, far, u = self.s_m - self.length_m, self.s_m, self.u_m
        top, low = self.height_m, 0.45 if self.kind == "rail" else 0.08
        return np.array([[near, u, top], [far, u, top], [far, u, 0], [near, u, 0], [far, u, low], [near, u, low]])

    def footprint(self, light: Light) -> Floats:
        """Return nothing: its shadow is left out."""
        return np.empty((0, 2))

    def draw(self, canvas: Canvas, view: View, light: Light, seen: Seen) -> None:
        """Paint it; one sees through fences, so what they enclose is theirs in the mask as in Cityscapes."""
        near, far = max(self.s_m - self.length_m, view.s_m + NEAR_M), self.s_m
        if near >= far - 0.2:
            return
        gain = light.on((0.0, -math.copysign(1.0, self.u_m)), near - view.s_m, self.u_m - view.u_m)
        canvas.begin({"hedge": VEGETATION, "wall": WALL}.get(self.kind, FENCE))
        if self.kind in {"hedge", "wall"}:
            canvas.texture(seen.part(0, 4), facades.hedge() if self.kind == "hedge" else facades.masonry(), gain)
            return
        colour, depth = dim(self.colour, gain), float(seen.depth.mean())
        panel = seen.pixels[[0, 1, 4, 5]]
        if self.kind == "rail":
            canvas.polygon(panel, colour, depth)
            middle = (panel[:2] + panel[:1:-1]) // 2
            cv2.line(canvas.image, middle[0].tolist(), middle[1].tolist(), dim(self.colour, 0.6 * gain), 2)
            return
        canvas.veil(panel, depth)
        posts = np.arange(near, far, max(0.25, (near - view.s_m) / 60))
        pickets = np.empty((len(posts), 2, 3))
        pickets[..., 0], pickets[..., 1], pickets[..., 2] = posts[:, None], self.u_m, (0.0, self.height_m)
        strokes = view.see(pickets.reshape(-1, 3)).pixels.reshape(-1, 2, 2)
        cv2.polylines(canvas.image, list(strokes), False, colour, 1)
        cv2.polylines(canvas.image, [panel], True, colour, 2 if near - view.s_m < 8 else 1)
