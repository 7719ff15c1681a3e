"""The renderer: the same arguments give the same frame, and its annotations agree with each other."""

from __future__ import annotations

import numpy as np
import pytest

from driving_perception.renderer import Scene, render
from driving_perception.renderer import light as lights
from driving_perception.renderer.camera import NEAR_M, Course, View
from driving_perception.renderer.canvas import BICYCLE, CAR, ROAD, SIDEWALK, Canvas
from driving_perception.renderer.scenario import SCENES, TIMES_OF_DAY, WEATHERS, draw
from driving_perception.renderer.vehicles import Vehicle

WIDTH, HEIGHT = 240, 180
OBJECTS = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
TRAIN_IDS = {"traffic light": 6, "traffic sign": 7} | {name: 11 + i for i, name in enumerate(OBJECTS)}


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """Sixty frames, each of another world."""
    return [render(8 * index, seed=3, width_px=WIDTH, height_px=HEIGHT) for index in range(60)]


def test_same_arguments_give_the_same_frame_in_any_order() -> None:
    """A frame depends on seed and index alone, not on what was rendered before."""
    first = render(5, seed=1, width_px=WIDTH, height_px=HEIGHT)
    render(100, seed=2, width_px=WIDTH, height_px=HEIGHT)
    again = render(5, seed=1, width_px=WIDTH, height_px=HEIGHT)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    assert np.array_equal(first.depth, again.depth)
    assert first.boxes == again.boxes
    other = render(5, seed=2, width_px=WIDTH, height_px=HEIGHT)
    assert not np.array_equal(first.image, other.image)


def test_frames_of_one_sequence_are_alike_and_others_are_not() -> None:
    """Neighbours in a sequence share a world: more of their masks agree than between sequences."""
    masks = [render(index, seed=4, width_px=WIDTH, height_px=HEIGHT).mask for index in range(24)]
    inside = np.mean([np.mean(masks[i] == masks[i + 1]) for i in range(23) if i % 8 < 7])
    across = np.mean([np.mean(masks[i] == masks[i + 8]) for i in range(16)])
    assert inside > across + 0.05


def test_masks_hold_train_ids_and_every_class_occurs(scenes: list[Scene]) -> None:
    """Values are 0 to 18 or 255, all of them somewhere; the road takes 25 to 40 % of the pixels."""
    counts = np.sum([np.bincount(scene.mask.ravel(), minlength=256) for scene in scenes], axis=0)
    assert {*range(19), 255} == set(np.flatnonzero(counts).tolist())
    assert 0.25 < counts[ROAD] / counts.sum() < 0.40


def test_image_and_labels_have_the_size_asked_for(scenes: list[Scene]) -> None:
    """Image, mask and depth are of one size and of the promised types; depth is positive everywhere."""
    for scene in scenes[:5]:
        assert ((HEIGHT, WIDTH, 3), np.uint8) == (scene.image.shape, scene.image.dtype)
        assert ((HEIGHT, WIDTH), np.uint8) == (scene.mask.shape, scene.mask.dtype)
        assert ((HEIGHT, WIDTH), np.float32) == (scene.depth.shape, scene.depth.dtype)
        assert scene.depth.min() > 0


def test_boxes_fit_the_pixels_of_their_class(scenes: list[Scene]) -> None:
    """Each side of a box touches a pixel of the box's class, and the box is inside the image."""
    seen = 0
    for scene in scenes:
        for box in scene.boxes:
            assert 0 <= box.x1 < box.x2 <= WIDTH
            assert 0 <= box.y1 < box.y2 <= HEIGHT
            part = scene.mask[box.y1 : box.y2, box.x1 : box.x2] == TRAIN_IDS[box.category]
            for side in (part[0], part[-1], part[:, 0], part[:, -1]):
                assert side.any(), box
            seen += 1
    assert seen > 300


def test_every_large_object_has_a_box(scenes: list[Scene]) -> None:
    """No pixel of an object's class is outside all boxes of that class, but for specks too small to annotate."""
    for scene in scenes:
        left = np.isin(scene.mask, list(TRAIN_IDS.values()))
        for box in scene.boxes:
            part = (slice(box.y1, box.y2), slice(box.x1, box.x2))
            left[part] &= scene.mask[part] != TRAIN_IDS[box.category]
        assert left.sum() < 80


def test_what_is_painted_over_counts_as_hidden() -> None:
    """Of two objects the later one hides the earlier, and each keeps count of its whole silhouette."""
    canvas = Canvas(40, 20)
    for x1, x2, label in ((5, 14, CAR), (10, 24, BICYCLE)):
        canvas.begin(label, "car")
        canvas.polygon(np.array([[x1, 5], [x2, 5], [x2, 14], [x1, 14]], np.int32), (9.0, 9.0, 9.0), 30.0 - x1)
        canvas.end()
    assert [100, 150] == [instance.area_px for instance in canvas.instances]
    assert [50, 150] == [np.count_nonzero(canvas.visible(i)) for i in (0, 1)]
    assert (BICYCLE, 20.0) == (canvas.mask()[8, 12], canvas.depth()[8, 12])


def test_a_shape_that_leaves_the_image_is_truncated() -> None:
    """An object over the edge is truncated, and its silhouette counts inside the image only."""
    canvas = Canvas(40, 20)
    canvas.begin(CAR, "car")
    canvas.polygon(np.array([[-10, 5], [9, 5], [9, 14], [-10, 14]], np.int32), (9.0, 9.0, 9.0), 30.0)
    canvas.end()
    assert canvas.instances[0].truncated
    assert 100 == canvas.instances[0].area_px


def test_what_reaches_past_the_camera_is_cut_off() -> None:
    """A bus whose end is behind the camera is painted up to the image's edge, nowhere much nearer than `NEAR_M`."""
    scenario = draw(np.random.default_rng(0))
    view = View(scenario, Course(0.0, 0.0, (0.0, 0.0, 0.0, 0.0)), 0.0, 0.0, WIDTH, HEIGHT)
    canvas = Canvas(WIDTH, HEIGHT)
    bus = Vehicle("bus", 5.0, 3.0, 0.0, 0.0, (90.0, 90.0, 90.0))
    assert bus.reach_m > bus.s_m
    bus.draw(canvas, view, lights.draw(scenario, np.random.default_rng(0)), view.see(bus.corners()))
    assert canvas.instances[0].truncated
    assert canvas.instances[0].area_px > 0.05 * WIDTH * HEIGHT
    assert canvas.depth().min() >= NEAR_M - 0.2


def test_flags_of_boxes_follow_their_occlusion(scenes: list[Scene]) -> None:
    """BDD100K's flag is set where more than 15 % of a silhouette is hidden; both kinds occur."""
    boxes = [box for scene in scenes for box in scene.boxes]
    assert all(box.occluded == (box.occlusion > 0.15) for box in boxes)
    assert 0.05 < np.mean([box.occluded for box in boxes]) < 0.7
    assert any(box.truncated for box in boxes)


def test_lanes_lie_on_the_road(scenes: list[Scene]) -> None:
    """But for what a vehicle or a person hides, lines are on the road; kerbs and their edges on the pavement."""
    ground = elsewhere = 0
    for scene in scenes:
        for lane in scene.lanes:
            x, y = lane.points.astype(int).T
            found = scene.mask[y, x]
            found = found[~np.isin(found, list(TRAIN_IDS.values()))]
            on = np.isin(found, (ROAD, SIDEWALK, 255))
            ground += np.count_nonzero(on)
            elsewhere += np.count_nonzero(~on)
    assert ground > 2000
    assert elsewhere < 0.05 * ground


def test_attributes_are_bdd100ks_words(scenes: list[Scene]) -> None:
    """Weather, time of day and scene come from BDD100K's lists, and all weathers occur."""
    assert set(WEATHERS) == {scene.attributes["weather"] for scene in scenes}
    assert set(TIMES_OF_DAY) == {scene.attributes["timeofday"] for scene in scenes}
    assert set(SCENES.values()) == {scene.attributes["scene"] for scene in scenes}


def test_depth_grows_up_the_road(scenes: list[Scene]) -> None:
    """On the road in one column, a pixel further up is never nearer."""
    for scene in scenes:
        column = WIDTH // 2
        rows = np.flatnonzero(scene.mask[:, column] == ROAD)
        assert (np.diff(scene.depth[rows, column]) <= 1e-3).all()
