"""Targets of detection and what is read from the grid."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from driving_perception.detection import CentreLoss, Detection, SideLoss

TASK = Detection(("car", "person"), (48, 64))
OBJECTS = np.array([[0, 10, 20, 30, 36], [1, 40, 10, 46, 30]], np.float32)


def targets(objects: np.ndarray = OBJECTS, ignored: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the targets of one frame."""
    regions = np.zeros((0, 4), np.float32) if ignored is None else ignored
    return TASK.targets(SimpleNamespace(boxes=(objects,), ignored_boxes=(regions,)))


def perfect(wanted: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the answer that says just what is wanted."""
    share = np.clip(wanted["centres"] / 254.0, 1e-4, 1 - 1e-4)
    return {"centres": np.log(share / (1 - share)).astype(np.float32), "sides": wanted["sides"].astype(np.float32)}


def test_what_is_wanted_reads_as_the_objects() -> None:
    """From targets to boxes and back, within the rounding of half precision."""
    answer = {name: value[0] for name, value in perfect(targets()).items()}
    found = TASK.decide(answer)
    found = found[found[:, 5] > 0.9]
    assert OBJECTS.tolist() == pytest.approx(np.array(sorted(found[:, :5].tolist())), abs=0.1)


def test_mirrored_targets_are_those_of_the_mirrored_frame() -> None:
    """Left and right sides change places, and so do the cells."""
    mirrored = OBJECTS.copy()
    mirrored[:, [1, 3]] = 64 - OBJECTS[:, [3, 1]]
    flipped = TASK.flip({name: value[0] for name, value in targets().items()})
    found = TASK.decide({name: value[0] for name, value in perfect({k: v[None] for k, v in flipped.items()}).items()})
    found = found[found[:, 5] > 0.9]
    assert sorted(mirrored.tolist()) == pytest.approx(np.array(sorted(found[:, :5].tolist())), abs=0.1)


def test_losses_are_least_for_what_is_wanted() -> None:
    """Boxes of another size cost more, missed centres as well; ignored cells cost nothing."""
    wanted = targets()
    right = perfect(wanted)
    assert float(SideLoss()(wanted["sides"], right["sides"])) == pytest.approx(0.0, abs=1e-3)
    assert float(SideLoss()(wanted["sides"], 2 * right["sides"])) > 0.5
    nothing = np.full_like(right["centres"], -6.0)
    assert float(CentreLoss()(wanted["centres"], nothing)) > 10 * float(
        CentreLoss()(wanted["centres"], right["centres"])
    )
    ignored = targets(np.zeros((0, 5), np.float32), np.array([[0, 0, 64, 48]], np.float32))
    assert 0.0 == float(CentreLoss()(ignored["centres"], -nothing))
