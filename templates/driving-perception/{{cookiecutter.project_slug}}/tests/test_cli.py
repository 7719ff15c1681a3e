"""The commands end to end: what they print and write, their exit codes, one line for a user's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from driving_perception import cli
from driving_perception.config import Config
from paceline import config

Call = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """A function that runs a command line in an empty folder: exit code, the JSON of the last line, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: object) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "argv", ["driving-perception", *(str(word) for word in argv)])
        code = cli.main()
        out, err = capsys.readouterr()
        return code, json.loads(out.splitlines()[-1]) if "--json" in argv else out, err

    return run


def test_the_data_are_audited(call: Call, small: Callable[..., Config], tmp_path: Path) -> None:
    """Counts on the screen and in a sheet with labels over images."""
    (tmp_path / "config.toml").write_text(config.dump(small()))
    code, found, _ = call("data", "--json")
    assert (0, 36) == (code, found["frames"])
    assert "<html" in (tmp_path / "data-sheet.html").read_text()


def test_evaluation_repeats_the_scores_and_looks_under_bad_sight(call: Call, run_folders: dict[str, Path]) -> None:
    """The whole model gives the scores that training gave; each condition has a row."""
    run = run_folders["segmentation"]
    code, found, _ = call("evaluate", run, "--json")
    assert 0 == code
    trained = json.loads((run / "run.json").read_text())["scores"]["mean_iou"]["value"]
    assert trained == pytest.approx(found["scores"]["mean_iou"]["value"], abs=0.01)
    assert ["none", "fog", "noise", "blur", "dark"] == [row["condition"] for row in found["robustness"]]
    assert found["gate"]["passed"]


def test_the_safety_gate_fails_the_command(call: Call, run_folders: dict[str, Path]) -> None:
    """Exit code 1, the slices named, and the evaluation written for all that."""
    run = run_folders["segmentation"]
    code, _, err = call("evaluate", run, "--set", "report.gate_recall=1.0")
    assert 1 == code
    assert err.startswith("error: The recall of 'person' is below 1 in ")
    assert not json.loads((run / "evaluation.json").read_text())["gate"]["passed"]


def test_the_safety_gate_is_held_for_boxes(call: Call, run_folders: dict[str, Path]) -> None:
    """People by the name that the boxes have; a class that is none of them is told, and refused with a least recall."""
    run = run_folders["detection"]
    code, found, _ = call("evaluate", run, "--json")
    assert (0, [], True) == (code, found["warnings"], found["gate"]["slices"] > 0)
    code, _, err = call("evaluate", run, "--set", "report.gate_recall=1.0")
    assert (1, True) == (code, err.startswith("error: The recall of 'person' is below 1 in "))
    deer = ("--set", "report.gate_class=deer")
    code, found, _ = call("evaluate", run, *deer, "--json")
    assert (0, 0) == (code, found["gate"]["slices"])
    assert found["warnings"][0].startswith("The safety gate's class 'deer' is none of the model's classes: no recall")
    code, _, err = call("evaluate", run, *deer, "--set", "report.gate_recall=1.0")
    assert (1, True) == (code, err.startswith("error: The safety gate's class 'deer' is none of the model's classes"))


def test_lanes_have_no_gate_to_warn_of(call: Call, run_folders: dict[str, Path]) -> None:
    """Their model knows no classes; a least recall is refused all the same."""
    code, found, _ = call("evaluate", run_folders["lanes"], "--json")
    assert (0, []) == (code, found["warnings"])
    code, _, err = call("evaluate", run_folders["lanes"], "--set", "report.gate_recall=0.5")
    assert (1, True) == (code, err.startswith("error: The safety gate's class 'person' is none of the model's classes"))


@pytest.mark.parametrize("task", ["segmentation", "detection", "lanes"])
def test_images_and_videos_are_predicted(task: str, call: Call, run_folders: dict[str, Path], tmp_path: Path) -> None:
    """Overlays of the size of what went in, a line each; a broken file is listed and stops nothing."""
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        cv2.imwrite(str(images / f"{name}.png"), rng.integers(0, 256, (96, 160, 3), dtype=np.uint8))
    (images / "broken.png").write_bytes((images / "a.png").read_bytes()[:200])
    video = cv2.VideoWriter(str(tmp_path / "drive.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (160, 96))
    for _ in range(10):
        video.write(rng.integers(0, 256, (96, 160, 3), dtype=np.uint8))
    video.release()
    code, found, _ = call("predict", run_folders[task], images, "drive.mp4", "--output", "out", "--json")
    assert (0, 2, 1, 10, 1) == (code, *(found[key] for key in ("images", "videos", "frames", "quarantined")))
    assert (96, 160, 3) == cv2.imread(str(tmp_path / "out" / "a.overlay.jpg")).shape
    assert 12 == len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines())
    assert (task == "segmentation") == (tmp_path / "out" / "a.png").exists()
    capture = cv2.VideoCapture(str(tmp_path / "out" / "drive.overlay.mp4"))
    assert 10 == capture.get(cv2.CAP_PROP_FRAME_COUNT)


def test_inputs_of_one_name_keep_their_answers_and_a_bad_video_stops_nothing(
    call: Call, run_folders: dict[str, Path], picture: Callable[..., Path], tmp_path: Path
) -> None:
    """The second `1` is numbered, whatever its suffix and folder; what comes after a video without frames is seen."""
    images = [picture(tmp_path / name) for name in ("a/1.png", "b/1.png", "b/1.jpg")]
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    video = cv2.VideoWriter(str(tmp_path / "drive.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (64, 48))
    video.write(cv2.imread(str(images[0])))
    video.release()
    code, found, _ = call(
        "predict", run_folders["segmentation"], *images, "broken.mp4", "drive.mp4", "--output", "out", "--json"
    )
    assert (0, 3, 1, 1, 1) == (code, *(found[key] for key in ("images", "videos", "frames", "quarantined")))
    written = [f"{name}.{suffix}" for name in ("1", "1-2", "1-3") for suffix in ("overlay.jpg", "png")]
    listed = ["drive.overlay.mp4", "predictions.jsonl", "quarantine.jsonl"]
    assert sorted(written + listed) == sorted(path.name for path in (tmp_path / "out").iterdir())
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    overlays = ["1.overlay.jpg", "1-2.overlay.jpg", "1-3.overlay.jpg"]
    assert list(zip(map(str, images), overlays, strict=True)) == [
        (line["image"], line["overlay"]) for line in lines[:3]
    ]
    kept_apart = json.loads((tmp_path / "out" / "quarantine.jsonl").read_text())
    assert ("broken.mp4", "the file cannot be opened as a video") == (kept_apart["source"], kept_apart["reason"])


@pytest.mark.slow
@pytest.mark.parametrize("task", ["segmentation", "detection", "lanes"])
def test_a_run_is_exported_and_timed(task: str, call: Call, run_folders: dict[str, Path]) -> None:
    """One ONNX file that agrees with the model; both engines, the model alone and end to end."""
    pytest.importorskip("jax2onnx", reason="needs the extra onnx")
    run = run_folders[task]
    code, found, error = call("export", run, "--json")
    assert 0 == code, error
    assert found["max_abs_difference"] < 1e-3
    code, found, _ = call("benchmark", run, "--json")
    assert 0 == code
    assert {(scope, engine) for scope in ("model", "end to end") for engine in ("keras", "onnxruntime")} == {
        (row["scope"], row["engine"]) for row in found["rows"]
    }
    facts = {"p50_ms", "p90_ms", "p99_ms", "max_ms", "meets", "device", "threads", "precision", "size_mb"}
    assert all(facts <= set(row) and row["size_mb"] > 0 for row in found["rows"])


@pytest.mark.parametrize(
    ("expected", "argv"),
    [
        ("There is no configuration file 'config.toml'.", ["train"]),
        ("'nowhere' is not a run: it has no run.json.", ["evaluate", "nowhere"]),
        ("'nowhere' is not a run: it has no run.json.", ["predict", "nowhere", "a.png"]),
        ("'nowhere' is not a run: it has no run.json.", ["export", "nowhere"]),
        ("'nowhere' is not a run: it has no run.json.", ["benchmark", "nowhere"]),
        ("There is no file 'absent.png'.", ["predict", "{run}", "absent.png"]),
        ("--set got 'train.epochs=3', which is settled", ["evaluate", "{run}", "--set", "train.epochs=3"]),
        (
            "'nowhere' is not a run: it has no run.json.",
            ["train", "--config", "{config}", "--from", "nowhere"],
        ),
    ],
)
def test_a_mistake_is_one_line(
    expected: str, argv: list[str], call: Call, small: Callable[..., Config], run_folders: dict[str, Path]
) -> None:
    """Exit code 1, the cause first on one line, no traceback."""
    Path("c.toml").write_text(config.dump(small()))
    code, _, err = call(*[word.format(config="c.toml", run=run_folders["segmentation"]) for word in argv])
    assert 1 == code
    assert err.startswith(f"error: {expected}")
    assert 1 == err.count("\n")


@pytest.mark.parametrize("command", ["tune", "levers"])
def test_a_device_that_is_not_here_is_refused_before_keras_is_loaded(
    command: str, small: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it takes longer to load than a user waits for such an error."""
    (tmp_path / "config.toml").write_text(config.dump(small()))
    code = (
        "import sys; from driving_perception import cli; from paceline import device; device.gpus = lambda: (); "
        f"sys.argv = ['driving-perception', '{command}', '--device', 'gpu']; "
        "code = cli.main(); print(code, 'keras' in sys.modules)"
    )
    paths = [str(Path(module.__file__ or "").parents[1]) for module in (cli, config)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "1 False\n" == done.stdout
    assert done.stderr.startswith("error: A GPU was asked for")
