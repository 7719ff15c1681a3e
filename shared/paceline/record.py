"""The run record: one folder a run, `run.json` with everything known about it, phases that sum to the wall time.

`start` owns a run's life: it makes the folder, writes the record at once (a killed run is found as `running`), and
closes it whatever happens: `done`, `stopped` (a signal, resumable) or `failed`; a run that failed before it had
anything to show leaves no folder. `Run` owns what is collected
meanwhile. The clock belongs to `clock`, the page to `report`, what the machine is to `device`.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel

from paceline import atomic, gpu_watch, hosts, lock, together
from paceline import config as configuration
from paceline.clock import Clock
from paceline.errors import PacelineError, Stopped
from paceline.redact import redact, settings
from paceline.stop import Listener

if TYPE_CHECKING:
    from paceline.stretch import Follower

SCHEMA_VERSION = 1
WRITING_SECONDS = 1.0  # a line of metrics.jsonl waits this long for others: alone it takes 1 % of a short round
PACKAGES = ("jax", "keras", "numpy", "polars", "scikit-learn", "xgboost", "xgboost-cpu")  # named where installed


class Run:
    """One run while it lasts: assign `dataset`, `model`, `device` and `scores`, add to the rest, save when it matters.

    Attributes:
        folder: where everything of the run is written.
        config: the resolved configuration.
        clock: divides the wall time; `phase` opens its spans.
        dataset: counts of what was read, kept, quarantined and split.
        model: what was built: its name, size and settings.
        device: what the run computes on, as `device.Device.state` gives it.
        scores: the test figures, `{name: {"value", "low", "high"}}`, intervals where there are any.
        slices: the scores by group: rows of `slice`, counts, and scores with intervals.
        score_notes: what a score means, in a sentence, where its name does not say it.
        predictions: what was predicted of this run before it was known; see `pace`.
        pace: what predicts it, and holds it below a ceiling; the fits tell it what they do. None: nobody is told.
        examine: is given how many epochs a training of a network has, its model and its batches before its first step,
            where a probe of levers looks at them. None: nobody does.
        budget: what a ceiling on the wall time changed: `seconds`, `asked`, `changed`, and by training what fitted.
        history: how training went; `fit_xgboost` and `fit_keras` fill it.
        training: what each training managed, by stage; see `throughput.facts`, of boosting `fit_xgboost`.
        surroundings: what the report says beside the run: its machine, time-savers, other sizes and machines.
        figures: the domain's own charts for the report (see `report.figure`).
        warnings: sentences that the reader of the report must see.
        pages: further files of a run that is done, by name: each is given the closed record and returns its text.
        wall_seconds: the time from the run's start to its last file, once it is closed.
        gpus: what the machine's GPUs do while the run lasts.
    """

    def __init__(self, folder: Path, config: BaseModel, clock: Clock) -> None:
        self.folder = folder
        self.config = config
        self.clock = clock
        self.dataset: dict[str, Any] = {}
        self.model: dict[str, Any] = {}
        self.device: dict[str, Any] = {}
        self.scores: dict[str, Any] = {}
        self.slices: list[dict[str, Any]] = []
        self.predictions: list[dict[str, Any]] = []
        self.pace: Follower | None = None
        self.examine: Callable[[int, Any, Any], None] | None = None
        self.budget: dict[str, Any] = {}
        self.history: dict[str, Any] = {}
        self.training: dict[str, Any] = {}
        self.score_notes: dict[str, str] = {}
        self.figures: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.pages: dict[str, Callable[[dict[str, Any]], str]] = {}
        self.earlier_sessions: list[dict[str, Any]] = []
        self.surroundings: dict[str, Any] = {}
        self.started_at = datetime.now(UTC)
        self.command = ""
        self.status = "running"
        self.error = ""
        self.wall_seconds = 0.0  # settled when the run is closed
        self.gpus = gpu_watch.Watch(None)
        self._metrics: IO[str] | None = None
        self._unwritten: list[dict[str, Any]] = []
        self._written_at = 0.0

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Give the block's time to the phase `name`, less what inner phases claim; `data/read` is a part of `data`."""
        return self.clock.span(name)

    def log(self, values: dict[str, Any]) -> str:
        """Add a line to `metrics.jsonl`: a step's number and its values, with the seconds since the run's start.

        Returns:
            Why training is to end after this step: always empty here, for a run decides by its own patience; a trial
            of a search (`tune.trial`) may be pruned, or out of time.
        """
        if self._metrics is None:
            self._metrics = (self.folder / "metrics.jsonl").open("a", encoding="utf-8")
        elapsed = self.clock.elapsed()
        self._unwritten.append({"elapsed_seconds": round(elapsed, 3), **values})
        if elapsed - self._written_at >= WRITING_SECONDS:
            self.write_metrics()
        return ""

    def forget(self, stage: str, after: int) -> None:
        """Drop from `metrics.jsonl` what a killed session logged of `stage` beyond step `after`: it is done again.

        A last line that the kill cut in two goes too.
        """
        self._close_metrics()  # the file may be another one afterwards
        path = self.folder / "metrics.jsonl"
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return
        whole = lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines
        kept = [line for line in whole if not _is_beyond(json.loads(line), stage, after)]
        if kept != lines:
            atomic.write_bytes(path, b"".join(kept))

    def warn(self, sentence: str) -> None:
        """Keep a sentence for the report's warnings, once, and show it on standard error now."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            print(f"warning: {sentence}", file=sys.stderr)

    def state(self) -> dict[str, Any]:
        """Return the record as JSON types, secrets hidden, as `run.json` holds it, with the wall time until now."""
        spans = self.clock.spans()
        phases: dict[str, float] = {}
        for name, seconds in spans.items():
            phases[name.partition("/")[0]] = phases.get(name.partition("/")[0], 0.0) + seconds
        wall_seconds = sum(phases.values())
        from paceline import device  # here, so that reading a record does not probe a machine

        record = {
            "schema_version": SCHEMA_VERSION,
            "run": self.folder.name,
            "status": self.status,
            "error": self.error,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "wall_seconds": wall_seconds,
            "command": settings(self.command, configuration.private(self.config)),
            "seed": getattr(getattr(self.config, "train", None), "seed", None),
            "config": configuration.shown(self.config),
            "device": self.device,
            "hardware": device.hardware() | ({"gpu_use": use} if (use := self.gpus.state()) else {}),
            "software": software(),
            "dataset": self.dataset,
            "model": self.model,
            "phases": phases,
            "spans": spans,
            "predictions": self.predictions,
            "budget": self.budget,
            "history": self.history,
            "training": self.training,
            "scores": self.scores,
            "slices": self.slices,
            "score_notes": self.score_notes,
            "figures": self.figures,
            "warnings": self.warnings,
            **self.surroundings,
            "earlier_sessions": self.earlier_sessions,
        }
        plain: dict[str, Any] = redact(atomic.plain(record))
        return plain

    def save(self) -> None:
        """Write `run.json` as it stands, and what `log` has collected."""
        self.write_metrics()
        atomic.write_json(self.folder / "run.json", self.state())

    def record_overdue(self) -> None:
        """Say in the record, from another thread, that a signal ended the run, which did not react to it."""
        if self.status == "running":
            self.status, self.error = "stopped", "A signal ended it; what the checkpoints hold is saved."
        self.save()

    def record_loss(self, error: PacelineError) -> None:
        """Say in the record, from another thread, that another host has gone and this one did not react to it.

        Where another host keeps the run, its folder here goes.
        """
        if not hosts.place().writes:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        self.status, self.error = "failed", str(error)
        self.save()

    def close(self) -> None:
        """Write the report, and the pages where the run is done; the record last, so that its time covers all of it."""
        from paceline import surroundings
        from paceline.report.page import render  # Jinja2 is loaded when there is something to render

        self.save()
        self.surroundings = surroundings.of(self.state(), self.folder.parent)
        atomic.write_text(self.folder / "report.html", render(self.state()))
        if self.status == "done":
            for name, page in self.pages.items():
                atomic.write_text(self.folder / name, page(self.state()))
        self._close_metrics()
        state = self.state()
        self.wall_seconds = state["wall_seconds"]
        atomic.write_json(self.folder / "run.json", state)

    def _close_metrics(self) -> None:
        self.write_metrics()
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None

    def write_metrics(self) -> None:
        """Hand what `log` has collected to the system, so that it survives a kill of the process."""
        if self._metrics is None:
            return
        lines, self._unwritten = self._unwritten, []
        self._metrics.writelines(json.dumps(atomic.plain(line), allow_nan=False) + "\n" for line in lines)
        self._metrics.flush()
        self._written_at = self.clock.elapsed()


@contextmanager
def start(
    config: BaseModel,
    runs_folder: Path,
    *,
    name: str,
    command: str = "",
    started: float | None = None,
    resume: Path | None = None,
) -> Iterator[Run]:
    """Open a run's record and close it whatever happens inside.

    A new run that a mistake of the user's, or Ctrl-C, ends before its first step leaves no folder: the error says all
    there is. One that quarantined something keeps its folder, for the list of that. SIGTERM and Ctrl-C end it anywhere,
    with what was saved. Several hosts meet here, before any data are read, and end together when one of them goes. The
    first keeps the run, and the run to resume is the first's: it alone reads its record and checkpoints. The folder of
    another one goes when it ends.

    Args:
        config: the resolved configuration; written to the folder as `config.toml`.
        runs_folder: where the run's folder `<UTC time>-<name>` is made.
        name: a word or two for the folder's name.
        command: the command line, as the user gave it.
        started: the performance counter's reading that counts as zero, `clock.process_start()` for a whole command;
            now by default. The time up to the body of the `with` is the phase `import`.
        resume: the folder of a run to go on with; its sessions so far are kept under `earlier_sessions`.

    Raises:
        PacelineError: the folder to resume is not a run's, the run is done already, or another process trains it; of
            several hosts one did not come, has gone, or has other versions or another configuration.
    """
    clock = Clock(started=started)
    clock.mark("import")
    writes = hosts.place().writes
    earlier = [] if resume is None or not writes else _earlier_sessions(read(resume))
    together.check_alike({**software(), "configuration": config.model_dump(mode="json")})
    if not writes:
        folder = Path(tempfile.mkdtemp(prefix="paceline-host-"))
    else:
        folder = _new_folder(runs_folder, name) if resume is None else resume
    with lock.hold(folder):
        with clock.span("import"):  # asking the machine and the packages what they are belongs to getting ready
            run = Run(folder, config, clock)
            run.command, run.earlier_sessions = command, earlier
            atomic.write_text(run.folder / "config.toml", configuration.dump(config))
            run.save()
        run.gpus = gpu_watch.Watch(gpu_watch.nvml())
        run.gpus.start()
        empty = False
        with Listener(run.record_overdue, interrupt=True) as listener, together.watched(run.record_loss):
            try:
                yield run
                run.status = "done"
                together.done()
            except BaseException as error:
                together.leave(error)
                run.status = "stopped" if isinstance(error, (Stopped, KeyboardInterrupt)) else "failed"
                run.error = str(error) or type(error).__name__
                early = isinstance(error, (PacelineError, KeyboardInterrupt)) or bool(listener.requested)
                empty = writes and resume is None and early and not _shows(folder)
                if isinstance(error, Stopped):
                    error.folder = folder if writes else None  # another host's is removed below
                    if empty:
                        error.settle(f"{listener.requested} ended it before training began; there was nothing to save.")
                raise
            finally:
                listener.finish()
                with run.phase("finalise"):
                    run.gpus.stop()
                    for sentence in run.gpus.warnings():
                        run.warn(sentence)
                    run.close()
                if empty or not writes:
                    shutil.rmtree(folder, ignore_errors=True)


def read(folder: Path) -> dict[str, Any]:
    """Return the record in `folder`.

    Raises:
        PacelineError: there is none, or it cannot be read.
    """
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise PacelineError(f"'{folder}' is not a run: it has no run.json.", "Name a folder below runs/.") from None
    except OSError as error:
        raise PacelineError(f"'{folder / 'run.json'}' cannot be read: {error.strerror}.", "Name another run.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PacelineError(f"'{folder / 'run.json'}' is damaged: {error}.", "Name another run.") from None
    if not isinstance(record, dict):
        raise PacelineError(f"'{folder / 'run.json'}' is damaged: it holds no record.", "Name another run.")
    if record.get("schema_version") != SCHEMA_VERSION:
        raise PacelineError(
            f"'{folder}' has a record of version {record.get('schema_version')}, this library reads {SCHEMA_VERSION}.",
            "Use the version of the project that wrote it.",
        )
    return dict(record)


def software() -> dict[str, str]:
    """Return the versions of Python, Paceline and the frameworks that are installed."""
    return dict(_software())


@cache  # a record is saved often, and metadata are read from files
def _software() -> dict[str, str]:
    from paceline import __version__

    versions = {"python": platform.python_version(), "paceline": __version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _shows(folder: Path) -> bool:
    """Return whether a run has come to anything: a step, a checkpoint, a list of what could not be read."""
    return any((folder / name).exists() for name in ("metrics.jsonl", "checkpoints", "quarantine.jsonl"))


def _is_beyond(line: dict[str, Any], stage: str, step: int) -> bool:
    return line.get("stage") == stage and int(line["step"]) > step


def _new_folder(runs_folder: Path, name: str) -> Path:
    try:
        runs_folder.mkdir(parents=True, exist_ok=True)
        while True:
            folder = runs_folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}"
            try:
                folder.mkdir()
            except FileExistsError:  # another run of this second
                time.sleep(0.1)
            else:
                return folder
    except OSError as error:
        raise PacelineError(
            f"No run can be kept in '{runs_folder}': {error.strerror}.", "Choose another folder."
        ) from None


def _earlier_sessions(record: dict[str, Any]) -> list[dict[str, Any]]:
    if record["status"] == "done":
        raise PacelineError(f"The run '{record['run']}' is done.", "Start a new one, without --resume.")
    session = {key: record[key] for key in ("status", "started_at", "wall_seconds", "phases")}
    return [*record["earlier_sessions"], session]
