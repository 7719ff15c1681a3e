"""A trained run in use: scored again on its test patients, on new images, exported, and timed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_imaging import judging, letters, metrics, model, outlines, trained
from medical_imaging.augment import views
from medical_imaging.decisions import Decision
from medical_imaging.trained import TrainedRun
from paceline import atomic, export, latency
from paceline.errors import PacelineError
from paceline.quarantine import Quarantine

BUDGETS_MS = (100.0, 1000.0)  # what a person takes as at once, and what a queue of images bears
EXPORTED_IMAGES = 32  # on which both must agree


def logits(run: TrainedRun, images: NDArray[Any]) -> NDArray[np.float64]:
    """Return the logits (images, classes), the mean over `report.views` versions of each image."""
    seen = views(images, run.config.report.views, flip=run.config.train.flip)
    found: NDArray[np.float64] = np.mean([model.predict(run.network, each) for each in seen], axis=0)
    return found


def evaluate(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the scores of the run in `folder` on its test patients and the external site, with intervals and slices.

    Returns:
        `scores` and `slices` as in the run record, `by_class` and `letters_effect` of classifiers, `quarantined`.
    """
    run = trained.load(folder, overrides)
    cohort, split, quarantine = trained.cohort(run)
    settings, seed = run.config.report, run.config.train.seed
    if run.outlines:
        return {"run": str(folder), **outlines.evaluate(run, cohort, split), "quarantined": quarantine.quarantined}
    decision, found = Decision.from_state(run.model), np.zeros((len(cohort.items), len(run.classes)))
    rows = np.concatenate([split.test, split.external])  # those of the others are not computed
    found[rows] = logits(run, np.asarray(cohort.images[rows]))
    judged = judging.judge(cohort, split.test, decision, found)
    scores = judging.scores(cohort, split, decision, found, settings, seed=seed)
    read, read_by_class = letters.effect(
        cohort, rows, lambda images: logits(run, images), decision, resamples=settings.resamples, seed=seed
    )
    return {
        "run": str(folder),
        "scores": scores | ({"letters_effect": read} if read else {}),
        "by_class": metrics.by_class(judged, resamples=settings.resamples, seed=seed),
        "slices": judging.slices(cohort, split, decision, found, settings, seed=seed),
        "letters_effect": read_by_class,
        "quarantined": quarantine.quarantined,
    }


def predict(folder: Path, inputs: Sequence[Path], output: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write what a run finds in new images to `output`, a CSV with a row an image.

    Images are named by salted ids, as everywhere: the map to their files is kept beside each input, see `privacy`.
    What could not be read stands in `OUTPUT.quarantine.jsonl`.

    Args:
        folder: the run.
        inputs: files or folders of files of the kind of `data.source`.
        output: ending in `.csv`. Of a classifier: `item`, and for each class its probability and whether it counts as
            found. Of a model that outlines: see `outlines.predict`, which writes masks into the folder beside it.
        overrides: `section.key=value` texts.

    Returns:
        `output`, `read`, `scored`, `quarantined`, `found` (images by class).
    """
    if output.suffix != ".csv":
        raise PacelineError(f"'{output.name}' has an unknown ending.", "End it in .csv.")
    run = trained.load(folder, overrides)
    quarantine = Quarantine(output.with_suffix(".quarantine.jsonl"))
    output.parent.mkdir(parents=True, exist_ok=True)
    find = outlines.predict if run.outlines else _classify
    columns, rows, found = find(run, inputs, output, quarantine)
    if not rows:
        reason = next(iter(quarantine.state()["by_reason"]), "there is none")
        raise PacelineError(
            f"None of the {quarantine.read:,} file(s) can be read, the first because {reason}.",
            f"Name {trained.files_of(run).source} files, or set data.source.",
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    atomic.write_text(output, text.getvalue())
    counts = {"read": quarantine.read, "scored": len(rows), "quarantined": quarantine.quarantined}
    return {"run": str(folder), "output": str(output), **counts, **found}


def _classify(
    run: TrainedRun, inputs: Sequence[Path], output: Path, quarantine: Quarantine
) -> tuple[list[str], list[list[Any]], dict[str, Any]]:
    """Return the columns and rows of the CSV, and how many images each class is found in."""
    decision, names, parts = Decision.from_state(run.model), [], []
    for path in inputs:
        images, items, _ = trained.new_images(run, path, quarantine)
        if items:
            names += items
            parts.append(decision.probabilities(logits(run, images)))
    chances = np.concatenate(parts) if parts else np.zeros((0, len(run.classes)))
    positive = chances >= np.asarray(decision.thresholds)
    columns = ["item", *run.classes, *(f"{name}_found" for name in run.classes)]
    rows = [
        [name, *(f"{value:.6f}" for value in chance), *map(int, found_here)]
        for name, chance, found_here in zip(names, chances, positive, strict=True)
    ]
    by_class = {name: int(count) for name, count in zip(run.classes, positive.sum(axis=0), strict=True)}
    return columns, rows, {"found": by_class}


def to_onnx(folder: Path) -> dict[str, Any]:
    """Write `model.onnx` beside the run's model, held to it on test images; see `paceline.export`.

    Returns:
        `output` (the file), `max_abs_difference`, `compared`, `size_bytes`, `opset`.
    """
    run = trained.load(folder)
    cohort, split, _ = trained.cohort(run)
    rows = np.resize(split.test, EXPORTED_IMAGES)
    file = folder / "model.onnx"
    metadata = {"run": folder.name, "classes": ",".join(run.classes), "output": "logits, to be calibrated"}
    if run.outlines:
        metadata |= {"output": "a logit of lesion for each pixel", "decision": str(run.model["decision"])}
    else:
        metadata |= {name: str(value) for name, value in Decision.from_state(run.model).state().items()}
    made = export.to_onnx(run.network, file, np.asarray(cohort.images[rows], np.float32), metadata=metadata)
    return {"run": str(folder), "output": str(file), **made.state()}


def benchmark(folder: Path) -> dict[str, Any]:
    """Return how long one image takes, by Keras and by ONNX Runtime where `export` has made the file."""
    run = trained.load(folder)
    image = np.random.default_rng(0).integers(0, 256, (1, *run.network.input_shape[1:])).astype(np.float32)
    file = folder / "model.onnx"
    rows = latency.compare(run.network, file if file.is_file() else None, image, budgets_ms=BUDGETS_MS)
    return {"run": str(folder), "latency": rows}


def test_chances(folder: Path) -> NDArray[np.float64]:
    """Return the calibrated probabilities of a classifier's test images, in the order of the data."""
    run = trained.load(folder)
    cohort, split, _ = trained.cohort(run)
    return Decision.from_state(run.model).probabilities(logits(run, np.asarray(cohort.images[split.test])))
