"""Outlining lesions, from masks to a run with its scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medical_imaging import predict, segmentation
from medical_imaging.config import Config
from paceline.errors import PacelineError


def test_a_run_that_outlines(small: Config, tmp_path: Path) -> None:
    """The record has Dice for the test and the external site; commands for classifiers refuse it."""
    chosen = small.model_copy(update={"model": small.model.model_copy(update={"task": "segmentation"})})
    answer = segmentation.train(chosen, runs_folder=tmp_path)
    folder = Path(answer["run"])
    record = json.loads((folder / "run.json").read_text())
    assert "done" == record["status"]
    assert {"dice", "iou", "hausdorff_95_px", "external_dice"} <= set(record["scores"])
    assert {"train"} == set(record["training"])
    assert 0 < record["model"]["decision"]["thresholds"][0] < 1
    assert (folder / "model.keras").is_file()
    with pytest.raises(PacelineError, match="outlines lesions"):
        predict.load(folder)
