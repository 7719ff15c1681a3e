"""Several processes on one study: each has its share of the cores, one that is killed is replaced, its trial redone.

What a killed worker of this command was at is put back in the queue at once, for this process sees it die. A worker of
another machine is missed when its heartbeat stops (see `storage`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

import optuna
from optuna.trial import TrialState
from pydantic import BaseModel

from paceline import clock, contention, device
from paceline.errors import PacelineError, Stopped
from paceline.stop import Listener
from paceline.tune import search, space, storage
from paceline.tune.deadline import Budget
from paceline.tune.task import Task

Config = TypeVar("Config", bound=BaseModel)
Prepared = TypeVar("Prepared")

LOOK_SECONDS = 1.0
MOST_REPLACED = 3  # workers, for each asked for
SEEDS_APART = 100_003  # between workers; sessions of one worker are apart by their trials


@dataclass(frozen=True)
class Part(Generic[Config, Prepared]):
    """What a worker needs to take part; it goes to another process, so it holds no study and no data.

    Attributes:
        task: the project's side.
        config: the settings that trials start from.
        url: of the storage.
        study: its name there.
        parameters: what varies.
        deadline: see `deadline.Budget`; the performance counter is the machine's, so all its processes read the same.
        setup_seconds: see `deadline.Budget`.
        finish_seconds: see `deadline.Budget`.
        trainings: see `deadline.Budget`.
        repeats: see `deadline.Budget`.
        comparison_seconds: see `deadline.Budget`.
        trials: in all; None: as many as fit.
        seed: of the sampler.
        setup_waited: see `deadline.Budget`.
        kept: see `search.Search`.
        events: see `search.Search`.
    """

    task: Task[Config, Prepared]
    config: Config
    url: str
    study: str
    parameters: space.Space
    deadline: float | None
    setup_seconds: float
    finish_seconds: float
    trainings: float
    repeats: int
    comparison_seconds: float
    trials: int | None
    seed: int
    setup_waited: float = 0.0
    kept: Path | None = None
    events: Path | None = None

    def budget(self, read: Callable[[], float] = clock.now) -> Budget:
        """Return the time there is, by the clock `read`."""
        return Budget(
            self.deadline,
            setup_seconds=self.setup_seconds,
            finish_seconds=self.finish_seconds,
            trainings=self.trainings,
            repeats=self.repeats,
            comparison_seconds=self.comparison_seconds,
            setup_waited=self.setup_waited,
            waited=contention.Lately(),
            read=read,
        )


def run(part: Part[Any, Any], study: optuna.Study, count: int, *, tell: Callable[[], None]) -> None:
    """Search with `count` processes until each has come to its end.

    Args:
        part: what they need.
        study: the one they search in, as this process sees it.
        count: processes.
        tell: called about every second, for the progress line.

    Raises:
        Stopped: a signal asked for the end; trials under way are in the queue again.
        PacelineError: what a worker refused, or workers that die one after the other.
    """
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    numbers: dict[SpawnProcess, int] = {}

    def start(number: int) -> None:
        worker = context.Process(target=_work, args=(part, number, count, answers), daemon=True)
        worker.start()
        numbers[worker] = number

    with Listener(lambda: None) as listener:
        for number in range(count):
            start(number)
        replaced, refused = 0, ""
        while numbers:
            wait([worker.sentinel for worker in numbers], timeout=LOOK_SECONDS)
            tell()
            if listener.requested:
                _end(list(numbers))
            for worker in [worker for worker in numbers if not worker.is_alive()]:
                number = numbers.pop(worker)
                worker.join()
                abandoned(study, f"{platform.node()}:{worker.pid}")
                if worker.exitcode == 0 or listener.requested:
                    continue
                replaced += 1
                if replaced > MOST_REPLACED * count:
                    refused = "Workers were killed one after the other."
                    _end(list(numbers))
                elif answers.empty():
                    start(number)
            if not answers.empty():
                _end(list(numbers))
        if listener.requested:
            raise Stopped(f"{listener.requested} ended the search.", resumable=False)
        if not answers.empty():
            cause, remedy = answers.get()
            raise PacelineError(cause, remedy)
        if refused:
            raise PacelineError(refused, "See whether memory suffices for so many: lower tune.workers.")


def abandoned(study: optuna.Study, worker: str) -> None:
    """Put the trials that `worker` was at back in the queue."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get("worker") == worker:
            storage.requeue(study, trial)


def _end(processes: list[SpawnProcess]) -> None:
    """Ask processes to end what they do; a trial under way goes back in the queue."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()


def _work(part: Part[Any, Any], number: int, count: int, answers: Any) -> None:
    """The whole life of a worker process."""
    _take_cores(number, count)
    warnings.simplefilter("ignore")  # the first process has shown what there is to show
    try:
        with storage.connected(part.url) as backend:
            search.Search(
                part.task,
                part.config,
                optuna.load_study(storage=backend, study_name=part.study),
                part.parameters,
                part.task.prepare(part.config),
                part.budget(),
                trials=part.trials,
                seed=part.seed + SEEDS_APART * number,
                events=part.events,
                kept=part.kept,
            ).run()
    except PacelineError as error:
        answers.put((error.cause, error.remedy))
    except (Stopped, KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _take_cores(number: int, count: int) -> None:
    """Leave the other workers their cores, where the operating system lets a process choose: Linux."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    each = max(1, min(len(cores), device.usable_cores()) // count)
    first = number * each % len(cores)
    os.sched_setaffinity(0, cores[first : first + each])
