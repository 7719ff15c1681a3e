"""Boosting in rounds that can be stopped anywhere and resumed bit for bit, at the speed of `xgboost.train`.

`fit` owns the loop. A booster keeps random states that no saved model holds, so a resumed run would sample other rows
and columns; therefore each chunk of rounds begins with random states made new from `seed + first round` (`_reseed`),
in the straight run and the resumed one alike, and checkpoints are taken at chunk boundaries only. One Booster lives
through all chunks: a new one per chunk would predict all earlier trees again. Average precision, the score most often
watched, is computed here from the margins that XGBoost keeps anyway (`_Watched`).
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from paceline import atomic, budget, checkpoint, throughput
from paceline.course import Course
from paceline.device import Device
from paceline.errors import PacelineError, Stopped
from paceline.progress import Progress
from paceline.record import Run
from paceline.stop import Listener
from paceline.stretch import Follower, Stretch

# A training curve is bent at its beginning, so it is scored at rounds 1, 2, 3, 5, 8, 12, 18, ...: 15 times in 600
# rounds. Each time all training rows count, which takes a sixth of a round.
TRAINING_SCORE_SPACING = 1.5
DEVICE_COPIES = 4  # the rows, their sketch, the bins, and as much to spare
CHUNK_ROUNDS = 10  # a reseed takes up to 0.7 ms: 2 % of a 30 ms round, 0.2 % of ten
BLOCK_SECONDS = 2.0  # after so long a chunk's rounds are told to `run.pace` before it is over
STEADY = 0.1  # how much dearer a round may become over a training; see `probe.Probe`
MONITOR_NAMES = {"aucpr": "average_precision", "auc": "auc_roc", "logloss": "log_loss"}  # XGBoost's → the field's
LARGER_IS_BETTER = ("aucpr", "auc")
_PLACE = re.compile(r"^\[[\d:]+\] \S+:\d+: ")  # the time and the source line before what XGBoost says


@dataclass(frozen=True)
class Fitted:
    """A trained booster and how it came about.

    Attributes:
        booster: cut to `rounds` trees.
        rounds: the trees kept: up to the best round where stopping early was asked for, else all.
        stop_reason: why training ended, in a few words.
    """

    booster: xgboost.Booster
    rounds: int
    stop_reason: str


def engine_parameters(device: Device) -> dict[str, Any]:
    """Return XGBoost's parameters for `device`: where it computes, on how many threads."""
    return {"device": "cuda" if device.kind == "gpu" else "cpu", "nthread": device.threads, "tree_method": "hist"}


def matrix(
    X: NDArray[np.float32],
    y: NDArray[Any],
    device: Device,
    *,
    max_bin: int,
    ref: xgboost.QuantileDMatrix | None = None,
) -> xgboost.QuantileDMatrix:
    """Return the rows as bins for `fit`, made where that is fastest.

    On a GPU the bins are made there from a copy of the rows, where CuPy is installed and `DEVICE_COPIES` times the rows
    fit in its free memory; else on the host, from where XGBoost moves the bins, a quarter to a half of the rows' size.

    Args:
        X: the rows.
        y: their labels.
        device: what the booster computes on.
        max_bin: bins of a feature; the same as the booster's.
        ref: the matrix whose bins are used, for rows to judge by.
    """
    placed: Any = X
    if device.kind == "gpu" and importlib.util.find_spec("cupy") is not None:
        import cupy

        free_bytes, _ = cupy.cuda.runtime.memGetInfo()
        placed = cupy.asarray(X) if DEVICE_COPIES * X.nbytes <= free_bytes else X
    return xgboost.QuantileDMatrix(placed, y, max_bin=max_bin, ref=ref)


def fit(
    parameters: Mapping[str, Any],
    train: xgboost.DMatrix,
    validation: xgboost.DMatrix | None,
    *,
    rounds: int,
    early_stopping_rounds: int,
    seed: int,
    checkpoint_seconds: float,
    stage: str,
    run: Run,
    progress: Progress,
    start: xgboost.Booster | None = None,
) -> Fitted:
    """Boost until `rounds`, or until `early_stopping_rounds` rounds brought no better validation score.

    The result does not depend on how often the run was stopped and resumed: same data, parameters and seed give the
    same bytes. SIGTERM and Ctrl-C end it after the chunk under way (or, when that takes longer than 8 s, at the last
    checkpoint) with everything saved.

    Args:
        parameters: of the booster; `eval_metric` is one name, the score to watch.
        train: the training rows.
        validation: the rows whose score is watched; None trains without watching.
        rounds: the most trees.
        early_stopping_rounds: rounds without a better score that end training; 0 goes through all.
        seed: of every chunk, with its first round added.
        checkpoint_seconds: a checkpoint at the next chunk's end after that many seconds.
        stage: the name of this training below `checkpoints/` and in the progress line.
        run: gets the history, the time by phase and the warnings; its folder is where an earlier session's
            checkpoints are looked for.
        progress: the progress line.
        start: a booster to add trees to; `rounds` and everything reported count the added ones, and the result holds
            both. It is left as it is.

    Raises:
        Stopped: a signal asked for the end; a later `fit` in the same folder goes on.
        PacelineError: XGBoost refused the parameters or the data, or did not use the device asked for.
    """
    with run.phase("build"):
        boosting = _Boosting(
            parameters, train, validation, early_stopping_rounds, seed, run.folder / "checkpoints" / stage, run, start
        )
    if run.pace is not None and not boosting.course.ended:
        trend = None if parameters.get("booster") == "dart" else STEADY
        run.pace.begin(stage, boosting.course, most=rounds, steps=1, validation_steps=0, trend=trend)
    progress.begin(stage, step=boosting.course.step)
    with Listener(boosting.record_overdue) as listener, run.phase("train"):
        while not boosting.course.ended:
            if listener.requested:
                boosting.save()
                raise Stopped(f"{listener.requested} ended it after {boosting.course.step} rounds.", resumable=True)
            try:
                boosting.chunk(rounds)
            except xgboost.core.XGBoostError as error:
                raise PacelineError(f"XGBoost refused: {_first_line(error)}.", "Check [model] and [train].") from None
            if run.pace is not None and not boosting.course.ended:
                progress.expect(min(rounds, int(boosting.ends_at)))
            progress.step(boosting.course.step, boosting.course.note())
            if run.clock.elapsed() - boosting.saved_at >= checkpoint_seconds or boosting.course.ended:
                boosting.save()
        if listener.requested:  # in the last chunk: what follows may take long
            raise Stopped(f"{listener.requested} ended it after {boosting.course.step} rounds.", resumable=True)
    boosting.verify_device()
    course = boosting.course
    if run.pace is not None and course.step > boosting.first_step:
        run.pace.ended()
    if validation is not None:
        run.history = course.history(stage)
    if course.step > boosting.first_step:
        run.training[stage] = boosting.facts()
    kept = boosting.trees_before + course.kept()
    booster = boosting.booster if course.kept() == course.step else boosting.booster[:kept]
    return Fitted(booster, course.kept(), course.ended)


@dataclass
class Block:
    """Rounds that were not yet told to `run.pace`, and what they took."""

    first_step: int
    rounds_seconds: float = 0.0
    validation_seconds: float = 0.0


class _Boosting:
    """A booster on its way from the first round, or from the newest whole checkpoint in `folder`, to the last."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        train: xgboost.DMatrix,
        validation: xgboost.DMatrix | None,
        patience: int,
        seed: int,
        folder: Path,
        run: Run,
        start: xgboost.Booster | None = None,
    ) -> None:
        metric = str(parameters["eval_metric"])
        self.parameters, self.train = dict(parameters), train
        self.watched_train = _Watched(train, self.parameters)
        self.validation = None if validation is None else _Watched(validation, self.parameters)
        self.seed, self.folder, self.run = seed, folder, run
        self.metric = MONITOR_NAMES.get(metric, metric)
        self.booster = xgboost.Booster(self.parameters, [train] if validation is None else [train, validation])
        self.course = Course("round", f"validation_{self.metric}", metric in LARGER_IS_BETTER, patience)
        self.trees_before = 0 if start is None else start.num_boosted_rounds()
        if start is not None:
            self._take(bytes(start.save_raw("ubj")))
        found, damaged = checkpoint.latest(folder)
        for sentence in damaged:
            run.warn(sentence)
        if found is not None:
            self._take(found.files["booster.ubj"])
            self.course = Course.load(found.files["course.json"])
        run.forget(folder.name, self.course.step)
        self.scored = max((row["step"] for row in self.course.rows if f"train_{self.metric}" in row), default=0)
        self.saved_at, self.saved_step = run.clock.elapsed(), self.course.step
        self.first_step = self.course.step  # of this session
        self.rounds_seconds: list[float] = []  # of this session
        self.ends_at = float("1e9")  # the round below the run's ceiling, where it has one

    def _take(self, model: bytes) -> None:
        self.booster.load_model(bytearray(model))
        self.booster.set_param(self.parameters)  # a loaded model brings its own

    def chunk(self, rounds: int) -> None:
        """Boost to the next chunk boundary, or to the round where training ends."""
        course = self.course
        _reseed(self.booster, self.seed + course.step)
        # Where time is short, a chunk ends within: one that began elsewhere would have another seed.
        end = min(rounds, course.step - course.step % CHUNK_ROUNDS + CHUNK_ROUNDS)
        self.block = Block(course.step)
        while course.step < end and not course.ended:
            began = self.run.clock.elapsed()
            self.booster.update(self.train, self.trees_before + course.step)
            course.step += 1
            self.rounds_seconds.append(self.run.clock.elapsed() - began)
            self.block.rounds_seconds += self.rounds_seconds[-1]
            row: dict[str, Any] = {"step": course.step}
            if self.validation is not None:
                began = self.run.clock.elapsed()
                with self.run.phase("validation"):
                    row[course.monitor] = self.validation.score(self.booster, course.step)
                self.block.validation_seconds += self.run.clock.elapsed() - began
                course.judge(row[course.monitor])
            if course.step == rounds and not course.ended:
                course.ended = f"all {rounds} rounds"
            if self.run.pace is not None:
                self._tell(self.run.pace, over=course.step == end or course.step + 1 > self.ends_at)
            if self.validation is not None and (course.ended or course.step >= TRAINING_SCORE_SPACING * self.scored):
                self.scored = course.step
                with self.run.phase("validation/training_score"):
                    row[f"train_{self.metric}"] = self.watched_train.score(self.booster, course.step)
            row["elapsed_seconds"] = round(self.run.clock.elapsed(), 3)
            course.rows.append(row)
            if (reason := self.run.log({"stage": self.folder.name, **row})) and not course.ended:
                course.ended = reason

    def _tell(self, pace: Follower, *, over: bool) -> None:
        """Hand the block of rounds to `pace` when it is long enough, and end training where that says so."""
        course, block = self.course, self.block
        first = course.step == self.first_step + 1  # it sketches, allocates, and says nothing about the others
        if not (first or over or course.ended or block.rounds_seconds >= BLOCK_SECONDS):
            return
        rounds = course.step - block.first_step
        pace.observe(Stretch("steps", course.step, rounds, block.rounds_seconds, first))
        if self.validation is not None:
            pace.observe(Stretch("validation", course.step, rounds, block.validation_seconds, first))
        self.block = Block(course.step)
        self.ends_at = pace.end(course.step)
        if not course.ended and course.step + 1 > self.ends_at:
            course.ended = f"{budget.ENDED}, after {course.step} rounds"

    def facts(self) -> dict[str, Any]:
        """Return what this session managed, in the form of `throughput.facts`.

        Returns:
            `steps` (rounds), `rows`, `features`, `max_depth` (None where it is left to XGBoost), `examples_per_second`
            (rows times rounds, without the first round, which sketches; None where there is no other),
            `peak_memory_bytes` (of the process, until now).
        """
        rows, later = self.train.num_row(), self.rounds_seconds[1:]
        return {
            "steps": len(self.rounds_seconds),
            "rows": rows,
            "features": self.train.num_col(),
            "max_depth": self.parameters.get("max_depth"),
            "examples_per_second": rows * len(later) / sum(later) if sum(later) > 0 else None,
            "peak_memory_bytes": throughput.peak_memory_bytes(),
        }

    def save(self) -> None:
        """Write a checkpoint and the run record as it stands."""
        began = self.run.clock.elapsed()
        with self.run.phase("checkpoint"):
            files = {"booster.ubj": bytes(self.booster.save_raw("ubj")), "course.json": self.course.dump()}
            checkpoint.save(self.folder, self.course.step, files)
            self.run.save()
        self.saved_at, self.saved_step = self.run.clock.elapsed(), self.course.step
        if self.run.pace is not None and self.course.step > self.first_step:
            self.run.pace.observe(Stretch("checkpoint", self.course.step, 0, self.saved_at - began, False))

    def record_overdue(self) -> None:
        """Close the record from another thread while a round does not return."""
        self.run.status = "stopped"
        self.run.error = f"A signal ended it in round {self.course.step + 1}; {self.saved_step} rounds are saved."
        self.run.save()

    def verify_device(self) -> None:
        """Refuse a silent fallback: what XGBoost computed on must be what it was told to use."""
        used = str(json.loads(self.booster.save_config())["learner"]["generic_param"]["device"]).partition(":")[0]
        if used != self.parameters["device"]:
            asked = self.parameters["device"]
            raise PacelineError(f"'{asked}' was asked for, but XGBoost computed on '{used}'.", "Use --device cpu.")


class _Watched:
    """Rows whose score is watched, by the `eval_metric` of `parameters`.

    XGBoost knows the margins of these rows up to the last tree but one, so a score costs little more than a sort; its
    own `aucpr` takes 1.5 times (20,000 rows) to 8 times (100,000) as long as NumPy's. Other metrics are XGBoost's own,
    and so is average precision where rows have weights.
    """

    def __init__(self, data: xgboost.DMatrix, parameters: Mapping[str, Any]) -> None:
        labels = data.get_label()
        ours = parameters["eval_metric"] == "aucpr" and str(parameters.get("objective", "")).startswith("binary:")
        ours = ours and not len(data.get_weight()) and not np.any((labels != 0) & (labels != 1))
        self.data = data
        self.positives = np.flatnonzero(labels) if ours else None

    def score(self, booster: xgboost.Booster, step: int) -> float:
        """Return the score of `booster`, which has `step` trees of this training."""
        if self.positives is None:
            return float(booster.eval_set([(self.data, "")], step - 1).rpartition(":")[2])
        return average_precision(booster.predict(self.data, output_margin=True), self.positives)


def average_precision(scores: NDArray[np.float32], positives: NDArray[np.intp]) -> float:
    """Return the mean, over the positive rows, of the precision among the rows scored as high as each or higher.

    That is scikit-learn's `average_precision_score`, ties included; no number where there is no positive row.

    Args:
        scores: one for each row.
        positives: the places of the positive rows.

    >>> average_precision(np.float32([0.9, 0.8, 0.8, 0.1]), np.array([0, 2]))
    0.8333333333333333
    """
    if not len(positives):
        return float("nan")
    ranked, hits = np.sort(scores), np.sort(scores[positives])
    rows_above = len(ranked) - np.searchsorted(ranked, hits)
    hits_above = len(hits) - np.searchsorted(hits, hits)
    return float(np.mean(hits_above / rows_above))


def refresh(parameters: Mapping[str, Any], booster: xgboost.Booster, train: xgboost.DMatrix) -> xgboost.Booster:
    """Return `booster` with its trees as they are and their leaves learned anew from `train`.

    A leaf that no row of `train` reaches becomes 0, so it wants data that cover what the trees divide. Rows are not
    sampled, whatever `parameters` say.

    Args:
        parameters: as for `fit`; those that shape trees have no effect.
        booster: is left as it is.
        train: the rows to learn from; a plain `DMatrix`, since trees are walked by values and not by bins.

    Raises:
        PacelineError: XGBoost refused the parameters or the data.
    """
    kept = {name: value for name, value in parameters.items() if name not in ("tree_method", "subsample")}
    update = {
        "process_type": "update",
        "updater": "refresh",
        "refresh_leaf": True,
        "verbosity": 0,
    }  # it warns of `updater`
    try:
        refreshed = xgboost.train(kept | update, train, booster.num_boosted_rounds(), xgb_model=booster)
    except xgboost.core.XGBoostError as error:
        raise PacelineError(f"XGBoost refused: {_first_line(error)}.", "Check [model] and [train].") from None
    result = xgboost.Booster()
    result.load_model(refreshed.save_raw("ubj"))  # without the parameters of the update, which would stick to it
    return result


def _reseed(booster: xgboost.Booster, seed: int) -> None:
    """Make the booster's random states new from `seed`, without touching its trees or its cached predictions.

    Naming another tree method and applying it drops the updaters with their column samplers; naming `hist` again
    makes new ones, seeded from the fresh global course.
    """
    booster.set_param({"tree_method": "approx"})
    booster.num_features()  # applies the parameters, as does save_config(), which writes them all out besides
    booster.set_param({"tree_method": "hist", "seed": seed})


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0].strip()
    return _PLACE.sub("", line).rstrip(".")


def save_model(booster: xgboost.Booster, path: Path) -> dict[str, str]:
    """Write the trees as `path` and return `{"file", "sha256"}` for the record, which `load_model` verifies."""
    data = bytes(booster.save_raw("ubj"))
    atomic.write_bytes(path, data)
    return {"file": path.name, "sha256": atomic.sha256(data)}


def load_model(path: Path, sha256: str) -> xgboost.Booster:
    """Return the booster in `path` once its checksum is verified: a damaged file can crash XGBoost's parser.

    Raises:
        PacelineError: the file is missing or has other content.
    """
    try:
        data = checkpoint.read_verified(path, sha256)
    except OSError as error:
        raise PacelineError(f"'{path}' cannot be read: {error.strerror}.", "Name a run that finished.") from None
    booster = xgboost.Booster()
    booster.load_model(bytearray(data))
    return booster
