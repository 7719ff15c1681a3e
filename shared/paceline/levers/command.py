"""The command `levers` from top to bottom: probe, train to the same score, order, report, apply."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paceline import clock, device, duration
from paceline import config as configuration
from paceline.errors import PacelineError
from paceline.levers import apply, convergence, data_sizes, probe_run, sheet, turns
from paceline.levers.convergence import Trained
from paceline.levers.speed import Gain, of_turns
from paceline.levers.task import Config, Lever, Prepared, Task
from paceline.levers.turns import Handover, Side
from paceline.progress import Unseen

THROUGHPUT_SHARE = 0.4  # of the budget; where there is nothing else, all
LEAST_STEP_SECONDS = 100.0  # of the budget: looking at a step takes 5 to 15 s, and compiling it for two sizes
LEAST_PROBE_SECONDS = 3.0  # of a pair of sides: getting ready, and a few turns of a quarter of a second
MOST_SEEDS = 5
OUTPUT = Path("levers.html")


@dataclass
class Finding:
    """What was found of one lever.

    Attributes:
        lever: itself.
        in_use: whether the configuration has it already.
        speed: of a pass over the data.
        setup_seconds: by how much longer it takes until the first measured step.
        compared: see `convergence.compare`; empty where no training was made.
        reason: why nothing is known, in a sentence; empty where something is.
    """

    lever: Lever
    in_use: bool
    speed: Gain | None = None
    setup_seconds: float | None = None
    compared: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def gain(self) -> Gain | None:
        """The gain by which it takes its place: of a pass, or of the time to the same score."""
        return self.speed if self.lever.kind == "throughput" else self.compared.get("time_gain")

    def state(self) -> dict[str, Any]:
        """Return it as JSON types."""
        compared = {key: gain.state() if isinstance(gain, Gain) else gain for key, gain in self.compared.items()}
        return {
            "lever": self.lever.name,
            "kind": self.lever.kind,
            "in_use": self.in_use,
            "settings": dict(self.lever.settings),
            "without": dict(self.lever.without),
            "gain": None if self.gain is None else self.gain.state(),
            "speed": None if self.speed is None else self.speed.state(),
            "setup_seconds": self.setup_seconds,
            **compared,
            "risk": self.lever.risk,
            "reason": self.reason,
        }


def from_arguments(task: Task[Config, Prepared], config: Config, arguments: Namespace) -> dict[str, Any]:
    """Run the command `levers` as its arguments say; see `levers` and `data_sizes.measure`."""
    if arguments.data_sizes:
        if arguments.only or arguments.apply is not None:
            raise PacelineError("--data-sizes measures no lever.", "Leave out --only and --apply.")
        return data_sizes.from_arguments(task, config, arguments)
    answer = levers(
        task,
        config,
        budget_seconds=duration.seconds(arguments.time_budget),
        chosen=arguments.only or (),
        output=arguments.output or OUTPUT,
        runs_folder=arguments.runs,
    )
    if arguments.apply is not None:
        path = arguments.config or Path("config.toml")
        answer["applied"] = apply.apply(path, answer["levers"], arguments.apply)
    return {**sheet.shown(answer), **({} if not arguments.json else {"levers": answer["levers"]})}


def levers(
    task: Task[Config, Prepared],
    config: Config,
    *,
    budget_seconds: float,
    chosen: Sequence[str] = (),
    output: Path = OUTPUT,
    runs_folder: Path | None = None,
    started: float | None = None,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
) -> dict[str, Any]:
    """Measure what each lever brings, and leave a page and its JSON.

    Throughput levers are probed by turns; those that may cost quality, and convergence levers, are trained to their end
    with and without, seed by seed, as long as the budget lasts. What it does not suffice for is listed as unknown.

    Args:
        task: the project's side.
        config: what the levers are compared with.
        budget_seconds: for all of it, preparing the data included.
        chosen: the names of the levers to measure; empty: all.
        output: where the page is written, its JSON beside it.
        runs_folder: where reports of later runs find the findings too; None: nowhere.
        started: the performance counter's reading that the budget counts from; the present one by default.
        say: is given a line as each lever is begun.

    Returns:
        `levers`, a row for each as `Finding.state` gives it, the best first in each kind; `step_times` of a network,
        see `step_probe.probe`, None where the budget was too short; `wall_seconds`, `sheet`.

    Raises:
        PacelineError: a chosen lever is not known, the device cannot be used, or the data cannot be prepared.
    """
    started = clock.now() if started is None else started
    until = started + budget_seconds
    task.refuse_early(config)
    findings = [Finding(lever, _in_use(config, lever)) for lever in _chosen(task.levers(config), chosen)]
    say("levers: preparing the data")
    prepared = task.prepare(config)
    step_times = _step_times(task, prepared, config, until, say)
    throughput = [each for each in findings if each.lever.kind == "throughput"]
    left = until - clock.now()
    share = THROUGHPUT_SHARE if len(throughput) < len(findings) else 1.0
    for place, each in enumerate(throughput):
        seconds = max(0.0, left * share - (clock.now() - until + left)) / (len(throughput) - place)
        _probe(task, prepared, config, each, seconds, say)
    judged = [each for each in findings if each.lever.kind == "convergence"]
    judged += [each for each in throughput if each.lever.risk and _gains(each)]
    _train_all(task, prepared, config, judged, until, say)
    ordered = sorted(findings, key=lambda each: (each.lever.kind != "throughput", -_value(each.gain)))
    answer = {
        "levers": [each.state() for each in ordered],
        "step_times": step_times,
        "score": task.monitor.removeprefix("validation_"),
        "budget_seconds": budget_seconds,
        "hardware": device.hardware(),
        "config": configuration.shown(config),
        "wall_seconds": clock.now() - started,
    }
    return {**answer, "sheet": sheet.write(answer, output, runs_folder)}


def _chosen(known: Sequence[Lever], names: Sequence[str]) -> list[Lever]:
    unknown = [name for name in names if name not in {lever.name for lever in known}]
    if unknown:
        listed = ", ".join(f"'{lever.name}'" for lever in known)
        raise PacelineError(f"There is no lever '{unknown[0]}' for this configuration.", f"There are {listed}.")
    return [lever for lever in known if not names or lever.name in names]


def _in_use(config: Config, lever: Lever) -> bool:
    return bool(configuration.replace(config, lever.settings, source="levers") == config)


def _sides(config: Config, lever: Lever, further: Mapping[str, Any]) -> tuple[Config, Config]:
    """Return the configurations without the lever and with it."""
    without = configuration.replace(config, {**lever.without, **further}, source="levers")
    return without, configuration.replace(config, {**lever.settings, **further}, source="levers")


def _step_times(
    task: Task[Config, Prepared], prepared: Prepared, config: Config, until: float, say: Callable[[str], None]
) -> dict[str, Any] | None:
    if not task.of_network(config) or until - clock.now() < LEAST_STEP_SECONDS:
        return None
    from paceline.levers import step_probe  # here, for boosting needs no Keras

    say("levers: what a step waits for")
    try:
        return step_probe.probe(task, prepared, config)
    except PacelineError as error:  # the levers, which are what was asked for, may still train
        say(f"levers: {error}")
        return None


def _probe(
    task: Task[Config, Prepared],
    prepared: Prepared,
    config: Config,
    found: Finding,
    seconds: float,
    say: Callable[[str], None],
) -> None:
    if found.in_use and not found.lever.without:
        found.reason = "It is in use, and nothing says what to compare it with."
        return
    if seconds < LEAST_PROBE_SECONDS:
        found.reason = "The time budget was too short to probe it."
        return
    say(f"levers: {found.lever.name}, {seconds:.0f} s of turns")

    def side(settings: Config) -> Side:
        def train(handover: Handover) -> None:
            with probe_run.opened(settings) as run:
                run.pace = handover
                task.train(prepared, settings, run, Unseen())

        return Side(train)

    try:
        without, having = (side(settings) for settings in _sides(config, found.lever, task.lasting(config)))
        found.speed = of_turns(turns.pairs(without, having, seconds=seconds))
        found.setup_seconds = having.setup_seconds - without.setup_seconds
    except PacelineError as error:
        found.reason = str(error)
        return
    if found.speed is None:
        found.reason = "The training was over before two turns of each side."


def _train_all(
    task: Task[Config, Prepared],
    prepared: Prepared,
    config: Config,
    findings: Sequence[Finding],
    until: float,
    say: Callable[[str], None],
) -> None:
    """Train every lever's sides seed by seed, those that are the same once, until time is up."""
    made: dict[tuple[str, int], Trained] = {}

    def trained(settings: Config, seed: int) -> Trained | None:
        """Return the training, made now if there is time for one as long as the longest so far; else None."""
        key = (settings.model_dump_json(), seed)
        if key not in made:
            longest = max((each.seconds for each in made.values()), default=0.0)
            if clock.now() + longest >= until:
                return None
            made[key] = convergence.train(task, prepared, settings, seed=seed, until=until)
        return None if made[key].cut else made[key]

    pairs: dict[int, list[list[Trained]]] = {place: [] for place in range(len(findings))}
    for seed in range(MOST_SEEDS):
        for place, each in enumerate(findings):
            if each.reason or len(pairs[place]) < seed or clock.now() >= until:
                continue
            say(f"levers: {each.lever.name}, seed {seed}, {max(0.0, until - clock.now()):.0f} s left")
            try:
                sides = [trained(settings, seed) for settings in _sides(config, each.lever, {})]
            except PacelineError as error:
                each.reason = str(error)
                continue
            known = [side for side in sides if side is not None and side.rows]
            if len(known) == 2:
                pairs[place].append(known)
    for place, each in enumerate(findings):
        if pairs[place]:
            without, having = zip(*pairs[place], strict=True)
            each.compared = convergence.compare(without, having)
        elif not each.reason and each.lever.kind == "convergence":
            each.reason = "The time budget was too short to train it to the end, with and without."


def _gains(found: Finding) -> bool:
    return found.speed is not None and found.speed.value > 1


def _value(gain: Gain | None) -> float:
    return -1.0 if gain is None else gain.value
