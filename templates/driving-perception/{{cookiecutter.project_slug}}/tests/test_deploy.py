"""One frame from a camera to an answer: what is timed is what `predict` gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from driving_perception import deploy, figures, predict, train
from driving_perception.config import Config
from driving_perception.segmentation import Segmentation, decide, likeliest
from paceline import latency, record
from paceline.latency import Latency

TASKS = ("segmentation", "detection", "lanes")


def enlarged(run: predict.TrainedRun, roads: Path, folder: Path) -> predict.TrainedRun:
    """Return the run on copies of the frames of twice the network's size."""
    for source in roads.rglob("*.*"):
        target = folder / source.relative_to(roads)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".json":
            target.write_bytes(source.read_bytes())
        else:
            cv2.imwrite(str(target), cv2.resize(cv2.imread(str(source), -1), None, fx=2, fy=2, interpolation=0))
    data = run.config.data.model_copy(update={"path": str(folder)})
    return replace(run, config=run.config.model_copy(update={"data": data}))


@pytest.mark.parametrize("task", TASKS)
def test_a_frame_is_timed_at_its_own_size_and_answered_as_by_predict(
    task: str, run_folders: dict[str, Path], roads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of 128 x 96 px on a network of 64 x 48 px: the answer is decoded, and of the frame's size."""
    run = enlarged(predict.load(run_folders[task]), roads, tmp_path / "roads")
    timed: list[tuple[int, ...]] = []
    answers: list[Any] = []

    def measure(call: Callable[[Any], Any], example: Any) -> Latency:
        timed.append(example.shape)
        answers.append(call(example))
        return Latency(1.0, 1.0, 1.0, 1.0, 1)

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "model.keras").write_bytes(b"0" * 1000)
    monkeypatch.setattr(predict, "load", lambda *given: replace(run, folder=folder))
    monkeypatch.setattr(latency, "measure", measure)
    monkeypatch.setattr(latency, "compare", lambda *given, **named: [{"engine": "keras", "threads": 1}])
    found = deploy.benchmark(folder)
    assert ([128, 96], [64, 48], [(96, 128, 3)]) == (found["frame_px"], found["network_px"], timed)
    assert (run.device, 0.001) == (found["rows"][0]["device"], found["rows"][0]["size_mb"])
    frame = deploy.source_frame(run)
    ((_, _, answer),) = predict._answers(run, iter([(0, frame)]))
    expected = run.task.describe(answer, (96, 128))
    if isinstance(run.task, Segmentation):
        assert (expected["map"] == answers[0]).mean() > 0.999  # where two classes are as likely, rounding decides
    else:
        assert expected == answers[0]


@pytest.mark.slow
def test_a_decoder_is_exported_with_its_frozen_backbone(small: Callable[..., Config], tmp_path: Path) -> None:
    """One file from the image on, the features that were cached in training included, and as the model answers."""
    pytest.importorskip("jax2onnx", reason="needs the extra onnx")
    chosen = small(epochs=1)
    chosen = chosen.model_copy(update={"model": chosen.model.model_copy(update={"name": "frozen"})})
    run = Path(train.train(chosen, runs_folder=tmp_path)["run"])
    found = deploy.export(run)
    assert found["max_abs_difference"] < 1e-3
    assert deploy.PARITY_FRAMES == found["compared"]
    parameters = record.read(run)["model"]["frozen_parameters"]
    assert 4 * parameters < found["size_bytes"]  # the backbone's weights are in it


def test_outputs_in_a_list_are_those_by_name(run_folders: dict[str, Path]) -> None:
    """ONNX Runtime gives a list, in the order in which `export` names the outputs."""
    run = predict.load(run_folders["detection"])
    image = deploy.source_frame(run)
    listed = deploy.end_to_end(
        run, lambda rows: [run.model.predict_on_batch(rows)[name] for name in ("centres", "sides")], image
    )
    assert deploy.end_to_end(run, run.model.predict_on_batch, image) == listed


def test_the_likeliest_class_is_that_of_all_classes_at_once() -> None:
    """Interpolated one by one or together, more classes than OpenCV takes channels."""
    logits = np.random.default_rng(0).normal(size=(6, 8, 7)).astype(np.float32)
    assert np.array_equal(decide(figures.resize(logits, 20, 15))[0], likeliest(logits, (15, 20)))
