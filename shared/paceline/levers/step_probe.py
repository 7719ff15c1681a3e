"""Measures what a training step waits for; see `step_times` for the method and what follows from it.

The project's own training is begun and looked at where it would take its first step, so model, batches, device and
precision are those that it trains with. It is left there: what was measured on has been trained on one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np

from paceline import config as configuration
from paceline import distribute
from paceline.batches import Batches, take
from paceline.clock import now
from paceline.levers import probe_run
from paceline.levers.task import Config, Prepared, Task
from paceline.progress import Unseen
from paceline.step_times import StepTimes
from paceline.throughput import trainable_parameters

SECONDS = 1.0  # of each measurement, about
FEWEST_STEPS, MOST_STEPS = 3, 2000
SMALLER = 4  # times: the smaller step's rows


def probe(task: Task[Config, Prepared], prepared: Prepared, config: Config) -> dict[str, Any] | None:
    """Return the times of a step of the project's training as JSON types; None where it took no step.

    Returns:
        `times` (see `step_times.StepTimes`), and of what training: `batch_size`, `trainable_parameters`, `kind` of
        device, `precision`, `measured_on` (ISO 8601).

    Raises:
        PacelineError: the project cannot train so.
    """
    lasting = configuration.replace(config, task.lasting(config), source="levers")
    found: dict[str, Any] = {}

    def examine(epochs: int, model: Any, train: Batches) -> None:
        if epochs > 1:  # what `lasting` lets go by is over soon
            found["times"] = asdict(measure(model, train, seconds=SECONDS))
            found["batch_size"] = train.batch_size
            found["trainable_parameters"] = trainable_parameters(model)
            raise _Examined

    with probe_run.opened(lasting) as run:
        run.examine = examine
        try:
            task.train(prepared, lasting, run, Unseen())
        except _Examined:
            device = {name: run.device.get(name) for name in ("kind", "precision")}
            return {**found, **device, "measured_on": date.today().isoformat()}
    return None


def measure(model: Any, train: Batches, *, seconds: float) -> StepTimes:
    """Return the times of a step of a compiled Keras model; its weights change.

    Args:
        model: compiled.
        train: what it is trained on.
        seconds: of each of four measurements, about; the compilation of two steps comes on top.
    """
    train.start_epoch(0)
    batch = train.example()
    devices = distribute.spread().devices
    small = train.rows // SMALLER // devices * devices
    try:
        loader = _loader(train, seconds)
        step = _step(model, lambda: _repeated(batch), seconds)
        together = _step(model, lambda: _coming(train), seconds)
    finally:
        train.close()
    if not small:
        return StepTimes(train.rows, loader, step, together)
    few = take(batch, np.arange(small))
    return StepTimes(train.rows, loader, step, together, small, _step(model, lambda: _repeated(few), seconds))


class _Examined(BaseException):
    """Leaves a training that was looked at; no error, so nothing that recovers from errors takes it for one."""


def _loader(train: Batches, seconds: float) -> float:
    coming = _coming(train)
    next(coming)
    began, made = now(), 0
    while made < FEWEST_STEPS or (now() - began < seconds and made < MOST_STEPS):
        next(coming)
        made += 1
    return (now() - began) / made


def _step(model: Any, batches: Callable[[], Iterator[Any]], seconds: float) -> float:
    """Return the mean seconds of a step after what is compiled with the first ones."""

    def took(steps: int) -> float:
        began = now()
        history = model.fit(batches(), steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0).history
        float(history["loss"][-1])  # waits for the last step
        return now() - began

    took(2)
    about = took(FEWEST_STEPS) / FEWEST_STEPS
    steps = int(min(MOST_STEPS, max(FEWEST_STEPS, seconds / about)))
    return took(steps) / steps


def _repeated(batch: Any) -> Iterator[Any]:
    while True:
        yield batch


def _coming(train: Batches) -> Iterator[Any]:
    """Give the batches of epoch after epoch, as training asks for them."""
    epoch = 0
    while True:
        train.start_epoch(epoch)
        for place in range(len(train)):
            yield train[place]
        epoch += 1
