"""A predicted run under other conditions: settings, rows, epochs, devices, another machine, what it costs there.

Other settings are measured, by the first steps of a run with them. For the rest every phase of a prediction is scaled
by what it depends on. On another machine the training's shares (`explain.shares`) are each scaled by the ratio of the
microbenchmarks that stand for them, as Habitat does (Yu et al. 2021); what is not known of a ratio widens the interval.
Several devices divide a network's batches, and exchange its gradients after each: their bytes over the bandwidth
between them, which a backward pass may hide. Boosting and regression take one machine and one device of it, however
many are paid for; on a cluster (`--scheduler`) boosting was not predicted and is not guessed at. With other numbers of
rows a pass takes in proportion, or, of boosting, as much as short probes on shares of the rows show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paceline import warm
from paceline.errors import PacelineError
from paceline.machines import Machine
from paceline.report import format as fmt

# What each kind of work is measured by, the first that both machines have.
MEASURED_BY = {
    "compute": ("convolution_gflops", "matmul_gflops"),
    "memory": ("memory_gb_per_second",),
    "launch": ("launches_per_second",),
    "input": ("decoded_images_per_second", "python_loops_per_second"),
    "trees": ("histogram_rows_per_second", "memory_gb_per_second"),
    "host": ("python_loops_per_second",),
}
Z90 = 1.645
MODEL_ERROR = 0.12  # of the logarithm: shares and benchmarks describe a step no better, both machines measured
SHEET_ERROR = 0.5  # a data sheet's peak: what share of it a program reaches is not known
SUBSTITUTE_ERROR = 0.3  # trees by memory, input by Python
UNKNOWN_ERROR = 0.5  # no benchmark of the two machines fits: taken as equally fast
DEVICES_ERROR = (
    0.15  # per doubling: a smaller share is computed less efficiently, and the fastest waits for the slowest
)
EXCHANGE_ERROR = 0.5  # of the exchange: a backward pass may hide it, a network be slower than it is called
UNKNOWN_EXCHANGE_ERROR = 0.3  # of the training, where the gradients' size is not known
DIVIDED = ("compute", "memory")  # among devices
LINK_GB_PER_SECOND = 12.0  # each way between devices of a machine where the table says nothing: PCIe 3, 16 lanes
NETWORK_GB_PER_SECOND = 1.25  # each way between machines, 10 Gbit/s, unless the question says otherwise
GRADIENT_BYTES = 4  # of a parameter; gradients are summed in float32
ROWS_ERROR = 0.1  # per factor of e in rows: caches, and what grows a little more or less than in proportion
GROWING = ("setup", "training", "validation", "finalise")  # with the rows
REPEATED = ("training", "validation", "checkpoint")  # with the epochs
LARGER = " (more than the free memory)"
FIXED_SHARE = 0.5  # of setup and finalise: imports and the report take the same for any number of rows


# Given how many times the rows, how many times as long a pass takes, and the error of the logarithm of that.
Growth = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Change:
    """What is to be different.

    Attributes:
        rows: times as many.
        epochs: times as many, or rounds.
        machine: another one; None: the same.
        devices: times as many machines, of the same kind, that train together.
        network_gb_per_second: each way between them.
        settings: of the configuration, as after `--set`.
    """

    rows: float = 1.0
    epochs: float = 1.0
    machine: Machine | None = None
    devices: int = 1
    network_gb_per_second: float = NETWORK_GB_PER_SECOND
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The change in words."""
        parts = [f"{key} = {value}" for key, value in self.settings]
        parts += [f"{self.rows:g} × the rows"] if self.rows != 1 else []
        parts += [f"{self.epochs:g} × the epochs"] if self.epochs != 1 else []
        network = f" over {8 * self.network_gb_per_second:g} Gbit/s"
        parts += [f"{self.devices} × the devices{network}"] if self.devices != 1 else []
        parts += [self.machine.name] if self.machine is not None else []
        return ", ".join(parts) or "as configured, here"


USUAL = (Change(), Change(rows=0.5), Change(rows=2.0), Change(rows=10.0), Change(epochs=0.5), Change(epochs=2.0))


@dataclass(frozen=True)
class Exchange:
    """What devices that train together have to tell each other.

    Attributes:
        divides: whether the engine divides its work among devices; boosting on one machine does not.
        gigabytes: of gradients, over all steps of the run; None where that is not known.
    """

    divides: bool = True
    gigabytes: float | None = None


@dataclass(frozen=True)
class Answer:
    """The wall time under a change, with its 90 % interval, in seconds; its cost at the price of so many machines.

    The note says in the change's words what else to know; `by_rows`, whether shares of the rows were measured.
    """

    change: Change
    seconds: float
    low: float
    high: float
    note: str = ""
    by_rows: bool = False

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        machine = self.change.machine
        found: dict[str, Any] = {
            "what_if": f"{self.change.name}{self.note}",
            "time": fmt.duration(self.seconds),
            "90_%_interval": f"{fmt.duration(self.low)} to {fmt.duration(self.high)}",
            "cost": "-",
            "known_by": self._known_by(),
        }
        if machine is not None and machine.price_per_hour is not None:
            costs = [
                fmt.number(each / 3600 * machine.price_per_hour * self.change.devices, 2)
                for each in (self.seconds, self.low, self.high)
            ]
            found["cost"] = f"{costs[0]} ({costs[1]} to {costs[2]}) {machine.currency}"
        return found

    def _known_by(self) -> str:
        if self.change.machine is not None:
            return "measured there" if self.change.machine.measured else "data sheet"
        known = "first steps with them" if self.change.settings else "this machine"
        return f"{known}, on shares of the rows" if self.by_rows else known


def answers(
    prediction: Mapping[str, Any],
    shares: Mapping[str, float],
    changes: Sequence[Change],
    here: Machine,
    exchange: Exchange = Exchange(),
) -> list[Answer]:
    """Return what each of `changes` would make of a predicted run.

    Args:
        prediction: as the record has it: `phases`, and the quantiles of the wall time.
        shares: of the training time by kind of work, see `explain.shares`.
        changes: what is to be different.
        here: the machine that the prediction is of.
        exchange: see `exchange_of`.
    """
    return [_answer(prediction, shares, change, here, exchange) for change in changes]


def exchange_of(record: Mapping[str, Any], prediction: Mapping[str, Any] | None = None) -> Exchange:
    """Return what the run of `record` would have to exchange among devices; a `prediction` knows its steps to come."""
    of, unit = str((prediction or {}).get("of", "")), (record.get("history") or {}).get("step_unit")
    if of.partition("-")[0] in ("xgboost", "scikit") or unit in ("round", "fit"):
        return Exchange(divides=False)
    stages = ((prediction or {}).get("terms") or {}).get("stages") or {}
    size = 0.0
    for name, each in (record.get("training") or {}).items():
        if not isinstance(each, Mapping):
            continue
        stage = stages.get(name)
        steps = each.get("steps") if stage is None else stage["epochs"] * stage["steps"]
        size += GRADIENT_BYTES * float(each.get("trainable_parameters") or 0) * float(steps or 0)
    return Exchange(gigabytes=size / 1e9 or None)


def parse(texts: Sequence[str], known: Sequence[Machine]) -> list[Change]:
    """Return the changes that texts ask for, here and on each machine; without any, the usual ones and all machines.

    A text is `rows=10`, `rows=2,epochs=0.5`, `devices=8`, `devices=8,network_gb_per_second=12.5`, or names settings:
    `model.name=base,train.batch_size=64`.

    Raises:
        PacelineError: a text has another form.
    """
    if not texts:
        return [*USUAL, *(Change(machine=machine) for machine in known)]
    found = []
    for text in texts:
        one = _change(text)
        found += [one, *(replace(one, machine=machine) for machine in known)]
    return found


def _change(text: str) -> Change:
    one = Change()
    for part in text.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        if "." in name and value:
            one = replace(one, settings=(*one.settings, (name, value)))
            continue
        try:
            times = float(value)
            if not 0 < times < math.inf or (name == "devices" and times != int(times)):
                raise ValueError
            one = _times(one, name, times)
        except ValueError:
            raise PacelineError(
                f"--what-if got '{text}'.",
                "Write it like rows=10, rows=2,epochs=0.5, devices=8 or train.batch_size=64.",
            ) from None
    return one


def _times(change: Change, name: str, times: float) -> Change:
    if name == "rows":
        return replace(change, rows=times)
    if name == "epochs":
        return replace(change, epochs=times)
    if name == "devices":
        return replace(change, devices=int(times))
    if name == "network_gb_per_second":
        return replace(change, network_gb_per_second=times)
    raise ValueError(name)


def speed(shares: Mapping[str, float], here: Machine, there: Machine) -> tuple[float, float]:
    """Return how many times as long training takes there, and the error of the logarithm of that.

    >>> a = Machine("a", "cpu", {"matmul_gflops": 100.0, "memory_gb_per_second": 10.0})
    >>> b = Machine("b", "cpu", {"matmul_gflops": 400.0, "memory_gb_per_second": 20.0})
    >>> times, error = speed({"compute": 0.5, "memory": 0.5}, a, b)
    >>> times, error
    (0.375, 0.12)
    """
    times, variance = 0.0, MODEL_ERROR**2
    for work, share in shares.items():
        ratio, error = _ratio(work, here, there)
        times += share / ratio
        variance += (share * error) ** 2
    return times, math.sqrt(variance)


def _ratio(work: str, here: Machine, there: Machine) -> tuple[float, float]:
    """Return how many times as fast one kind of work is there, and what is not known of it."""
    names = MEASURED_BY[work]
    name = next((name for name in names if name in here.benchmarks and name in there.benchmarks), "")
    if not name:
        return 1.0, UNKNOWN_ERROR
    error = 0.0 if name == names[0] or work == "compute" else SUBSTITUTE_ERROR
    return there.benchmarks[name] / here.benchmarks[name], error + (0.0 if there.measured else SHEET_ERROR)


def _answer(
    prediction: Mapping[str, Any],
    shares: Mapping[str, float],
    change: Change,
    here: Machine,
    exchange: Exchange,
    growth: Growth | None = None,
) -> Answer:
    phases = {name: float(seconds) for name, seconds in prediction["phases"].items()}
    whole = sum(phases.values())
    grown, rows_error = change.rows, ROWS_ERROR * math.log(change.rows)
    if growth is not None:
        grown, rows_error = growth(change.rows)
    if change.rows != 1:
        for name in GROWING:
            if name in ("setup", "finalise"):
                phases[name] = phases.get(name, 0.0) * (FIXED_SHARE + (1 - FIXED_SHARE) * change.rows)
            else:
                phases[name] = phases.get(name, 0.0) * grown
    for name in REPEATED:
        phases[name] = phases.get(name, 0.0) * change.epochs
    variance = rows_error**2
    known = prediction.get("input") or {}
    data = warm.Input(int(known.get("data_bytes", 0)), int(known.get("free_bytes", 0)))
    note = LARGER if change.machine is None and data.cold(change.rows) else ""
    if note and not data.cold():  # read from the disk in every pass, where it was in memory
        variance += warm.COLD_ERROR**2
    if change.rows != 1:  # half of setup and finalise may be all of them, or nothing
        loose = phases["setup"] + phases["finalise"]
        variance += (0.3 * loose / max(sum(phases.values()), 1e-9)) ** 2
    there = change.machine or here
    inside = there.devices if change.machine is not None else 1
    devices = change.devices * inside
    if change.machine is not None or devices != 1:
        times, error = speed(shares, here, there) if change.machine else (1.0, 0.0)
        exchanging = 0.0
        if devices != 1 and exchange.divides:
            divided, _ = speed({work: shares.get(work, 0.0) for work in DIVIDED}, here, there)
            times -= divided * (1 - 1 / devices)
            error = math.hypot(error, DEVICES_ERROR * math.log2(devices))
            if exchange.gigabytes is None:
                error = math.hypot(error, UNKNOWN_EXCHANGE_ERROR)
            exchanging = _exchange_seconds(exchange, change, inside, there)
        elif devices != 1:
            note += " (it takes one machine, and one device of it)"
        beside, beside_error = _ratio("host", here, there)
        training = phases["training"] + phases["validation"]
        rest = sum(phases.values()) - training
        phases = {"training": training * times, "exchange": exchanging, "rest": rest / beside}
        after = max(sum(phases.values()), 1e-9)
        variance += (error * phases["training"] / after) ** 2 + (beside_error * phases["rest"] / after) ** 2
        variance += (EXCHANGE_ERROR * exchanging / after) ** 2
    middle = float(prediction["p50_seconds"])
    own = math.log(prediction["p95_seconds"] / prediction["p05_seconds"]) / (2 * Z90)
    seconds = middle * sum(phases.values()) / whole if whole > 0 else middle
    width = math.exp(Z90 * math.sqrt(own**2 + variance))
    low, high = (float(prediction["p05_seconds"]), float(prediction["p95_seconds"]))
    if change == Change(settings=change.settings):
        return Answer(change, middle, low, high, note)
    return Answer(change, seconds, seconds / width, seconds * width, note, growth is not None)


def _exchange_seconds(exchange: Exchange, change: Change, inside: int, there: Machine) -> float:
    """Return what the devices of a machine, and then the machines, take to sum all gradients; nothing is hidden."""
    size = (exchange.gigabytes or 0.0) * change.rows * change.epochs
    within = 2 * size * (inside - 1) / inside / (there.link_gb_per_second or LINK_GB_PER_SECOND)
    return within + 2 * size * (change.devices - 1) / change.devices / change.network_gb_per_second


def from_prediction(
    prediction: Mapping[str, Any],
    texts: Sequence[str],
    machine_files: Sequence[Path],
    record: Mapping[str, Any],
    measure: Callable[[Mapping[str, str]], tuple[Mapping[str, Any], Mapping[str, Any]]],
    growth: Callable[[Mapping[str, str]], Growth | None] = lambda settings: None,
) -> dict[str, Any]:
    """Return the answer of `estimate --what-if`: the prediction, and a row for each change.

    Args:
        prediction: of the configured run, here.
        texts: see `parse`.
        machine_files: JSON files of measured machines; data sheets and prices come with them.
        record: of the run that made the prediction, as far as it went, for the shares of its time.
        measure: given other settings, returns their prediction and record, by a run's first steps.
        growth: given other settings, returns how a pass grows with the rows, by short probes; asked where a change has
            other rows. None: in proportion.

    Raises:
        PacelineError: a text, a setting, a file or the table of prices cannot be read.
    """
    from paceline import machines, microbench

    here = microbench.here()
    known = [*(machines.read(path) for path in machine_files), *machines.sheets()]
    measured: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, Any], Mapping[str, Any]]]
    measured = {(): (prediction, record)}
    rows, growths = [], {}
    for change in parse(texts, known):
        if change.settings not in measured:
            measured[change.settings] = measure(dict(change.settings))
        if change.rows != 1 and change.settings not in growths:
            growths[change.settings] = growth(dict(change.settings))
        of, begun = measured[change.settings]
        grown = growths.get(change.settings) if change.rows != 1 else None
        rows.append(_answer(of, _shares(of, begun, here), change, here, exchange_of(begun, of), grown).row())
    days = {machine.prices_of for machine in known if machine.price_per_hour is not None}
    note = f"Prices of {', '.join(sorted(days))}, from a table that you can edit: prices.toml." if days else ""
    return {"what_if": rows, "prices": note}


def _shares(prediction: Mapping[str, Any], record: Mapping[str, Any], here: Machine) -> dict[str, float]:
    from paceline import explain

    if str(prediction.get("of")).startswith("xgboost"):
        return {"trees": 1.0}
    return explain.shares(record, here.benchmarks) or {"compute": 1.0}
