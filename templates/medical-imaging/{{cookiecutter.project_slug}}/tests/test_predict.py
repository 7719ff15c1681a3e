"""A trained run in use: the same scores again, new files, ONNX, latency."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from medical_imaging import predict, privacy, synthetic, trained
from medical_imaging.config import Config
from paceline.errors import PacelineError


def test_evaluating_gives_the_scores_of_the_run(run_folder: Path) -> None:
    """The saved network says what the one in training said."""
    record = json.loads((run_folder / "run.json").read_text())
    found = predict.evaluate(run_folder)
    for name, score in found["scores"].items():
        assert record["scores"][name]["value"] == pytest.approx(score["value"], abs=1e-6), name
    assert [row["slice"] for row in record["slices"]] == [row["slice"] for row in found["slices"]]


def test_new_files_are_scored_by_salted_id(run_folder: Path, small: Config, tmp_path: Path) -> None:
    """A folder of DICOM files gives a row each, without their names; the broken one is quarantined."""
    folder = synthetic.write(tmp_path / "new", small.data)
    files = list(folder.rglob("*.dcm"))
    found = predict.predict(run_folder, [folder], tmp_path / "out" / "scored.csv")
    text = (tmp_path / "out" / "scored.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(files) == found["read"] == found["scored"] + found["quarantined"]
    assert len(rows) == found["scored"]
    assert all(0 <= float(row["nodule"]) <= 1 for row in rows)
    assert not any(path.stem in text for path in files)


def test_a_bad_input_costs_only_itself(run_folder: Path, small: Config, tmp_path: Path) -> None:
    """Beside a good one it is quarantined, and the map leads back from both; alone it is one clear sentence."""
    good = next(
        file for file in synthetic.write(tmp_path / "new", small.data).rglob("*.dcm") if file.stat().st_size > 999
    )
    bad = tmp_path / "bad" / "empty.dcm"
    bad.parent.mkdir()
    bad.write_bytes(b"")
    found = predict.predict(run_folder, [bad, good], tmp_path / "scored.csv")
    assert (2, 1, 1) == (found["read"], found["scored"], found["quarantined"])
    listed = json.loads((tmp_path / "scored.quarantine.jsonl").read_text().splitlines()[0])["source"]
    assert f"{listed},empty.dcm," in (tmp_path / f"bad{privacy.SUFFIX}" / "ids.csv").read_text()
    with pytest.raises(
        PacelineError, match=r"^None of the 1 file\(s\) can be read, the first because the file is empty"
    ):
        predict.predict(run_folder, [bad], tmp_path / "none.csv")


def test_an_exported_model_says_the_same(run_folder: Path) -> None:
    """And both are timed."""
    pytest.importorskip("jax2onnx", reason="needs the extra onnx")
    found = predict.to_onnx(run_folder)
    try:
        assert found["max_abs_difference"] < 1e-3
        assert ["keras", "onnxruntime"] == [row["engine"] for row in predict.benchmark(run_folder)["latency"]]
    finally:
        (run_folder / "model.onnx").unlink()


def test_several_views_are_averaged(run_folder: Path) -> None:
    """Other logits than one view's, near them."""
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1), dtype=np.uint8)
    one = predict.logits(trained.load(run_folder), images)
    several = predict.logits(trained.load(run_folder, ["report.views=5"]), images)
    assert (one != several).all()
    assert one.shape == several.shape


def test_what_shaped_the_model_is_not_changed_afterwards(run_folder: Path) -> None:
    """A setting that would be ignored is refused."""
    with pytest.raises(PacelineError, match=r"--set got 'train\.epochs=3', which is settled in a trained run"):
        trained.load(run_folder, ["train.epochs=3"])
