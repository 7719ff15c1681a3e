"""A run's time while it passes, on a clock that tests turn: predicted in time, and held below a ceiling."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline import budget, contention, hindsight, warm
from paceline.budget import Ceiling
from paceline.clock import Clock
from paceline.config import Section
from paceline.contention import Waited
from paceline.course import Course
from paceline.errors import PacelineError
from paceline.pace import Pace, Training
from paceline.probe import FORWARD_SHARE
from paceline.record import Run
from paceline.stretch import Stretch
from paceline.terms import After, Measured


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Return a machine whose cores nobody else wants, whatever this one is like."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contention, "now", Waited)
        yield


class Nothing(Section):
    """A configuration without a key."""


class World:
    """A run whose boosting takes what a test says.

    Args:
        folder: of the run.
        round_seconds: what a round takes, by its number.
        before: seconds until the training begins.
        after: seconds from its end to that of the run.
        most: rounds at most.
        seconds: of the ceiling; 0 for none.
        refit: whether a second training follows, without validation.
        data: what a pass goes through.
    """

    def __init__(
        self,
        folder: Path,
        round_seconds: Callable[[int], float],
        *,
        before: float = 5.0,
        after: float = 4.0,
        most: int = 600,
        seconds: float = 0.0,
        refit: bool = False,
        data: warm.Input = warm.UNKNOWN,
    ) -> None:
        self.reading = 0.0
        self.round_seconds, self.after, self.most, self.refit = round_seconds, after, most, refit
        folder.mkdir(parents=True, exist_ok=True)
        self.run = Run(folder, Nothing(), Clock(started=0.0, read=lambda: self.reading))
        self.reading = before
        trainings = [Training("select", most)]
        if refit:
            trainings.append(Training("refit", most, watched=False, follows="select"))
        limit = Ceiling(seconds, f"--time-budget {seconds:.0f}s") if seconds else None
        self.pace = Pace(self.run, trainings, after=After(Measured(after, 0.1)), ceiling=limit, data=data)

    def train(self) -> int:
        """Go through the run; return the rounds of the first training."""
        rounds = self._boost("select", self.most, watched=True)
        if self.refit:
            self._boost("refit", rounds, watched=False)
        self.reading += self.after
        return rounds

    def _boost(self, stage: str, most: int, *, watched: bool) -> int:
        course = Course("round", "validation_loss", larger_is_better=True, patience=0)
        self.pace.begin(stage, course, most=most, steps=1, validation_steps=0, trend=0.1)
        block, began, ends_at = 0, self.reading, 1e9
        while course.step < most and not course.ended:
            self.reading += self.round_seconds(course.step)
            course.step += 1
            block += 1
            if course.step in (1, most, int(ends_at)) or course.step % 10 == 0 or self.reading - began > 2:
                self.pace.observe(Stretch("steps", course.step, block, self.reading - began, course.step == 1))
                if watched:
                    took = 0.2 * (self.reading - began)
                    self.reading += took
                    self.pace.observe(Stretch("validation", course.step, block, took, course.step == 1))
                block, began = 0, self.reading
                ends_at = self.pace.end(course.step)
                if course.step < most and course.step + 1 > ends_at:
                    course.ended = budget.ENDED
        self.pace.ended()
        return course.step


def noisy(mean: float, spread: float, seed: int) -> Callable[[int], float]:
    """Return rounds that scatter around `mean`, and a first one that takes ten times as long."""
    rng = np.random.default_rng(seed)
    return lambda step: mean * (10 if step == 0 else 1) * float(np.exp(spread * rng.standard_normal()))


def test_a_prediction_is_in_the_record_before_the_outcome(tmp_path: Path) -> None:
    """On the disk, sealed, with an interval, phases, baselines; made in the first tenth."""
    world = World(tmp_path / "runs" / "a", noisy(0.1, 0.1, 0), refit=True)
    seen: list[float] = []
    world.pace.made = lambda made: seen.append(
        json.loads((world.run.folder / "run.json").read_text())["predictions"][-1]["p50_seconds"]
    )
    world.train()
    made = world.run.predictions[0]
    assert [made["p50_seconds"]] == seen
    assert hindsight.is_sealed(made)
    assert made["made_after_seconds"] < 0.15 * world.reading
    assert made["p05_seconds"] < made["p50_seconds"] < made["p95_seconds"]
    assert {"progress_bar", "first_epoch", "mean_step"} == set(made["baselines"])
    assert made["p50_seconds"] == pytest.approx(sum(made["phases"].values()), rel=0.03)
    assert world.reading == pytest.approx(made["p50_seconds"], rel=0.05)


def test_what_follows_is_foreseen_by_the_validations(tmp_path: Path) -> None:
    """A guess that is far off keeps no time free once an epoch was validated."""
    world = World(tmp_path / "runs" / "a", lambda step: 0.1, seconds=60.0, most=3000)
    world.pace.after = After(Measured(2.0), Measured(30.0, 0.4), in_validations=100.0)
    assert 32.0 == world.pace.finalise.seconds
    world.after = 2.0 + 100 * 0.02
    world.train()
    assert 4.0 == pytest.approx(world.pace.finalise.seconds, rel=0.05)
    assert 60.0 * 0.9 < world.reading < 60.0


def test_ninety_percent_intervals_cover_runs_on_a_machine_that_drifts(tmp_path: Path) -> None:
    """Of 80 runs whose machine moves by 3 % at random, 65 at least end inside, and the interval is no barn door."""
    inside, widths = 0, []
    for seed in range(80):
        drift = float(np.exp(0.03 * np.random.default_rng(1000 + seed).standard_normal()))
        rounds = noisy(0.1, 0.1, seed)
        world = World(tmp_path / "runs" / "a", lambda step, r=rounds, d=drift: r(step) * (d if step > 60 else 1))
        world.train()
        made = world.run.predictions[0]
        inside += made["p05_seconds"] <= world.reading <= made["p95_seconds"]
        widths.append((made["p95_seconds"] - made["p05_seconds"]) / made["p50_seconds"])
    assert 65 <= inside
    assert 0.25 > float(np.median(widths))


def test_a_run_that_fits_is_left_as_it_is(tmp_path: Path) -> None:
    """All rounds, and nothing changed."""
    world = World(tmp_path / "run", noisy(0.05, 0.1, 0), seconds=120)
    assert 600 == world.train()
    assert not world.run.budget.get("changed")


@settings(max_examples=40)
@given(
    st.integers(0, 10**6), st.floats(0.02, 0.5), st.sampled_from([40, 60, 90, 300]), st.booleans(), st.floats(0, 0.4)
)
def test_a_shortened_run_fills_its_ceiling_and_keeps_below(
    tmp_path_factory: pytest.TempPathFactory, seed: int, mean: float, seconds: float, refit: bool, spread: float
) -> None:
    """Whatever a round takes and however it scatters: never above, and nine tenths used."""
    folder = tmp_path_factory.mktemp("run") / "a"
    world = World(folder, noisy(mean, spread, seed), most=budget.AUTO, seconds=seconds, refit=refit)
    rounds = world.train()
    assert rounds >= 1
    assert world.run.budget["changed"]
    assert world.reading + 0.4 <= seconds
    assert world.reading + budget.exit_seconds() >= 0.9 * seconds - 2.5 * mean


@pytest.mark.parametrize("slower", [1.5, 3.0])
def test_a_slow_down_midway_stays_below_the_ceiling_and_is_said(
    tmp_path: Path, slower: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody else begins to use the machine: fewer rounds, one warning, a second prediction."""
    rounds = noisy(0.1, 0.05, 1)
    world = World(tmp_path / "run", lambda step: rounds(step) * (slower if step > 200 else 1), seconds=70)
    world.train()
    assert world.reading + 0.4 <= 70
    assert 0.9 * 70 <= world.reading + budget.exit_seconds()
    assert 1 == len(world.run.warnings)
    assert "times as long as when the run's time was predicted" in world.run.warnings[0]
    assert "revised" == world.run.predictions[-1]["kind"]
    assert "warning: Steps take" in capsys.readouterr().err


def test_no_time_to_train_is_said_at_once(tmp_path: Path) -> None:
    """Getting ready has used it up."""
    world = World(tmp_path / "run", noisy(0.1, 0.0, 0), seconds=10)
    with pytest.raises(PacelineError, match=r"^--time-budget 10s leaves no time to train: .* takes 10 s\. Give at"):
        world.train()


def test_cores_that_others_want_make_it_less_certain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for cores a third of the time has a wider interval: the others may go, or more of them come."""
    alone = World(tmp_path / "alone" / "a", noisy(0.1, 0.02, 0))
    alone.train()
    readings = iter([Waited()])
    monkeypatch.setattr(contention, "now", lambda: next(readings, Waited(ran=8.0, waited=4.0)))
    shared = World(tmp_path / "shared" / "a", noisy(0.1, 0.02, 0))
    shared.train()
    widths = [
        (made["p95_seconds"] - made["p05_seconds"]) / made["p50_seconds"]
        for made in (alone.run.predictions[0], shared.run.predictions[0])
    ]
    assert widths[1] > 2 * widths[0]
    assert [0.0, pytest.approx(1 / 3)] == [world.run.predictions[0]["waited_for_cores"] for world in (alone, shared)]


def test_others_that_come_midway_widen_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, before steps have become much slower: what is left may take longer than it would alone."""
    worlds: list[World] = []

    def now() -> Waited:
        reading = worlds[0].reading if worlds else 0.0
        return Waited(ran=reading, waited=max(0.0, reading - 30))

    monkeypatch.setattr(contention, "now", now)
    worlds.append(World(tmp_path / "runs" / "a", noisy(0.1, 0.02, 0)))
    worlds[0].train()
    first, contended = worlds[0].run.predictions
    assert ("wall", "contended") == (first["kind"], contended["kind"])
    assert 30 < contended["made_after_seconds"] < 42
    widths = [made["p95_seconds"] - made["p05_seconds"] for made in (first, contended)]
    assert widths[1] > 2 * widths[0]


def test_data_that_do_not_stay_in_memory_make_it_less_certain(tmp_path: Path) -> None:
    """Each pass reads them from the disk: the interval is wider, the record says so, and so does a warning."""
    worlds = []
    for name, free in (("warm", 8), ("cold", 2)):
        world = World(tmp_path / name / "a", noisy(0.1, 0.02, 0), data=warm.Input(4 * 2**30, free * 2**30))
        world.train()
        worlds.append(world)
    made = [world.run.predictions[0] for world in worlds]
    widths = [(each["p95_seconds"] - each["p05_seconds"]) / each["p50_seconds"] for each in made]
    assert widths[1] > 2 * widths[0]
    assert [False, True] == [each["input"]["cold"] for each in made]
    assert [0, 1] == [sum("more than the free memory" in text for text in world.run.warnings) for world in worlds]


def test_more_time_is_kept_for_the_end_where_others_want_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the time was waited for a core: scores and report will take half as long again."""
    readings = iter([Waited()])
    monkeypatch.setattr(contention, "now", lambda: next(readings, Waited(ran=8.0, waited=4.0)))
    world = World(tmp_path / "run", noisy(0.1, 0.02, 0), after=20.0, most=budget.AUTO, seconds=90)
    world.after = 30.0
    world.train()
    assert world.reading + 0.4 <= 90


@pytest.mark.parametrize("watched", [True, False])
def test_a_training_of_another_size_is_foreseen_by_the_one_before(watched: bool, tmp_path: Path) -> None:
    """Its step by the work of an epoch, less surely; its validation by a share of that where none was measured."""
    world = World(tmp_path / "runs" / "a", lambda step: 0.1, most=100)
    after = Training("large", 40, size=4.0, size_error=0.2, validation_share=0.5)
    world.pace.trainings = {"select": Training("select", 100, watched=watched), "large": after}
    world._boost("select", 50, watched=watched)
    found = {stage.name: stage for stage in world.pace.terms().stages}
    small, large = found["select"], found["large"]
    assert (40, 0.0) == (large.epochs, large.done)
    assert 4 * small.step.seconds == pytest.approx(large.step.seconds)
    assert large.step.error == pytest.approx(np.hypot(small.step.error, 0.2))
    guess = FORWARD_SHARE * large.step.seconds * 0.5
    assert (small.validation.seconds if watched else guess) == pytest.approx(large.validation.seconds)
