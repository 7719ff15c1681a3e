"""A run's time while it passes: measured as training goes on, predicted before it is known, held below its ceiling.

A template tells `Pace` which trainings a run will have and what follows them; `fit_xgboost` and `fit_keras` tell it
about every stretch of training, through `run.pace`. It measures nothing itself and delays nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from paceline import budget, contention, device, estimate, forecast, hindsight, terms, warm
from paceline.budget import Ceiling
from paceline.course import Course
from paceline.estimate import Prediction
from paceline.forecast import Forecast
from paceline.probe import FORWARD_ERROR, FORWARD_SHARE, Probe
from paceline.record import Run
from paceline.stretch import Stretch
from paceline.terms import After, Measured, Stage, Terms

ENGINES = {"round": "xgboost", "epoch": "keras", "fit": "scikit-learn"}
# Beyond what compiles, before a prediction is made; fewer where training has gone on for a minute: then what is seen
# of a step, and how it varies, makes the interval.
LEAST_STEPS = {"round": 20, "epoch": 1, "fit": 1}
PROBE_SECONDS = 60.0
PROBE_SHARE = 0.1  # or this share of the run, or
PRECISE = 0.02  # once the half-width of the 90 % interval of the mean step is below this
Z90 = 1.645
DRIFT = 0.03  # of a quiet machine's speed; what is measured while probing is added
CONTENDED = 0.5  # of the logarithm of what waiting for cores costs: others may go, or more of them come
MOST_DRIFT = 0.25  # steps of milliseconds vary by more, which says nothing about the machine's speed
SECOND_LOOK = 0.1  # of the most epochs, when more is known of an early end
WINDOW_SECONDS = 10.0  # over which a slow-down has to last
SLOWER = 1.3  # times as long as predicted is worth a warning
RISEN = 0.25  # more of the time spent waiting for cores than when the prediction was made: others have come


@dataclass(frozen=True)
class Training:
    """A training that a run is going to have.

    Attributes:
        name: its stage.
        most: epochs or rounds at most.
        watched: whether a validation score is computed after each epoch.
        size: the work of an epoch over that of the first training's: its rows, or the pixels of them.
        size_error: relative, of a step's time where it is taken from that of a training of another size.
        validation_share: the work of its validation over that of its training, for a guess before one is measured.
        follows: the training that settles how many epochs it takes; empty: it takes `most`.
    """

    name: str
    most: int
    watched: bool = True
    size: float = 1.0
    size_error: float = 0.02
    validation_share: float = 0.0
    follows: str = ""


class Pace:
    """Follows the trainings of one run; see the module.

    Args:
        run: whose clock is read and whose `predictions` and `budget` are filled.
        trainings: in the order in which they come.
        after: what is to come after them, scores and report, computed; the project's runs correct it.
        ceiling: the most wall time of the run; None where it may take what it takes.
        checkpoint_seconds: as configured.
        data: what each pass goes through, and whether it stays in memory.
        history: the folder of the project's runs; the one that holds this run's by default.
        target: a score whose time is to be predicted.
        made: is given each prediction once it is in the record.
    """

    def __init__(
        self,
        run: Run,
        trainings: Sequence[Training],
        *,
        after: After,
        ceiling: Ceiling | None = None,
        checkpoint_seconds: float = 30.0,
        data: warm.Input = warm.UNKNOWN,
        history: Path | None = None,
        target: float | None = None,
        made: Callable[[dict[str, Any]], None] = lambda prediction: None,
    ) -> None:
        self.data = data
        if data.cold():
            run.warn(data.sentence())
        self.run, self.trainings = run, {each.name: each for each in trainings}
        self.ceiling, self.checkpoint_seconds, self.target, self.made = ceiling, checkpoint_seconds, target, made
        self.history = run.folder.parent if history is None else history
        self.after, self._learned = after, self._of_earlier_runs()
        self.probes: dict[str, Probe] = {}
        self.stage = ""
        self.course: Course | None = None
        self.predicted: Terms | None = None
        self._past: set[str] = set()
        self._began = self._building = self._beside = 0.0  # when the first began; what was built for it, and prepared
        self._first_epoch = 0.0
        self._waited = contention.Waited()
        self._looked_again = False
        self._warned = False
        self._disturbed = 0.0  # the share of its time that it waited for cores when others had come
        self._recent: deque[tuple[float, float]] = deque()  # seconds of blocks, and what was expected of them

    @property
    def finalise(self) -> Measured:
        """What follows the trainings, as the project's runs have it where there are any."""
        computed = self._computed_finalise()
        if self._learned is None:
            return computed
        times, error = self._learned
        return Measured(computed.seconds * times, error)

    def _computed_finalise(self) -> Measured:
        answered = [probe.validation() for probe in self.probes.values() if probe.validations]
        return self.after.total(answered[-1] if answered else None)

    def _of_earlier_runs(self) -> tuple[float, float] | None:
        """Return how many times as long as computed it took in the project's runs, and the error of that."""
        with self.run.phase("estimate"):
            model = self.run.config.model_dump(mode="json").get("model", {})
            return hindsight.after_training(hindsight.records(self.history), model, device.hardware())

    def begin(
        self, stage: str, course: Course, *, most: int, steps: int, validation_steps: int, trend: float | None
    ) -> None:
        """Say that a training begins, or goes on.

        Args:
            stage: its name.
            course: its course, whose scores are read as they come.
            most: epochs or rounds at most.
            steps: training steps in an epoch; 1 in boosting.
            validation_steps: see `Probe`.
            trend: see `Probe`.

        Raises:
            PacelineError: the ceiling leaves no time to train at all.
        """
        names = list(self.trainings)
        self._past |= set(names[: names.index(stage)] if stage in names else names)
        if not self._began:
            self._began, self._building = self.run.clock.elapsed(), self.run.clock.spans().get("build", 0.0)
            self._waited = contention.now()
            self._lately = contention.Lately(read=self.run.clock.elapsed, look=contention.now)
        self.stage, self.course = stage, course
        # A resumed training may have forgotten how often it was cut; whole epochs are near enough.
        self.probes[stage] = Probe(
            unit=course.unit, steps=steps, validation_steps=validation_steps, trend=trend, most=most
        )
        self.probes[stage].done = float(course.step)
        self.trainings[stage] = replace(self.trainings.get(stage, Training(stage, most)), most=most)
        if self.ceiling is not None and self.left_seconds() <= 0:
            needed = self.run.clock.elapsed() + self.finalise.seconds + budget.exit_seconds()
            raise budget.too_little(self.ceiling, needed, "getting ready, scoring and the report")

    def observe(self, stretch: Stretch) -> None:
        """Take in a stretch of the training under way; predict the run's time where that is due."""
        probe = self.probes[self.stage]
        probe.add(stretch)
        if not self._first_epoch:
            self._first_epoch = self._first(stretch, probe)
        if self.predicted is None:
            if self._ready(probe):
                self._predict("wall")
        elif stretch.kind == "steps":
            self._look_again(probe)
            self._watch_cores()
            self._watch_speed(stretch)

    def end(self, done: float) -> float:
        """Return the epoch (or part of one), or round, at which the training under way ends: `most`, or what fits.

        Args:
            done: epochs or rounds that are done, and were not taken back; an answer below that means at once.
        """
        planned, probe = self.trainings[self.stage], self.probes[self.stage]
        probe.done = done
        if self.ceiling is None:
            return planned.most
        stage, left = self._stage(planned), self.left_seconds()
        if not probe.blocks and left > stage.step.seconds:  # nothing but what compiles was measured
            return budget.FIRST_GUESS if planned.most == budget.AUTO else planned.most
        if probe.blocks and probe.recent() > stage.step.seconds:  # the machine has slowed down: expect no better
            stage = replace(stage, step=Measured(probe.recent()))
        following = [self._stage(each) for each in self._to_come()]  # each takes as many epochs, at most
        left -= (self._building + self._beside) * len(following)
        fits = budget.epochs_that_fit(left, stage, following)
        if fits < planned.most:
            asked = "auto" if planned.most == budget.AUTO else planned.most
            self.run.budget[self.stage] = {"epochs_asked": asked, "epochs_that_fit": round(max(fits, done), 3)}
        else:
            self.run.budget.pop(self.stage, None)
        return fits

    def ended(self) -> None:
        """Say that the training under way is over; the last moment for a prediction."""
        if self.course is not None and self.course.ended.startswith(budget.ENDED):
            self.run.budget["changed"] = True
        if self.predicted is None and (self.probes[self.stage].blocks or self.probes[self.stage].compiled):
            self._predict("wall")

    def beside(self, seconds: float) -> None:
        """Take in what a training took that prepares one of those followed; each of these is to have one as long."""
        self._beside = seconds

    def left_seconds(self) -> float:
        """Return the seconds that the ceiling leaves for training; infinitely many where there is none."""
        if self.ceiling is None:
            return math.inf
        # Other work that holds the cores now will slow what follows as well.
        slower = contention.slower(self._contention())
        return budget.left_for_training(self.ceiling, self.run.clock.elapsed(), self.finalise.scaled(slower))

    def _first(self, stretch: Stretch, probe: Probe) -> float:
        """Return the seconds of the first epoch once it is over."""
        if probe.unit != "epoch":
            return stretch.seconds / max(1, stretch.steps)
        return stretch.seconds if stretch.kind == "epoch" else 0.0

    def _ready(self, probe: Probe) -> bool:
        steps = sum(block.steps for block in probe.blocks)
        if not steps:
            return False
        fit_seconds = self.run.clock.elapsed() - self._began
        if fit_seconds >= PROBE_SECONDS:
            return True
        if steps < LEAST_STEPS[probe.unit] * probe.steps or (self._watched() and not probe.validations):
            return False
        precise = Z90 * probe.step().error < PRECISE
        return precise or fit_seconds >= PROBE_SHARE * sum(self.terms().seconds().values())

    def _watched(self) -> bool:
        return self.course is not None and self.trainings[self.stage].watched

    def terms(self, ends: Mapping[str, forecast.Floats] | None = None) -> Terms:
        """Return the terms of the run's time as they are known now."""
        stages = [self._stage(self.trainings[self.stage]), *(self._stage(each) for each in self._to_come())]
        spent = terms.by_phase(self.run.clock.phases())
        probe = self.probes[self.stage]
        drift = min(MOST_DRIFT, float(np.hypot(DRIFT, probe.step().error))) if probe.blocks else 0.5
        drift = float(np.hypot(drift, CONTENDED * np.log(contention.slower(self._contention()))))
        drift = float(np.hypot(drift, warm.COLD_ERROR if self.data.cold() else 0.0))
        building = Measured((self._building + self._beside) * (len(stages) - 1), 0.3)
        return Terms(spent, tuple(stages), self.finalise, building, drift, ends or {})

    def _contention(self) -> float:
        """Return the share of the training's time so far, or since others came, that it waited for a core."""
        return self._disturbed or contention.now().share_since(self._waited)

    def _to_come(self) -> list[Training]:
        return [each for name, each in self.trainings.items() if name not in self._past and name != self.stage]

    def _stage(self, planned: Training) -> Stage:
        """Return a training as measured, or, before it begins, as the one under way with its rows scaled."""
        probe = self.probes.get(planned.name) or self.probes[self.stage]
        stage = probe.stage(planned.name, checkpoint_every_seconds=self.checkpoint_seconds)
        if probe is self.probes.get(planned.name) and not probe.blocks and self._past:
            stage = self._from_before(planned, stage)  # nothing measured yet: what the training before took
        if planned.name in self.probes:
            return replace(stage, epochs=planned.most)
        here = self.trainings[self.stage]
        epochs = min(planned.most, here.most) if planned.follows else planned.most
        return replace(_resized(stage, here, planned), epochs=epochs, done=0.0)

    def _from_before(self, planned: Training, stage: Stage) -> Stage:
        name = next(reversed([each for each in self.probes if each != planned.name and self.probes[each].blocks]), "")
        if not name:
            return stage
        before = self.probes[name].stage(planned.name, checkpoint_every_seconds=self.checkpoint_seconds)
        compiled = Measured() if stage.done else before.compile
        return replace(_resized(before, self.trainings[name], planned), done=stage.done, compile=compiled)

    def _predict(self, kind: str) -> None:
        course, planned, probe = self.course, self.trainings[self.stage], self.probes[self.stage]
        assert course is not None  # noqa: S101 -- `begin` came first
        engine = f"{ENGINES[course.unit]}-{self.run.device.get('kind', 'cpu')}"
        known, ends = None, {}
        if planned.watched and (course.patience or self.target is not None) and not course.ended:
            known = self._foresee(course, planned)
            ends = {self.stage: known.ends}
            ends |= {each.name: known.kept for each in self._to_come() if each.follows == self.stage}
        elif course.ended:
            kept = np.array([float(course.kept())])
            ends = {each.name: np.repeat(kept, 400) for each in self._to_come() if each.follows == self.stage}
            ends[self.stage] = np.full(400, float(probe.done))
        found = self.terms(ends)
        epochs = sum(each.most if not each.follows else planned.most for each in self.trainings.values())
        prediction = estimate.predict(
            found,
            baselines=estimate.baselines(
                before_seconds=self._began,
                fit_seconds=self.run.clock.elapsed() - self._began,
                done=probe.done,
                epochs=epochs,
                first_epoch_seconds=self._first_epoch or (self.run.clock.elapsed() - self._began),
                step_epoch=probe.step().seconds * probe.steps,
            ),
            forecast=known,
            target=self._target(known, found),
            outcomes=hindsight.of_runs(self.history, engine) if kind == "wall" else (),
        )
        if kind != "contended":  # what others cost is not what the steps were measured to take
            self.predicted = found
        self._keep(kind, engine, prediction)

    def _keep(self, kind: str, engine: str, prediction: Prediction) -> None:
        """Seal the prediction and put it into the record on disk, before anything else happens."""
        made = {
            "kind": kind,
            "of": engine,
            "stage": self.stage,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "made_after_seconds": self.run.clock.elapsed(),
            "finalise_computed_seconds": self._computed_finalise().seconds,
            "waited_for_cores": self._contention(),
            "input": self.data.state(),
            **prediction.state(),
        }
        with self.run.phase("estimate"):
            self.run.predictions.append(hindsight.seal(made))
            self.run.save()
        self.made(self.run.predictions[-1])

    def _foresee(self, course: Course, planned: Training) -> Forecast:
        histories = [record.get("history") or {} for record in hindsight.records(self.history)]
        earlier = [
            [float(row.get(course.monitor) or np.nan) for row in history.get("rows", [])]
            for history in histories
            if history.get("monitor") == course.monitor and history.get("step_unit") == course.unit
        ]
        most = planned.most if planned.most != budget.AUTO else 20 * max(budget.FIRST_GUESS, course.step)
        return forecast.foresee(
            [float(row[course.monitor]) for row in course.rows if course.monitor in row],
            most=most,
            patience=course.patience,
            larger_is_better=course.larger_is_better,
            target=self.target,
            earlier=[scores for scores in earlier if scores and np.all(np.isfinite(scores))],
        )

    def _target(self, known: Forecast | None, found: Terms) -> dict[str, Any]:
        if self.target is None or known is None:
            return {}
        if known.reach_probability is None:
            assert self.course is not None  # noqa: S101 -- `known` was foreseen from it
            return {"score": self.target, "abstains": f"{len(self.course.rows)} scores are too few"}
        answer: dict[str, Any] = {"score": self.target, "probability": known.reach_probability}
        if known.reach_probability > 0.5:
            stage = found.stages[0]
            epochs = float(np.median(known.reached[np.isfinite(known.reached)])) - stage.done
            answer["p50_seconds"] = self.run.clock.elapsed() + max(0.0, epochs) * stage.epoch_seconds(stage.done)
        return answer

    def _look_again(self, probe: Probe) -> None:
        """Predict again, once, when a tenth of the training has shown more of its curve."""
        course, planned = self.course, self.trainings[self.stage]
        due = not self._looked_again and not self._past and probe.done >= SECOND_LOOK * planned.most
        if due and course is not None and course.patience and not course.ended:
            self._looked_again = True
            if self.run.predictions[0]["stopping"].get("abstains"):
                self._predict("second")

    def _watch_cores(self) -> None:
        """Predict again, once, when other work has begun to want the cores, with all that it may cost."""
        waiting = self._lately()
        if not self._disturbed and waiting > self.run.predictions[0]["waited_for_cores"] + RISEN:
            self._disturbed = waiting
            self._predict("contended")

    def _watch_speed(self, stretch: Stretch) -> None:
        """Warn, once, and predict again when steps take much longer than when the prediction was made."""
        stage = next((each for each in (self.predicted or self.terms()).stages if each.name == self.stage), None)
        if stage is None or stretch.compiled:
            return
        grown = max(terms.LEAST_GROWN, 1 + stage.growth * (stretch.epoch - stage.measured_at))
        self._recent.append((stretch.seconds, stretch.steps * stage.step.seconds * grown))
        while sum(seconds for seconds, _ in self._recent) - self._recent[0][0] >= WINDOW_SECONDS:
            self._recent.popleft()
        took, expected = (sum(pair[place] for pair in self._recent) for place in (0, 1))
        if self._warned or took < WINDOW_SECONDS or took < SLOWER * expected:
            return
        self._warned = True
        probe = self.probes[self.stage]
        probe.blocks = probe.blocks[-len(self._recent) :]  # only what is true now
        self._predict("revised")
        at = self.run.predictions[-1]["p50_seconds"]
        self.run.warn(
            f"Steps take {took / expected:.1f} times as long as when the run's time was predicted: something else may "
            f"be using this machine, or it is throttled. The run is now expected to take {at:.0f} s."
        )


def _resized(stage: Stage, measured: Training, planned: Training) -> Stage:
    """Return `stage`, measured in one training, with the times that another one is to have."""
    step = stage.step.scaled(planned.size / measured.size, planned.size_error)
    validation = Measured()
    if planned.watched and measured.watched:
        validation = stage.validation
    elif planned.watched:
        validation = step.scaled(FORWARD_SHARE * stage.steps * planned.validation_share, FORWARD_ERROR)
    return replace(stage, step=step, validation=validation)
