"""Outlining lesions, from masks to a run with its scores, which is then used as any other."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medical_imaging import predict, segmentation, synthetic, trained
from medical_imaging.config import Config
from paceline import config as configuration
from paceline.errors import PacelineError


@pytest.fixture(scope="module")
def outlining_run(small: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that outlines; tests read it and do not write to it."""
    chosen = small.model_copy(update={"model": small.model.model_copy(update={"task": "segmentation"})})
    return Path(segmentation.train(chosen, runs_folder=tmp_path_factory.mktemp("runs"))["run"])


@pytest.fixture(scope="module")
def record(outlining_run: Path) -> dict[str, Any]:
    """The run's record."""
    found: dict[str, Any] = json.loads((outlining_run / "run.json").read_text())
    return found


def test_the_record_of_a_run_that_outlines(record: dict[str, Any], outlining_run: Path) -> None:
    """It has Dice for the test and the external site, each beside the floor, and a threshold."""
    assert "done" == record["status"]
    assert {"dice", "iou", "hausdorff_95_px", "external_dice"} <= set(record["scores"])
    assert all("floor" in score for score in record["scores"].values())
    assert {"train"} == set(record["training"])
    assert 0 < record["model"]["decision"]["thresholds"][0] < 1
    card = (outlining_run / "MODEL_CARD.md").read_text()
    assert card.startswith("# Outlines of lesions")
    assert "Images without a mask take no part." in card


def test_evaluating_gives_the_scores_of_the_run(record: dict[str, Any], outlining_run: Path) -> None:
    """The saved network says what the one in training said."""
    found = predict.evaluate(outlining_run)
    assert set(record["scores"]) == set(found["scores"])
    for name, score in found["scores"].items():
        assert record["scores"][name]["value"] == pytest.approx(score["value"], abs=1e-6), name
    assert [row["slice"] for row in record["slices"]] == [row["slice"] for row in found["slices"]]


def test_new_files_get_masks_of_their_own_size(outlining_run: Path, small: Config, tmp_path: Path) -> None:
    """By salted id: a mask, an overlay, and a row in the CSV each; the broken file is quarantined."""
    folder = synthetic.write(tmp_path / "new", small.data.model_copy(update={"patients": 20, "image_size_px": 48}))
    found = predict.predict(outlining_run, [folder], tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert found["read"] == len(rows) + found["quarantined"] == len(list(folder.rglob("*.dcm")))
    assert not any(path.stem in text for path in folder.rglob("*.dcm"))
    assert found["found"]["lesion"] == sum(int(row["lesion_found"]) for row in rows)
    for row in rows:
        mask = cv2.imread(str(tmp_path / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert (48, 48) == mask.shape
        assert float(row["lesion_share"]) == pytest.approx((mask == 255).mean(), abs=1e-6)
    assert len(rows) == len(list((tmp_path / "out").glob("*-overlay.png")))


def test_an_exported_model_outlines_the_same(outlining_run: Path) -> None:
    """And both are timed."""
    pytest.importorskip("jax2onnx", reason="needs the extra onnx")
    assert predict.to_onnx(outlining_run)["max_abs_difference"] < 1e-3
    try:
        rows = predict.benchmark(outlining_run)["latency"]
        assert ["keras", "onnxruntime"] == [row["engine"] for row in rows]
    finally:
        (outlining_run / "model.onnx").unlink()


def test_what_does_not_act_on_outlines_is_refused(outlining_run: Path) -> None:
    """Views are averaged of classifiers alone."""
    with pytest.raises(PacelineError, match=r"report\.views=2"):
        trained.load(outlining_run, ["report.views=2"])


def test_a_folder_of_images_and_masks_trains(small: Config, tmp_path: Path) -> None:
    """Thirty pictures, a bright disc in each, no table and no class: a run with scores, which can be evaluated.

    The folder's name, a patient's perhaps, is in the run's configuration, which trains again, and nowhere else.
    """
    rng, root = np.random.default_rng(0), tmp_path / "Nightingale F"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(30):
        mask = np.zeros((48, 64), np.uint8)
        cv2.circle(mask, tuple(int(each) for each in rng.integers(12, 36, 2)), 7, 255, -1)
        image = rng.integers(0, 80, mask.shape, dtype=np.uint8) + mask // 2
        assert cv2.imwrite(str(root / "images" / f"{number}.png"), image)
        assert cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)
    overrides = {
        "model.task": "segmentation",
        "data.source": "images",
        "data.path": str(root),
        "data.labels_csv": "",
        "data.columns.patient": "",
    }
    chosen = configuration.replace(small, overrides, source="test")
    command = shlex.join(["medical-imaging", "train", "--set", f"data.path={root}"])
    answer = segmentation.train(chosen, runs_folder=tmp_path / "runs", command=command)
    folder = Path(answer["run"])
    assert ["config.toml"] == [
        path.name for path in folder.rglob("*") if path.is_file() and b"Nightingale" in path.read_bytes()
    ]
    assert chosen == configuration.load(Config, folder / "config.toml")
    assert "done" == answer["status"]
    assert 0 <= answer["scores"]["dice"]["value"] <= 1
    found = json.loads((folder / "run.json").read_text())
    assert ("(hidden)", "medical-imaging train --set data.path=(hidden)") == (
        found["config"]["data"]["path"],
        found["command"],
    )
    assert (30, ["lesion"]) == (found["dataset"]["masks"]["with_a_lesion"], found["model"]["classes"])
    assert found["scores"]["false_alarms"]["value"] is None, "no image is without a lesion"
    again = predict.evaluate(folder)
    assert answer["scores"]["dice"]["value"] == pytest.approx(again["scores"]["dice"]["value"], abs=1e-6)


def test_a_recipe_without_maps_is_refused(small: Config, tmp_path: Path) -> None:
    """ResNet-18 gives nothing to outline from."""
    model = small.model.model_copy(update={"task": "segmentation", "name": "resnet18"})
    with pytest.raises(PacelineError, match="no maps to outline from"):
        segmentation.train(small.model_copy(update={"model": model}), runs_folder=tmp_path)
    assert not any(tmp_path.iterdir())
