"""A trained run in use: scored again on its test patients, on new images, exported, and timed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging import data, judging, metrics, model, privacy, splits
from medical_imaging.augment import views
from medical_imaging.cohort import Cohort, Split
from medical_imaging.config import Config
from medical_imaging.decisions import Decision
from paceline import atomic, export, fit_keras, latency, record
from paceline import config as configuration
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

# What acts on a trained model. The rest shaped the model or its operating points, and would be ignored.
USED = ("data.source", "data.path", "data.labels_csv", "data.columns.", "data.max_", "report.resamples", "report.views")
BUDGETS_MS = (100.0, 1000.0)  # what a person takes as at once, and what a queue of images bears
EXPORTED_IMAGES = 32  # on which both must agree


@dataclass(frozen=True)
class TrainedRun:
    """A run's configuration, its network from images to logits, and how it decides."""

    config: Config
    network: Any
    decision: Decision
    classes: tuple[str, ...]

    def logits(self, images: NDArray[Any]) -> NDArray[np.float64]:
        """Return the logits, the mean over `report.views` versions of each image."""
        seen = views(images, self.config.report.views, flip=self.config.train.flip)
        found: NDArray[np.float64] = np.mean([model.predict(self.network, each) for each in seen], axis=0)
        return found


def load(folder: Path, overrides: Sequence[str] = ()) -> TrainedRun:
    """Return the trained run in `folder`, the configuration overridden by `section.key=value` texts.

    Raises:
        PacelineError: it is no run, did not finish, or its model is damaged.
    """
    for override in overrides:
        if not override.startswith(USED):
            raise PacelineError(
                f"--set got '{override}', which is settled in a trained run.", f"Set one of {', '.join(USED)} only."
            )
    found = record.read(folder)
    if found["status"] != "done":
        raise PacelineError(
            f"The run '{folder.name}' is {found['status']}, not done.", "Finish it: train --resume RUN."
        )
    if found["config"]["model"]["task"] == "segmentation":
        raise PacelineError(
            f"The run '{folder.name}' outlines lesions, and this command is for classifiers.",
            "Read its report, or load its model.keras with paceline.fit_keras.load_model.",
        )
    config, saved = configuration.load(Config, folder / "config.toml", overrides), found["model"]
    fit_keras.prepare("cpu" if config.train.device == "cpu" else "auto", seed=config.train.seed, precision="float32")
    # The file's name comes from a record that may be somebody else's: it must not lead out of the run's folder.
    network = fit_keras.load_model(folder / Path(saved["file"]).name, saved["sha256"])
    return TrainedRun(config, network, Decision.from_state(saved), tuple(saved["classes"]))


def evaluate(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the scores of the run in `folder` on its test patients and the external site, with intervals and slices.

    Returns:
        `scores` and `slices` as in the run record, `by_class`, `quarantined`.
    """
    run = load(folder, overrides)
    cohort, split, logits, quarantine = _answers(run)
    settings, seed = run.config.report, run.config.train.seed
    judged = judging.judge(cohort, split.test, run.decision, logits)
    return {
        "run": str(folder),
        "scores": judging.scores(cohort, split, run.decision, logits, settings, seed=seed),
        "by_class": metrics.by_class(judged, resamples=settings.resamples, seed=seed),
        "slices": judging.slices(cohort, split, run.decision, logits, settings, seed=seed),
        "quarantined": quarantine.quarantined,
    }


def predict(folder: Path, inputs: Sequence[Path], output: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write the probability of each class for new images to `output`, a CSV with a row an image.

    Images are named by salted ids, as everywhere: the map to their files is kept beside each input, see `privacy`.
    What could not be read stands in `OUTPUT.quarantine.jsonl`.

    Args:
        folder: the run.
        inputs: files or folders of files of the kind of `data.source`.
        output: ending in `.csv`: `item`, and for each class its probability and whether it counts as found.
        overrides: `section.key=value` texts.

    Returns:
        `output`, `read`, `scored`, `quarantined`, `found` (images by class).
    """
    if output.suffix != ".csv":
        raise PacelineError(f"'{output.name}' has an unknown ending.", "End it in .csv.")
    run = load(folder, overrides)
    quarantine = Quarantine(output.with_suffix(".quarantine.jsonl"))
    names, rows = [], []
    kind = run.config.data
    if kind.source == "synthetic":  # its files are DICOM as others are
        kind = kind.model_copy(update={"source": "dicom"})
    for path in inputs:
        images, found = data.load_unlabelled(path, kind, quarantine, channels=int(run.network.input_shape[-1]))
        place = privacy.folder(path if path.is_dir() else path.parent)
        ids = privacy.ids_of(place)
        privacy.write_map(place, [(ids.item(name), name, "") for name in found])
        names += [ids.item(name) for name in found]
        rows.append(run.decision.probabilities(run.logits(images)))
    chances = np.concatenate(rows)
    positive = chances >= np.asarray(run.decision.thresholds)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["item", *run.classes, *(f"{name}_found" for name in run.classes)])
    for name, chance, found_here in zip(names, chances, positive, strict=True):
        writer.writerow([name, *(f"{value:.6f}" for value in chance), *map(int, found_here)])
    output.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(output, text.getvalue())
    counts = {"read": quarantine.read, "scored": len(names), "quarantined": quarantine.quarantined}
    by_class = {name: int(count) for name, count in zip(run.classes, positive.sum(axis=0), strict=True)}
    return {"run": str(folder), "output": str(output), **counts, "found": by_class}


def to_onnx(folder: Path) -> dict[str, Any]:
    """Write `model.onnx` beside the run's model, held to it on test images; see `paceline.export`.

    Returns:
        `output` (the file), `max_abs_difference`, `compared`, `size_bytes`, `opset`.
    """
    run = load(folder)
    cohort, split, _ = _cohort(run)
    rows = np.resize(split.test, EXPORTED_IMAGES)
    file = folder / "model.onnx"
    metadata = {"run": folder.name, "classes": ",".join(run.classes), "output": "logits, to be calibrated"}
    metadata |= {name: str(value) for name, value in run.decision.state().items()}
    made = export.to_onnx(run.network, file, np.asarray(cohort.images[rows], np.float32), metadata=metadata)
    return {"run": str(folder), "output": str(file), **made.state()}


def benchmark(folder: Path) -> dict[str, Any]:
    """Return how long one image takes, by Keras and by ONNX Runtime where `export` has made the file."""
    run = load(folder)
    image = np.random.default_rng(0).integers(0, 256, (1, *run.network.input_shape[1:])).astype(np.float32)
    file = folder / "model.onnx"
    rows = latency.compare(run.network, file if file.is_file() else None, image, budgets_ms=BUDGETS_MS)
    return {"run": str(folder), "latency": rows}


def test_chances(folder: Path) -> NDArray[np.float64]:
    """Return the calibrated probabilities of the run's test images, in the order of the data."""
    run = load(folder)
    cohort, split, _ = _cohort(run)
    return run.decision.probabilities(run.logits(np.asarray(cohort.images[split.test])))


def _answers(run: TrainedRun) -> tuple[Cohort, Split, NDArray[np.float64], Quarantine]:
    """Return the cohort with the logits of the test and external images; those of the others are not computed."""
    cohort, split, quarantine = _cohort(run)
    rows = np.concatenate([split.test, split.external])
    logits = np.zeros((len(cohort.items), len(run.classes)))
    logits[rows] = run.logits(np.asarray(cohort.images[rows]))
    return cohort, split, logits, quarantine


def _cohort(run: TrainedRun) -> tuple[Cohort, Split, Quarantine]:
    quarantine = Quarantine()
    cohort = data.load(run.config.data, run.config.model.task, quarantine)
    if cohort.classes != run.classes:
        raise PacelineError(
            f"The model knows the classes {', '.join(run.classes)}, the data {', '.join(cohort.classes)}.",
            "Set data.classes as it was in training.",
        )
    return cohort, splits.divide(cohort, run.config.data, run.config.train.seed), quarantine
