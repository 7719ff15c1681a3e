"""What lines the road: where buildings, barriers, trees and posts stand."""

from __future__ import annotations

import numpy as np

from driving_perception.renderer import facades, trees
from driving_perception.renderer.canvas import Colour
from driving_perception.renderer.fronts import Barrier, Building
from driving_perception.renderer.markings import Crossing
from driving_perception.renderer.road import Junction
from driving_perception.renderer.scenario import Scenario
from driving_perception.renderer.surroundings import Post, Tree

Still = Building | Barrier | Tree | Post
SEEN_M = 120.0


def things(
    drive: Scenario, junctions: tuple[Junction, ...], crossings: tuple[Crossing, ...], rng: np.random.Generator
) -> list[Still]:
    """Return what lines the road on both sides, from the kerb outwards."""
    found: list[Still] = []
    bare = bool(rng.random() < 0.35) or drive.weather == "snowy"
    for side in (1, -1):
        edge = drive.right_edge_m if side > 0 else -drive.left_edge_m
        outer = edge + drive.pavement_m + drive.verge_m
        gaps = [(j.start_m - 1, j.end_m + 1) for j in junctions if (j.right if side > 0 else j.left)]
        found.extend(_fronts(drive, side, outer, gaps, rng))
        found.extend(_barriers(drive, side, edge, outer, gaps, rng))
        found.extend(_planted(drive, side, edge, outer, bare, rng))
        found.extend(_posts(drive, side, edge, crossings, rng))
    return found


def _in_gap(start: float, end: float, gaps: list[tuple[float, float]]) -> bool:
    return any(start < last and end > first for first, last in gaps)


def _fronts(
    drive: Scenario, side: int, outer: float, gaps: list[tuple[float, float]], rng: np.random.Generator
) -> list[Still]:
    fronts: list[Still] = []
    if drive.place in {"highway", "rural"} and rng.random() < 0.75:
        return fronts
    terraced = drive.place == "urban"
    styles = facades.FACADE_STYLES[:5] if terraced else ("house", "brick", "render")
    storeys = rng.uniform(2.2, 5.5) if terraced else rng.uniform(1.7, 2.3)
    s, hidden_m = rng.uniform(-12, 0), 0.0  # how much of the next gable its neighbour hides
    while s < SEEN_M:
        length = rng.uniform(8, 17) if terraced else rng.uniform(8, 13)
        back = 0.0 if terraced else rng.uniform(3, 9)
        if not _in_gap(s, s + length, gaps) and rng.random() < (0.93 if terraced else 0.75):
            style = styles[rng.integers(len(styles))]
            height = 3.1 * (storeys * rng.uniform(0.75, 1.3))
            roof = 0.0 if style in {"glass", "concrete"} else rng.uniform(1.5, 3.5)
            tiles: Colour = (104.0, 66.0, 54.0) if rng.random() < 0.5 else (70.0, 70.0, 76.0)
            fronts.append(
                Building(s + length, length, side * (outer + back), height, rng.uniform(7, 12), style,
                         int(rng.integers(facades.LOOKS)), roof, tiles, gable=height > hidden_m)
            )  # fmt: skip
            hidden_m = height
        else:
            hidden_m = 0.0
        s += length
        if not terraced or rng.random() > 0.85:
            s, hidden_m = s + rng.uniform(2, 8), 0.0
        if drive.place in {"rural", "highway"}:
            s += rng.uniform(20, 70)
    return fronts


def _barriers(
    drive: Scenario, side: int, edge: float, outer: float, gaps: list[tuple[float, float]], rng: np.random.Generator
) -> list[Still]:
    kinds = {
        "urban": ["fence", "", "", "wall", ""],
        "suburban": ["hedge", "wall", "fence", ""],
        "highway": ["rail", "rail", "wall"],
        "rural": ["hedge", "fence", "rail", "wall", ""],
    }[drive.place]
    barriers: list[Still] = []
    kind = str(rng.choice(kinds))
    at = {"urban": edge + 0.4 if kind == "fence" else outer - 0.2, "highway": edge + 0.8}.get(drive.place, outer)
    if side < 0 and drive.place == "highway" and not drive.lanes[1]:
        kind, at = "wall" if rng.random() < 0.5 else "rail", edge + 0.3
    height = {"rail": 0.75, "fence": 1.1, "hedge": rng.uniform(1.0, 2.4), "wall": rng.uniform(0.8, 2.0)}.get(kind, 0.0)
    grey = rng.uniform(70, 180)
    s = rng.uniform(-10, 5)
    while kind and s < SEEN_M:
        if not _in_gap(s, s + 8, gaps):
            barriers.append(Barrier(s + 8, 8.0, side * at, height, kind, (grey, grey, grey)))
        s += 8.0
        if drive.place != "highway" and rng.random() < 0.12:
            kind = str(rng.choice([option for option in kinds if option])) if drive.place == "suburban" else kind
            height = {"fence": 1.1, "hedge": 1.6, "wall": 1.1}.get(kind, height)
            s += rng.uniform(2, 20)
    return barriers


def _planted(
    drive: Scenario, side: int, edge: float, outer: float, bare: bool, rng: np.random.Generator
) -> list[Still]:
    planted: list[Still] = []
    apart = {"urban": 26.0, "suburban": 11.0, "highway": 9.0, "rural": 7.0}[drive.place] * rng.uniform(0.6, 2.5)
    s = rng.uniform(2, 12)
    while s < SEEN_M + 20:
        u = edge + 0.8 if drive.place == "urban" else outer + rng.uniform(0.5, 10.0) - 0.5 * drive.verge_m
        height = rng.uniform(4, 12)
        bush = drive.place != "urban" and rng.random() < 0.35
        tall, trunk = (rng.uniform(1, 2.6), 0.0) if bush else (height, rng.uniform(0.22, 0.35) * height)
        planted.append(
            Tree(s, side * (u + (2.0 if bush else 0.0)), tall, trunk, int(rng.integers(trees.LOOKS)), bare and not bush)
        )
        s += rng.exponential(apart) + 1.5
    return planted


def _posts(
    drive: Scenario, side: int, edge: float, crossings: tuple[Crossing, ...], rng: np.random.Generator
) -> list[Still]:
    posts: list[Still] = []
    at = side * (edge + 0.5)
    s, apart = rng.uniform(5, 25), rng.uniform(22, 40)
    while drive.place != "rural" and s < SEEN_M:
        posts.append(Post(s, at, rng.uniform(7, 9), "lamp", (0.0, 0.0, 0.0)))
        s += apart
    s = rng.uniform(6, 30)
    while s < 110:
        kind = ("round", "triangle", "panel", "panel", "")[rng.integers(5)]
        colour: Colour = ((24.0, 66.0, 150.0), (20.0, 96.0, 62.0), (214.0, 210.0, 200.0))[rng.integers(3)]
        height = rng.uniform(2.2, 3.0)
        if drive.place == "highway" and side > 0 and rng.random() < 0.4:
            kind, height = "gantry", 6.2
        posts.append(Post(s, at * 1.03, height, kind, colour))
        s += rng.uniform(12, 45)
    signal = str(rng.choice(["red", "yellow", "green"], p=[0.42, 0.1, 0.48]))
    for crossing in crossings:
        if not crossing.zebra or rng.random() < 0.6:
            posts.append(Post(crossing.s_m - 1.0, at, rng.uniform(2.8, 3.4), "light", (0.0, 0.0, 0.0), signal))
            if side > 0 and rng.random() < 0.4:  # and one beyond the junction
                posts.append(Post(crossing.s_m + 14.0, at, rng.uniform(2.8, 4.4), "light", (0.0, 0.0, 0.0), signal))
    return posts
