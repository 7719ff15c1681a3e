"""What kind of drive a sequence shows: place, weather, hour, and how the camera is mounted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# BDD100K's word for each kind of place; it has none for country roads.
SCENES = {"urban": "city street", "suburban": "residential", "highway": "highway", "rural": "undefined"}
WEATHERS = ("clear", "partly cloudy", "overcast", "rainy", "snowy", "foggy")
TIMES_OF_DAY = ("daytime", "dawn/dusk", "night")


@dataclass(frozen=True)
class Scenario:
    """One drive.

    Attributes:
        place: "urban", "suburban", "highway" or "rural".
        weather: one of BDD100K's words.
        timeofday: one of BDD100K's words.
        lanes: driving lanes in the ego's direction and against it (0 where a barrier hides the other carriageway).
        lane_width_m: of one driving lane.
        parking_m: width of the parking strip on both sides, 0 for none.
        pavement_m: width of the pavement on both sides, 0 for none.
        verge_m: width of the verge outside the pavement.
        curvature_per_m: amplitude of the road's curvature.
        slope: amplitude of the road's gradient.
        speed_m_per_frame: how far the ego moves from one frame to the next.
        camera_height_m: above the road.
        pitch_rad: positive looks down.
        roll_rad: positive turns the horizon clockwise.
        field_of_view_rad: horizontal.
        bonnet: share of the image's height that the ego's bonnet hides, 0 for none.
        left_hand: traffic keeps left.
    """

    place: str
    weather: str
    timeofday: str
    lanes: tuple[int, int]
    lane_width_m: float
    parking_m: float
    pavement_m: float
    verge_m: float
    curvature_per_m: float
    slope: float
    speed_m_per_frame: float
    camera_height_m: float
    pitch_rad: float
    roll_rad: float
    field_of_view_rad: float
    bonnet: float
    left_hand: bool

    @property
    def attributes(self) -> dict[str, str]:
        """The frame's attributes in BDD100K's vocabulary."""
        return {"weather": self.weather, "timeofday": self.timeofday, "scene": SCENES[self.place]}

    @property
    def right_edge_m(self) -> float:
        """Offset of the right-hand edge of the carriageway from the road's centre line."""
        return self.lanes[0] * self.lane_width_m + self.parking_m

    @property
    def left_edge_m(self) -> float:
        """Offset of the left-hand edge of the carriageway, negative."""
        return -(self.lanes[1] * self.lane_width_m + (self.parking_m if self.lanes[1] else 0.6))


def draw(rng: np.random.Generator) -> Scenario:
    """Draw a scenario."""
    place = str(rng.choice(list(SCENES), p=[0.46, 0.26, 0.15, 0.13]))
    weather = str(rng.choice(WEATHERS, p=[0.36, 0.18, 0.22, 0.1, 0.06, 0.08]))
    timeofday = str(rng.choice(TIMES_OF_DAY, p=[0.68, 0.16, 0.16]))
    lanes, parking, pavement, verge = (1, 1), 0.0, 0.0, 0.0
    if place == "urban":
        lanes = [(1, 1), (2, 1), (2, 2)][rng.integers(3)]
        parking, pavement = float(rng.choice([0.0, 2.2])), rng.uniform(2.0, 4.5)
    elif place == "suburban":
        parking, pavement, verge = float(rng.choice([0.0, 2.0])), rng.uniform(1.4, 2.4), rng.uniform(2.0, 6.0)
    elif place == "highway":
        lanes = (int(rng.integers(2, 4)), int(rng.choice([0, 0, 2])))
        parking, verge = rng.uniform(1.5, 3.0), rng.uniform(3.0, 9.0)  # the hard shoulder is a strip like parking
    else:
        verge = rng.uniform(2.0, 7.0)
    bend, slope = {"urban": (0.002, 0.015), "suburban": (0.006, 0.03), "highway": (0.0012, 0.015)}.get(
        place, (0.007, 0.045)
    )
    fast = {"urban": 5.0, "suburban": 5.0, "highway": 14.0, "rural": 10.0}[place]
    return Scenario(
        place=place,
        weather=weather,
        timeofday=timeofday,
        lanes=lanes,
        lane_width_m=rng.uniform(3.4, 3.75) if place == "highway" else rng.uniform(2.8, 3.4),
        parking_m=parking,
        pavement_m=pavement,
        verge_m=verge,
        curvature_per_m=bend * rng.uniform(0.0, 1.0),
        slope=slope * rng.uniform(0.0, 1.0),
        speed_m_per_frame=fast * rng.uniform(0.1, 0.5),
        camera_height_m=rng.uniform(1.15, 1.75),
        pitch_rad=np.deg2rad(rng.uniform(-1.5, 6.0)),
        roll_rad=np.deg2rad(rng.normal(0.0, 0.7)),
        field_of_view_rad=np.deg2rad(rng.uniform(50.0, 78.0)),
        bonnet=rng.uniform(0.03, 0.11) if rng.random() < 0.45 else 0.0,
        left_hand=bool(rng.random() < 0.35),
    )
