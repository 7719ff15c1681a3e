"""One progress line over the whole run: what is done, what is left, and how long that takes.

`Plan` owns the arithmetic and is a pure function of what it is told; `Progress` draws it with tqdm on standard error.
A bar per epoch, or per stage, would start again and again at an unknown total; this one knows every stage from the
beginning, counts one that may stop early in full until it has stopped, and adds what is predicted to follow them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from paceline import budget, hosts
from paceline.clock import now


@dataclass
class Plan:
    """The steps of every stage of a run, those done, and the seconds that a step takes.

    Args:
        steps: the number of steps by stage, in order; a stage that may end early counts in full.
        seconds_per_step: the mean of a stage's measured steps; a stage not begun takes the rate of the latest one.
        after_seconds: what follows the last stage, scores and report.
    """

    steps: dict[str, int]
    done: dict[str, float] = field(default_factory=dict)
    seconds_per_step: dict[str, float] = field(default_factory=dict)
    after_seconds: float = 0.0

    def advance(self, stage: str, step: float, seconds_per_step: float) -> None:
        """Say that `step` steps of `stage` are done, at `seconds_per_step`."""
        self.done[stage] = step
        self.seconds_per_step[stage] = seconds_per_step

    def finish(self, stage: str, *, next_steps: Mapping[str, int] | None = None) -> None:
        """Say that `stage` ended where it is, and what that settles about the stages to come."""
        self.steps[stage] = int(self.done.get(stage, 0))
        self.steps.update(next_steps or {})

    def total(self) -> int | None:
        """Return the steps of all stages; None where those of one are to be what fits into a time budget."""
        return None if budget.AUTO in self.steps.values() else sum(self.steps.values())

    def seconds_left(self) -> float | None:
        """Return the seconds that the steps left take at the measured rates, and what follows them.

        None before the first measurement, and while time is still to decide how many steps there are.

        >>> plan = Plan({"select": 100, "refit": 50})
        >>> plan.advance("select", 40, 0.5)
        >>> plan.seconds_left()
        55.0
        """
        if not self.seconds_per_step or self.total() is None:
            return None
        latest = list(self.seconds_per_step.values())[-1]
        return self.after_seconds + sum(
            (steps - self.done.get(stage, 0)) * self.seconds_per_step.get(stage, latest)
            for stage, steps in self.steps.items()
        )


class Progress:
    """The line on standard error; leave a `with` block and it is gone or finished.

    Args:
        steps: the number of steps by stage, in order.
        unit: what a step is: round, epoch.
        after_seconds: see `Plan`.
        read: the source of time, replaced in tests.
    """

    def __init__(
        self, steps: dict[str, int], *, unit: str, after_seconds: float = 0.0, read: Callable[[], float] = now
    ) -> None:
        self.plan = Plan(dict(steps), after_seconds=after_seconds)
        self._read = read
        self._stage = ""
        self._since = 0.0
        self._first_step = 0.0
        self._warm = False
        # A log file gets a line every 10 s, a terminal a living one.
        interval = 0.2 if sys.stderr.isatty() else 10.0
        self._bar = tqdm(
            total=self.plan.total(),
            unit=unit,
            disable=not hosts.place().writes,
            mininterval=interval,
            bar_format="{desc} {n_fmt}/{total_fmt} {unit}s |{bar:20}| {elapsed} gone{postfix}",
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def begin(self, stage: str, *, step: int = 0) -> None:
        """Start the clock of `stage`, at `step` where a resumed run goes on."""
        self._stage, self._since, self._first_step = stage, self._read(), step
        self._warm = False
        self.plan.done[stage] = step
        self._bar.set_description_str(stage, refresh=False)
        self._draw("")

    def step(self, step: float, note: str) -> None:
        """Say that `step` steps of the stage are done, a part of a long one too; `note` is the score, in a word."""
        if step > self._first_step:
            self.plan.advance(self._stage, step, (self._read() - self._since) / (step - self._first_step))
        if not self._warm:  # the first steps compile, allocate and sketch: they say nothing about the rest
            self._warm, self._since, self._first_step = True, self._read(), step
        self._draw(note)

    def expect(self, steps: int) -> None:
        """Say that the stage is going to have `steps` steps."""
        self.plan.steps[self._stage] = steps

    def finish(self, *, next_steps: Mapping[str, int] | None = None) -> None:
        """Say that the stage is over, perhaps early, and what that settles about the stages to come."""
        self.plan.finish(self._stage, next_steps=next_steps)
        self._draw("")

    def _draw(self, note: str) -> None:
        left = self.plan.seconds_left()
        eta = "" if left is None else f", about {tqdm.format_interval(left)} left"
        self._bar.total = self.plan.total()
        self._bar.set_postfix_str(f"{eta.lstrip(', ')}{', ' if eta and note else ''}{note}", refresh=False)
        done = round(sum(self.plan.done.values()), 2)
        self._bar.update((int(done) if done == int(done) else done) - self._bar.n)


class Unseen(Progress):
    """A progress line that is not drawn, for trainings of a command that has a line of its own."""

    def __init__(self) -> None:
        self.plan = Plan({})

    def __exit__(self, *error: object) -> None:
        pass

    def begin(self, stage: str, *, step: int = 0) -> None:
        """Draw nothing."""

    def step(self, step: float, note: str) -> None:
        """Draw nothing."""

    def expect(self, steps: int) -> None:
        """Draw nothing."""

    def finish(self, *, next_steps: Any = None) -> None:
        """Draw nothing."""
