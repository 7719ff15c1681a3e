"""What a training step waits for, by the differential method: loader alone, step alone, both together, a small step.

What loading adds to a step on a repeated batch is input. A step on fewer rows tells what of a step does not depend on
them: launching it, Python around it, updating the weights. The rest is work on the rows. Pure functions of the
times; `levers.step_probe` measures them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from paceline.report import format as fmt

FILE = "step-times.json"  # below runs/, for the reports of later runs


@dataclass(frozen=True)
class StepTimes:
    """Mean times of a training step, in seconds, the device waited for at the end.

    Attributes:
        rows: of the data in a step.
        loader: making a batch, nothing else going on.
        step: a step, all on one batch that is there.
        together: a step with its batch being made, as in training.
        small_rows: of a smaller step; 0 where there is none.
        small_step: that one, on one batch that is there.
    """

    rows: int
    loader: float
    step: float
    together: float
    small_rows: int = 0
    small_step: float = 0.0


def launch_seconds(times: StepTimes) -> float | None:
    """Return what of a step does not depend on its rows, from a straight line through two sizes; None with only one.

    >>> launch_seconds(StepTimes(rows=32, loader=0.0, step=0.010, together=0.010, small_rows=8, small_step=0.004))
    0.002
    """
    if not 0 < times.small_rows < times.rows:
        return None
    for_each_row = (times.step - times.small_step) / (times.rows - times.small_rows)
    return min(times.step, max(0.0, times.step - times.rows * for_each_row))


def shares(times: StepTimes) -> dict[str, float]:
    """Return the shares of a step with its input: `input`, `launch`, `compute`, in sum 1.

    Without a smaller step `compute` holds what is launched too, and there is no `launch`.

    >>> shares(StepTimes(rows=32, loader=0.03, step=0.01, together=0.04, small_rows=8, small_step=0.004))
    {'input': 0.75, 'launch': 0.05, 'compute': 0.2}
    """
    whole = max(times.together, times.step)
    launch = launch_seconds(times)
    found = {"input": (whole - times.step) / whole}
    if launch is not None:
        found["launch"] = launch / whole
    return {
        name: round(share, 6) for name, share in (found | {"compute": (times.step - (launch or 0.0)) / whole}).items()
    }


def bound_by(times: StepTimes) -> str:
    """Return `input`, `launch` or `compute`: the largest share; `not input` where the last two are not told apart."""
    found = shares(times)
    name = max(found, key=lambda each: found[each])
    return "not input" if name == "compute" and "launch" not in found else name


def verdict(times: StepTimes) -> list[str]:
    """Return what a step is bound by, what would help, and the figures, a sentence each."""
    found, bound = shares(times), bound_by(times)
    text, remedy = {
        "input": (
            f"It is input-bound: waiting for batches is {fmt.share(found['input'])} of a step",
            "More input threads, a decoded cache or cheaper augmentation would help; a faster device would not",
        ),
        "launch": (
            f"It is launch-bound: {fmt.share(found.get('launch'))} of a step do not depend on how many rows are in it",
            "Larger batches would help; fewer rows or a smaller image would not",
        ),
        "compute": (
            f"It is compute-bound: work on the rows is {fmt.share(found['compute'])} of a step",
            "A smaller model or image, less precision or a faster device would help; more input threads would not",
        ),
        "not input": (
            f"It is not input-bound: waiting for batches is {fmt.share(found['input'])} of a step",
            "Whether it is work on the rows or launching was not told apart, for the batch is too small to be divided",
        ),
    }[bound]
    return [f"{text}.", f"{remedy}.", figures(times)]


def figures(times: StepTimes) -> str:
    """Return the times that were measured in a sentence."""
    text = (
        f"Measured by levers: the loader alone makes a batch in {_ms(times.loader)}, a step alone, on one repeated "
        f"batch, takes {_ms(times.step)}, both together {_ms(times.together)}"
    )
    launch = launch_seconds(times)
    if launch is None:
        return f"{text}."
    constant = f"{_ms(launch)} of it are" if launch >= 0.01 * times.step else "next to nothing of it is"
    return (
        f"{text}; a step on {times.small_rows} rows instead of {times.rows} takes {_ms(times.small_step)}, so "
        f"{constant} launching it and updating the weights, whatever the rows."
    )


def of_record(record: Mapping[str, Any]) -> StepTimes | None:
    """Return the times that a run's record holds where they are of a training such as its own, else None.

    That is: as many rows in an update, as many trained weights, the same kind of device and the same precision.
    """
    kept = record.get("step_times")
    if not isinstance(kept, Mapping) or not isinstance(kept.get("times"), Mapping):
        return None
    device = record.get("device") or {}
    if any(kept.get(name) != device.get(name) for name in ("kind", "precision")):
        return None
    trainings = [each for each in (record.get("training") or {}).values() if isinstance(each, Mapping)]
    alike = ("batch_size", "trainable_parameters")
    if not any(all(each.get(name) == kept.get(name) for name in alike) for each in trainings):
        return None
    values = kept["times"]
    if not all(fmt.is_number(values.get(field.name)) and values[field.name] >= 0 for field in fields(StepTimes)):
        return None
    times = StepTimes(**{field.name: values[field.name] for field in fields(StepTimes)})
    return times if times.step > 0 else None


def _ms(seconds: float) -> str:
    return f"{fmt.number(1000 * seconds)} ms"
