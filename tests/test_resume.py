"""A run that is killed or stopped at random points ends in the same model as one that was left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paceline import checkpoint, stop
from paceline import config as configuration

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "shared", *ROOT.glob("templates/*/*/src"))
PATIENCE_SECONDS = 120.0  # for a process to get somewhere; a fuse, not a measurement

SMALL = {"data.customers": 300, "data.terminals": 400, "data.days": 70, "report.resamples": 0}
XGBOOST = SMALL | {
    "train.rounds": 600,
    "train.early_stopping_rounds": 300,
    "train.subsample": 0.7,
    "train.checkpoint_seconds": 0.0,
}
DART = SMALL | {
    "model.booster": "dart",
    "train.rounds": 60,
    "train.early_stopping_rounds": 0,
    "train.checkpoint_seconds": 0.0,
}
IMAGES = {
    "data.patients": 24,
    "data.image_size_px": 32,
    "data.max_quarantined_share": 0.2,
    "train.device": "cpu",
    "train.epochs": 60,
    "train.early_stopping_epochs": 30,
    "report.resamples": 0,
    "report.heatmaps": 0,
}
# Epochs of milliseconds, which are not all saved: enough of them that a kill after the first one finds the stage open.
FINE_TUNED = IMAGES | {"model.name": "fine_tuned", "train.epochs": 300, "transfer.epochs": 60, "model.dropout": 0.5}
FOLDS = IMAGES | {"train.folds": 2, "train.epochs": 30}
ROADS = {
    "data.frames": 48,
    "data.image_height_px": 48,
    "data.image_width_px": 64,
    "model.name": "small",
    "model.decoder_channels": 8,
    "train.device": "cpu",
    "train.epochs": 30,
    "train.augment": 0.5,
    "train.class_mix": 0.5,
    "report.resamples": 0,
    "report.worst_frames": 0,
}
MLP = SMALL | {
    "model.name": "mlp",
    "train.epochs": 40,
    "train.early_stopping_epochs": 12,
    "train.batch_size": 512,
}


def start(folder: Path, *arguments: str, package: str = "fraud_detection") -> subprocess.Popen[str]:
    """Start the `train` of a template's package in `folder`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PACKAGES))}
    return subprocess.Popen(
        [sys.executable, "-m", package, "train", "--json", *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str], *, code: int = 0) -> dict[str, Any]:
    """Return what the process printed as JSON once it has ended with `code`."""
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert code == process.returncode, errors
    answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    return answer


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until `reached`, or until the process is over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and not reached():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


def newest_step(runs: Path) -> int:
    """Return the step of the newest checkpoint below `runs`, all trainings added; -1 before there is any."""
    steps = [
        max((int(path.name) for path in stage.glob("[0-9]*")), default=0) for stage in runs.glob("*/checkpoints/*")
    ]
    return sum(steps) if steps else -1


def sessions(runs: Path) -> int:
    """Return how many processes have begun to write the record below `runs`."""
    records = [json.loads(path.read_text()) for path in runs.glob("*/run.json")]
    return sum(1 + len(record["earlier_sessions"]) for record in records)


def model_digest(run: Path) -> tuple[str, Any]:
    """Return what must be equal: the model's numbers, and the scores."""
    record = json.loads((run / "run.json").read_text())
    if record["model"]["name"] != "mlp":
        return record["model"]["sha256"], record["scores"]
    # A .keras file holds its date, so the tensors are compared; they are all in the last checkpoint of the refit.
    newest = max((run / "checkpoints" / "refit").iterdir())
    manifest = json.loads((newest / "manifest.json").read_text())
    return manifest["files"]["variables.npz"]["sha256"], record["scores"]


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a folder with a configuration."""
    from fraud_detection.config import Config

    texts = [f"{key}={value}" for key, value in request.param.items()]
    (tmp_path / "config.toml").write_text(configuration.dump(Config()), encoding="utf-8")
    config = configuration.load(Config, tmp_path / "config.toml", texts)
    (tmp_path / "config.toml").write_text(configuration.dump(config), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("project", [XGBOOST, DART, MLP], indirect=True, ids=["xgboost", "dart", "mlp"])
def test_killed_at_random_points_the_model_is_the_same(project: Path) -> None:
    """SIGKILL three times, each resumed: model and scores equal those of a run that was left alone."""
    straight = finish(start(project, "--runs", "straight"))
    chance = random.Random(straight["run"])  # noqa: S311 -- where to kill, not a secret; other points in every test run
    last = newest_step(project / "straight")
    process = start(project, "--runs", "killed")
    killed = 0
    for point in sorted(chance.sample(range(last), 3)):
        wait_until(lambda: sessions(project / "killed") > killed and newest_step(project / "killed") > point, process)  # noqa: B023 -- called within the loop only
        if process.poll() is not None:  # it was faster
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += 1
        run = next((project / "killed").iterdir())
        process = start(project, "--resume", str(run))
    resumed = finish(process)

    assert model_digest(Path(project / straight["run"])) == model_digest(run)
    assert resumed["scores"] == straight["scores"]
    record = json.loads((run / "run.json").read_text())
    assert killed == len(record["earlier_sessions"]) >= 1
    assert sum(record["phases"].values()) == pytest.approx(record["wall_seconds"], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("project", "name", "steps"),
    [
        pytest.param(XGBOOST, "SIGTERM", 50, id="xgboost-SIGTERM"),
        pytest.param(XGBOOST, "SIGINT", 50, id="xgboost-SIGINT"),
        pytest.param(MLP | {"train.early_stopping_epochs": 0}, "SIGTERM", 3, id="mlp-SIGTERM"),
    ],
    indirect=["project"],
)
def test_a_signal_saves_and_exits_with_75(project: Path, name: str, steps: int) -> None:
    """SIGTERM and Ctrl-C end a training within ten seconds with everything saved, and `--resume` completes it."""
    process = start(project)
    wait_until(lambda: newest_step(project / "runs") > steps, process)
    sent = time.monotonic()
    process.send_signal(getattr(signal, name))
    answer = finish(process, code=stop.EXIT_STOPPED)
    assert time.monotonic() - sent < 10  # the promise itself, not a measure of speed
    assert "stopped" == answer["status"]
    run = next((project / "runs").iterdir())
    record = json.loads((run / "run.json").read_text())
    assert "stopped" == record["status"]
    assert (run / "report.html").stat().st_size > 0
    resumed = finish(start(project, "--resume", str(run)))
    assert "done" == resumed["status"]


@pytest.mark.slow
@pytest.mark.parametrize("project", [XGBOOST | {"report.resamples": 3000}], indirect=True, ids=["xgboost"])
def test_a_signal_while_it_scores_loses_no_training(project: Path) -> None:
    """After the last round, in the bootstrap: it ends with 75, and the resumed run trains nothing again."""
    process = start(project)
    wait_until(lambda: any((project / "runs").glob("*/checkpoints/refit/[0-9]*")), process)
    wait_until(lambda: _grows_no_more(project / "runs"), process)
    process.send_signal(signal.SIGTERM)
    answer = finish(process, code=stop.EXIT_STOPPED)
    assert "stopped" == answer["status"]
    run = next((project / "runs").iterdir())
    lines = (run / "metrics.jsonl").read_text()
    assert "done" == finish(start(project, "--resume", str(run)))["status"]
    assert lines == (run / "metrics.jsonl").read_text()


def _grows_no_more(runs: Path) -> bool:
    before = newest_step(runs)
    time.sleep(0.5)
    return before == newest_step(runs)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with maps of strides 8 and 16, as a user's own."""
    import keras

    from paceline import fit_keras

    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(6, 3, strides=8, padding="same", activation="relu")(images)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    path = tmp_path_factory.mktemp("backbone") / "tiny.keras"
    fit_keras.save_model(keras.Model(images, x), path)
    return path


def start_images(folder: Path, settings: dict[str, Any], backbone: Path) -> subprocess.Popen[str]:
    """Start `medical-imaging train` with these settings, in the run's folder `folder` where that is one already."""
    from medical_imaging.config import Config

    chosen = configuration.replace(Config(), settings | {"model.backbone": str(backbone)}, source="test")
    return start_in(folder, chosen, package="medical_imaging")


def start_roads(folder: Path) -> subprocess.Popen[str]:
    """Start `driving-perception train` on tiny drawn frames, in the run's folder `folder` where that is one already."""
    from driving_perception.config import Config

    return start_in(folder, configuration.replace(Config(), ROADS, source="test"), package="driving_perception")


def start_in(folder: Path, config: Any, *, package: str) -> subprocess.Popen[str]:
    """Start the `train` of a package with runs in `folder`, or go on with the one that is there."""
    if list(folder.glob("*/run.json")):
        return start(folder, "--resume", str(next(folder.iterdir())), package=package)
    folder.mkdir()
    (folder.parent / "config.toml").write_text(configuration.dump(config), encoding="utf-8")
    arguments = ("--config", str(folder.parent / "config.toml"), "--runs", str(folder))
    return start(folder.parent, *arguments, package=package)


def stages(runs: Path) -> dict[str, int]:
    """Return the newest step of each training of the run below `runs`."""
    return {
        stage.name: max((int(path.name) for path in stage.glob("[0-9]*")), default=0)
        for stage in runs.glob("*/checkpoints/*")
    }


def weights(runs: Path) -> dict[str, dict[str, str]]:
    """Return the digests of all variables at the end of each training, and of the best epoch's."""
    found = {}
    for stage in runs.glob("*/checkpoints/*"):
        manifest = json.loads((max(stage.glob("[0-9]*")) / "manifest.json").read_text())
        found[stage.name] = {name: each["sha256"] for name, each in manifest["files"].items() if name.endswith(".npz")}
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "points"),
    [
        pytest.param(FINE_TUNED, [("head", 1), ("fine_tune", 1)], id="in the head and in fine-tuning"),
        pytest.param(FOLDS, [("head_1", 30)], id="between folds"),
    ],
)
def test_images_killed_in_any_stage_end_in_the_same_weights(
    settings: dict[str, Any], points: list[tuple[str, int]], backbone: Path, tmp_path: Path
) -> None:
    """SIGKILL within each training, or where one ends and the next begins: in the end every variable is the same."""
    straight = finish(start_images(tmp_path / "straight", settings, backbone))
    killed = tmp_path / "killed"
    for stage, step in points:
        process = start_images(killed, settings, backbone)
        wait_until(lambda: stages(killed).get(stage, 0) >= step, process)  # noqa: B023 -- called within the loop only
        process.send_signal(signal.SIGKILL)
        process.communicate()
        reached, whole = stages(killed), stages(tmp_path / "straight")
        assert step <= reached[stage] <= whole[stage]
        assert sum(reached.values()) < sum(whole.values()), "it was over before the kill"
        assert reached[stage] < whole[stage] or step == whole[stage], "it was killed after the stage"
    resumed = finish(start_images(killed, settings, backbone))
    assert weights(tmp_path / "straight") == weights(killed)
    assert straight["scores"] == resumed["scores"]
    record = json.loads(next(killed.glob("*/run.json")).read_text())
    assert len(points) == len(record["earlier_sessions"])


@pytest.mark.slow
def test_roads_killed_amid_augmentation_end_in_the_same_weights(tmp_path: Path) -> None:
    """SIGKILL in an early and in a later epoch: each frame is changed and mixed as it would have been."""
    straight = finish(start_roads(tmp_path / "straight"))
    killed = tmp_path / "killed"
    (last,) = stages(tmp_path / "straight").values()
    for step in (1, last // 2):
        process = start_roads(killed)
        wait_until(lambda: newest_step(killed) >= step, process)  # noqa: B023 -- called within the loop only
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert step <= newest_step(killed) < last, "it was over before the kill"
    resumed = finish(start_roads(killed))
    assert weights(tmp_path / "straight") == weights(killed)
    assert straight["scores"] == resumed["scores"]
    assert 2 == len(json.loads(next(killed.glob("*/run.json")).read_text())["earlier_sessions"])


EPOCH_BY_EPOCH = """
import sys, time
from pathlib import Path
import numpy as np
from pydantic import BaseModel
from paceline import clock, fit_keras, progress, record
fit_keras.prepare("cpu", seed=0)
import keras
class Nothing(BaseModel):
    pass
run = record.Run(Path(sys.argv[1]), Nothing(), clock.Clock())
x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
def slowly(x, y, generator):
    time.sleep(0.12)
    return x + generator.normal(0, 0.1, x.shape).astype(x.dtype), y
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), keras.layers.Dropout(0.3), keras.layers.Dense(1)])
model.compile("adam", "mse")
batches = fit_keras.Batches(x, x[:, :1], batch_size=8, seed=1, run=run, augment=slowly, workers=1)
told = lambda stretch: stretch.kind == "epoch" and print(stretch.epoch, flush=True)
with progress.Progress({"fit": 12}, unit="epoch") as line:
    fit_keras.fit(model, batches, None, epochs=12, early_stopping_epochs=0, monitor="loss", larger_is_better=False,
        checkpoint_seconds=30, stage="fit", run=run, progress=line, observe=told)
"""


@pytest.mark.slow
def test_a_kill_costs_one_epoch_at_most(tmp_path: Path) -> None:
    """SIGKILL at random moments of epochs of about a second: all but the last that had ended are resumed from."""
    chance = random.Random(str(tmp_path))  # noqa: S311 -- where to kill, not a secret; other moments in every test run
    ended = saved = 0
    for until in (2, 5, 8, 12):
        with subprocess.Popen(
            [sys.executable, "-c", EPOCH_BY_EPOCH, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "shared")},
            text=True,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            first = ended = int(process.stdout.readline())
            for line in process.stdout:
                ended = int(line)
                if ended == until < 12:
                    time.sleep(chance.uniform(0, 1.2))
                    process.send_signal(signal.SIGKILL)
        assert saved + 1 == first, "it goes on where the checkpoint was"
        found, damaged = checkpoint.latest(tmp_path / "checkpoints" / "fit")
        assert found is not None
        assert [] == damaged
        assert ended - 1 <= (saved := found.step)
    assert 0 == process.returncode
    assert 12 == ended == saved
