"""CamVid's published split and its sequences left out; pretraining on drawn frames; the time of one frame.

The frames beside the repository are a third of the published training and validation frames, of three sequences, and
none of the test's. The published split cuts sequences in two: its `val` is a clip of a drive that `train` holds, so it
is easier than another drive, which is what a sequence left out shows.

*Sequences*: `configs/camvid.toml` (a decoder on frozen features) and the real-time preset, on the published validation
split and on each sequence, each run with an empty cache, as a user's first one.
*Pretraining*: the real-time preset on one sequence's frames, from nothing and from drawn frames, with all and with a
tenth of the training frames, and the same number of updates.
*Latency*: the real-time preset's ONNX file, end to end, from `benchmark`.

Every run is started as a user starts it, and its row is kept at once, under its settings: what is started again goes on
with the runs that are missing, and a row of other settings is thrown away, not mixed in. PACELINE_BENCH_PARTS names the
parts (all); PACELINE_BENCH_ANEW=1 measures them from the beginning.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driving_perception.config import Config
from paceline import config
from results import ROOT, SAMPLE_DATA, save

TEMPLATE = ROOT / "templates" / "driving-perception" / "{{cookiecutter.project_slug}}"
RECIPE = Path("configs", "camvid.toml")
CAMVID = SAMPLE_DATA / "driving" / "camvid"
KEPT = ROOT / "ci" / "results" / "driving.json"
PUBLISHED = ""  # as data.test_sequence: train on `train`, score on `val`
SEQUENCES = ("0001TP", "0006R0", "0016E5")
SEEDS = range(2)
PRETRAINED_ON = {"data.source": "synthetic", "data.frames": 800, "train.epochs": 20}
LEFT_OUT = "0006R0"  # for the comparison of beginnings: the one whose light is most like neither other's
REAL_TIME = {"model.name": "small", "data.image_height_px": 180, "data.image_width_px": 240}
UPDATES_AS_EPOCHS = 30  # of all frames
TENTH = 10
FOLDERS = {"all": CAMVID, "drawn": None}  # what is trained on; "a tenth" is made when it is needed


@dataclass(frozen=True)
class Asked:
    """A run that a table wants.

    Attributes:
        names: what tells its row from the others.
        settings: over those of the recipe.
        frames: "all" of CamVid's, "a tenth" of them, or "drawn".
        seed: of the training.
        beginning: the run whose weights it takes over, if any.
        timed: its latency is what is wanted, not its score.
        cold: its wall time is wanted too, so that it finds no frames, features or programs of earlier runs.
    """

    names: dict[str, Any]
    settings: Mapping[str, Any]
    frames: str = "all"
    seed: int = 0
    beginning: Asked | None = None
    timed: bool = False
    cold: bool = False

    def key(self) -> str:
        """Return what changes with any setting, a default included, and with nothing else, such as a folder."""
        resolved = config.load(Config, TEMPLATE / RECIPE, self.overrides({})).model_dump(mode="json")
        begun = self.beginning.key() if self.beginning else ""
        text = json.dumps([resolved, self.frames, begun], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def overrides(self, places: Mapping[str, Any]) -> list[str]:
        """Return `section.key=value` of its settings and of where its input lies."""
        fixed = {"train.seed": self.seed, "report.resamples": 0, "report.worst_frames": 0}
        return [f"{key}={json.dumps(value)}" for key, value in {**fixed, **self.settings, **places}.items()]


def main() -> None:
    """Measure what is missing of the parts asked for, and keep each row as it comes."""
    if not CAMVID.is_dir():
        sys.exit(f"There is no '{CAMVID}'. Set PACELINE_SAMPLE_DATA to the folder that holds driving/.")
    parts = {"sequences": sequences(), "pretraining": pretraining(), "latency": latency()}
    wanted = os.environ.get("PACELINE_BENCH_PARTS", ",".join(parts)).split(",")
    found = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    anew = os.environ.get("PACELINE_BENCH_ANEW") == "1"
    for name in wanted:
        rows = {} if anew else {row["key"]: row for row in found.get(name, [])}
        keys = [asked.key() for asked in parts[name]]
        with tempfile.TemporaryDirectory() as folder:
            for key, asked in zip(keys, parts[name], strict=True):
                if key in rows:
                    continue
                rows[key] = {"key": key, **asked.names, **measured(asked, Path(folder))}
                print(json.dumps(rows[key]), flush=True)
                found[name] = [rows[known] for known in keys if known in rows]
                save("driving", {part: found[part] for part in parts if part in found})


def sequences() -> list[Asked]:
    """Return the runs of each model on the published validation split and on each sequence."""
    models: dict[str, dict[str, Any]] = {
        RECIPE.as_posix(): {},
        "real time, 480 x 360": {"model.name": "small"},
        "real time, 240 x 180": REAL_TIME,
    }
    return [
        Asked({"model": name, "test": test}, {**settings, "data.test_sequence": test}, cold=True)
        for name, settings in models.items()
        for test in (PUBLISHED, *SEQUENCES)
    ]


def pretraining() -> list[Asked]:
    """Return the runs by the share of the frames, the beginning and the seed."""
    runs = []
    for seed in SEEDS:
        drawn = Asked({}, {**REAL_TIME, **PRETRAINED_ON, "data.test_sequence": ""}, "drawn", seed)
        for frames, epochs in (("all", UPDATES_AS_EPOCHS), ("a tenth", UPDATES_AS_EPOCHS * TENTH)):
            settings = {**REAL_TIME, "data.test_sequence": LEFT_OUT, "train.epochs": epochs}
            for beginning, source in (("nothing", None), ("drawn frames", drawn)):
                names = {"test": LEFT_OUT, "frames": frames, "from": beginning, "seed": seed}
                runs.append(Asked(names, settings, frames, seed, source))
    return runs


def latency() -> list[Asked]:
    """Return the run that `benchmark` times; its time does not depend on what it has learned."""
    return [Asked({}, {**REAL_TIME, "data.test_sequence": LEFT_OUT, "train.epochs": 1}, timed=True)]


def measured(asked: Asked, folder: Path) -> dict[str, Any]:
    """Return what one run came to, or where it is `timed` what `benchmark` says of it; runs lie below `folder`."""
    places: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    if asked.beginning:
        run, seconds = begun(asked.beginning, folder)
        places["transfer.from_run"] = str(run)
        facts = {"drawn": PRETRAINED_ON["data.frames"], "drawn_wall_seconds": seconds}
    answer, record = train(asked, places, folder)
    parameters = record["model"]["parameters"] + record["model"].get("frozen_parameters", 0)
    if asked.timed:
        started("export", [answer["run"]])
        times = started("benchmark", [answer["run"]])
        return {
            "parameters": parameters,
            **{name: times[name] for name in ("rows", "frame_px", "network_px", "budget_ms")},
        }
    score = answer["scores"]["mean_iou"]
    return {
        "mean_iou": score["value"],
        "floor": score["floor"]["value"],
        "wall_seconds": answer["wall_seconds"],
        "parameters": parameters,
        "training_frames": next(row["frames"] for row in record["dataset"]["splits"] if row["split"] == "train"),
        **facts,
    }


def begun(asked: Asked, folder: Path) -> tuple[Path, float]:
    """Return a run to begin from and its seconds; the same one is trained once below a folder."""
    link = folder / asked.key()
    if not link.exists():
        link.symlink_to(train(asked, {}, folder)[0]["run"])
    record = json.loads((link / "run.json").read_text(encoding="utf-8"))
    return link.resolve(), float(record["wall_seconds"])


def train(asked: Asked, places: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train; return what the command answers, and the run's record."""
    path = a_tenth(folder / "few") if asked.frames == "a tenth" else FOLDERS[asked.frames]
    places = {**places, "data.path": str(path)} if path else places
    options = [text for override in asked.overrides(places) for text in ("--set", override)]
    options = ["--config", str(RECIPE), "--runs", str(folder / "runs"), *options]
    if asked.cold:
        with tempfile.TemporaryDirectory() as empty:
            answer = started("train", options, {"PACELINE_CACHE": empty})
    else:
        answer = started("train", options)
    return answer, json.loads((Path(answer["run"]) / "run.json").read_text(encoding="utf-8"))


def a_tenth(folder: Path) -> Path:
    """Return a folder in CamVid's layout with every tenth frame of each training sequence and all of the tested one."""
    if folder.exists():
        return folder
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


def started(command: str, options: list[str], surroundings: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a command of the template, with these environment variables beside the present ones; return its result."""
    done = subprocess.run(  # noqa: S603 -- this project's own command
        [sys.executable, "-m", "driving_perception", command, "--json", *options],
        cwd=TEMPLATE,
        env={**os.environ, **(surroundings or {})},
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
