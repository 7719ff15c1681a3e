"""The driving template on CamVid's own frames: every one is read, and sequences are told apart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from driving_perception import data, splits
from driving_perception.config import Data
from paceline.quarantine import Quarantine

SAMPLES = Path(os.environ.get("PACELINE_SAMPLE_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "driving"
CONFIG = Data(source="camvid", path=str(SAMPLES / "camvid"), image_width_px=480, image_height_px=360)

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not SAMPLES.exists(), reason=f"the sample of CamVid is not in {SAMPLES}"),
]


def test_every_frame_is_read_with_its_mask() -> None:
    """123 of train and 34 of val, at 480 × 360, of three sequences; nothing but the 11 classes and void."""
    quarantine = Quarantine()
    scenes = data.load(CONFIG, "segmentation", quarantine)
    assert (157, 157) == (quarantine.read, quarantine.kept)
    assert {"0001TP": 21, "0006R0": 34, "0016E5": 102} == {
        name: int((scenes.sequences == name).sum()) for name in sorted(set(scenes.sequences.tolist()))
    }
    assert scenes.masks is not None
    assert [*range(11), 255] == np.unique(scenes.masks).tolist()


def test_the_published_split_is_taken_with_a_warning() -> None:
    """`val` is a clip of a sequence that `train` holds."""
    split = splits.divide(data.load(CONFIG, "segmentation", Quarantine()), CONFIG, seed=0)
    assert 34 == len(split.test)
    assert any("train and test share 1 sequences (0016E5)" in warning for warning in split.warnings)


def test_frames_of_two_drives_do_not_look_alike() -> None:
    """The look-alikes that the audit names are of one drive."""
    config = CONFIG.model_copy(update={"test_sequence": "0001TP"})
    scenes = data.load(config, "segmentation", quarantine := Quarantine())
    facts = data.audit(scenes, splits.divide(scenes, config, seed=0), quarantine)
    assert 0 == facts["look_alikes"]["test_frames_near_training"]
