"""CamVid's frames, one sequence left out at a time; what pretraining on drawn frames brings; the time of one frame.

The frames beside the repository are a third of the published training and validation frames, of three sequences, so
every score is of another drive than was trained on: the official split, which cuts sequences in two, is easier.

*Sequences*: `configs/camvid.toml` (a decoder on frozen features) and the real-time preset, each on each sequence.
*Pretraining*: the real-time preset on one sequence's frames, from nothing and from drawn frames, with all and with a
tenth of the training frames, and the same number of updates.
*Latency*: the real-time preset's ONNX file, end to end, from `benchmark`.

Every run is started as a user starts it. What is asked for with PACELINE_BENCH_PARTS (all) is measured anew, the rest
is kept.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results import ROOT, SAMPLE_DATA, save

TEMPLATE = ROOT / "templates" / "driving-perception" / "{{cookiecutter.project_slug}}"
CAMVID = SAMPLE_DATA / "driving" / "camvid"
KEPT = ROOT / "ci" / "results" / "driving.json"
SEQUENCES = ("0001TP", "0006R0", "0016E5")
SEEDS = range(2)
PRETRAINED_ON = {"data.frames": 800, "train.epochs": 20}
LEFT_OUT = "0006R0"  # for the comparison of beginnings: the one whose light is most like neither other's
REAL_TIME = {"model.name": "small", "data.image_height_px": 180, "data.image_width_px": 240}
UPDATES_AS_EPOCHS = 30  # of all frames
TENTH = 10


def main() -> None:
    """Measure the parts asked for, and keep everything."""
    if not CAMVID.is_dir():
        sys.exit(f"There is no '{CAMVID}'. Set PACELINE_SAMPLE_DATA to the folder that holds driving/.")
    parts = {"sequences": sequences, "pretraining": pretraining, "latency": latency}
    wanted = os.environ.get("PACELINE_BENCH_PARTS", ",".join(parts)).split(",")
    found = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = parts[name](Path(folder))
        save("driving", {name: found[name] for name in parts if name in found})


def sequences(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each model: mean IoU and its floor on each sequence, the time of a run, the parameters."""
    models: dict[str, dict[str, Any]] = {
        "configs/camvid.toml": {},
        "real time, 480 x 360": {"model.name": "small"},
        "real time, 240 x 180": REAL_TIME,
    }
    rows = []
    for name, settings in models.items():
        runs = [train(folder, {**settings, "data.test_sequence": sequence}, CAMVID, seed=0) for sequence in SEQUENCES]
        rows.append(
            {
                "model": name,
                "mean_iou": {sequence: run["mean_iou"] for sequence, run in zip(SEQUENCES, runs, strict=True)},
                "floor": {sequence: run["floor"] for sequence, run in zip(SEQUENCES, runs, strict=True)},
                "wall_seconds": statistics.median(run["wall_seconds"] for run in runs),
                "parameters": runs[0]["parameters"],
            }
        )
        print(rows[-1], flush=True)
    return rows


def pretraining(folder: Path) -> dict[str, Any]:
    """Return mean IoU by the share of the frames and the beginning, one value a seed."""
    few = a_tenth(folder / "few")
    rows = []
    seconds = []
    for seed in SEEDS:
        drawn = train(folder, {**REAL_TIME, **PRETRAINED_ON, "data.source": "synthetic"}, None, seed=seed)
        seconds.append(drawn["wall_seconds"])
        for frames, path, epochs in (("all", CAMVID, UPDATES_AS_EPOCHS), ("a tenth", few, UPDATES_AS_EPOCHS * TENTH)):
            for beginning, source in (("nothing", ""), ("drawn frames", drawn["run"])):
                settings = {**REAL_TIME, "data.test_sequence": LEFT_OUT, "train.epochs": epochs}
                run = train(folder, {**settings, "transfer.from_run": source}, path, seed=seed)
                rows.append({"frames": frames, "from": beginning, "seed": seed, **run})
                print(rows[-1], flush=True)
    kept = ("frames", "from", "seed", "mean_iou", "floor", "wall_seconds", "training_frames")
    return {
        "test_sequence": LEFT_OUT,
        "drawn": PRETRAINED_ON["data.frames"],
        "drawn_wall_seconds": statistics.fmean(seconds),
        "rows": [{name: row[name] for name in kept} for row in rows],
    }


def latency(folder: Path) -> dict[str, Any]:
    """Return `benchmark`'s rows for the real-time preset; its time does not depend on what it has learned."""
    run = train(folder, {**REAL_TIME, "data.test_sequence": LEFT_OUT, "train.epochs": 1}, CAMVID, seed=0)
    started("export", [run["run"]])
    found = started("benchmark", [run["run"]])
    print(found, flush=True)
    return {"parameters": run["parameters"], **{name: found[name] for name in ("rows", "frame_px", "budget_ms")}}


def a_tenth(folder: Path) -> Path:
    """Return a folder in CamVid's layout with every tenth frame of each training sequence and all of the tested one."""
    for images, masks in (("train", "trainannot"), ("val", "valannot")):
        files = sorted((CAMVID / images).iterdir())
        for made in (folder / images, folder / masks):
            made.mkdir(parents=True)
        for name in SEQUENCES:
            of_sequence = [file for file in files if file.name.startswith(name)]
            for file in of_sequence[:: 1 if name == LEFT_OUT else TENTH]:
                (folder / images / file.name).symlink_to(file)
                mask = next((CAMVID / masks).glob(f"{file.stem}*"))
                (folder / masks / mask.name).symlink_to(mask)
    return folder


def train(folder: Path, settings: Mapping[str, Any], path: Path | None, *, seed: int) -> dict[str, Any]:
    """Return what one run came to."""
    values = {"train.seed": seed, "report.resamples": 0, "report.worst_frames": 0, **settings}
    if path is not None:
        values["data.path"] = str(path)
    options = [text for key, value in values.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    answer = started("train", ["--config", "configs/camvid.toml", "--runs", str(folder / "runs"), *options])
    record = json.loads((Path(answer["run"]) / "run.json").read_text(encoding="utf-8"))
    score = answer["scores"]["mean_iou"]
    return {
        "run": answer["run"],
        "mean_iou": score["value"],
        "floor": score["floor"]["value"],
        "wall_seconds": answer["wall_seconds"],
        "parameters": record["model"]["parameters"] + record["model"].get("frozen_parameters", 0),
        "training_frames": next(row["frames"] for row in record["dataset"]["splits"] if row["split"] == "train"),
    }


def started(command: str, options: list[str]) -> dict[str, Any]:
    """Run a command of the template and return its result."""
    done = subprocess.run(  # noqa: S603 -- this project's own command
        [sys.executable, "-m", "driving_perception", command, "--json", *options],
        cwd=TEMPLATE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command} failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
