"""Why a training takes the time it takes: what its steps wait for, told from what its record holds anyway.

What waits for input and what runs around the steps is measured in every run. What is within the steps is told by the
times of a step that `levers` measured (see `step_times`); without them arithmetic is what it would take at the
machine's measured ceiling, launches are counted and priced at its measured rate, and the rest is not known. Without
either nothing is said of it. Pure functions of a record and a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paceline import step_times
from paceline.report import format as fmt

WORK = ("compute", "memory", "launch", "input", "trees", "host")
WORDS = {
    "compute": "arithmetic",
    "memory": "moving memory and what is not known",
    "launch": "launching steps",
    "input": "waiting for input",
    "trees": "gradients and histograms",
    "host": "Python around the steps",
}
LAUNCHES_PER_STEP = 1.0  # a compiled step is one program
LEAST_CLEAR = 0.4  # a share from which on a training is called bound by it


def shares(record: Mapping[str, Any], machine: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the shares of the training phases' time by what they wait for; they sum to 1, and are empty without any.

    Args:
        record: of a run; its `phases`, `training` and `step_times` are read.
        machine: the benchmarks of the machine it ran on, see `machines.BENCHMARKS`; without them arithmetic and memory
            are one share, `compute`, which holds launching too where `step_times` does not tell.
    """
    phases = record.get("phases") or {}
    seconds = {name: _number(phases.get(name)) for name in ("train", "input_wait", "callbacks")}
    whole = sum(seconds.values())
    if whole <= 0:
        return {}
    if (record.get("history") or {}).get("step_unit") == "round":
        return {"trees": 1.0}
    trainings, known = _trainings(record), machine or {}
    steps = sum(_number(each.get("steps")) for each in trainings)
    launch = min(seconds["train"], _per(LAUNCHES_PER_STEP * steps, known.get("launches_per_second")))
    times = step_times.of_record(record)
    if times is not None and (of_step := step_times.launch_seconds(times)) is not None:
        launch = seconds["train"] * of_step / times.step
    left = seconds["train"] - launch
    arithmetic = min(left, _arithmetic_seconds(record, known)) if _priced(record, machine) else left
    found = {
        "compute": arithmetic,
        "memory": left - arithmetic,
        "launch": launch,
        "input": seconds["input_wait"],
        "host": seconds["callbacks"],
    }
    return {name: value / whole for name, value in found.items() if value > 0}


def rows(record: Mapping[str, Any], machine: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Return the evidence as rows of a table: what was measured of each training, and against what."""
    known, found = machine or {}, []
    for stage, each in (record.get("training") or {}).items():
        if not isinstance(each, Mapping) or set(each) <= {"trainable_parameters"}:  # it has only begun
            continue
        row: dict[str, Any] = {
            "training": stage,
            "examples_per_second": each.get("examples_per_second"),
            "input_could_give": each.get("input_examples_per_second"),
            **{name: each.get(name) for name in ("rows", "features", "max_depth")},  # of boosting
        }
        if each.get("rows"):
            row["rounds"] = each.get("steps")
        rate, batch = _number(each.get("examples_per_second")), _number(each.get("batch_size"))
        if rate and batch and each.get("flops_per_step"):
            gflops = 1e-9 * _number(each["flops_per_step"]) * rate * _number(each.get("micro_batches") or 1) / batch
            row["gflop_per_second"] = gflops
            name, most = ceiling(known, convolutions=bool(each.get("convolutions")), precision=_precision(record))
            if most:  # above all of it the benchmark was too small for this machine, which is to be seen
                row["of_the_ceiling"] = f"{fmt.share(gflops / most)} of {fmt.number(most)} ({name})"
        row["compile_seconds"] = each.get("compile_seconds")
        row["recompilations"] = each.get("recompilations")
        memory = each.get("peak_device_memory_bytes") or each.get("peak_memory_bytes")
        row["peak_memory_gb"] = _number(memory) / 2**30 if memory else None
        found.append({key: value for key, value in row.items() if value is not None})
    return found


def idle(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return in what shares of the time the device had nothing to compute, as rows; empty where nothing is known.

    What is known of every network's training is the wait for batches and the time of callbacks; of a GPU also what its
    driver saw, over the whole run.
    """
    found = shares(record)
    rows = []
    if found and "trees" not in found:
        waits = {"waiting for input": found.get("input", 0.0), "callbacks": found.get("host", 0.0)}
        rows = [{"device_idle": name, "share": fmt.share(share)} for name, share in waits.items()]
        rows.append({"device_idle": "both, of the training's time", "share": fmt.share(sum(waits.values()))})
    gpus = (record.get("hardware") or {}).get("gpu_use")
    for each in gpus if isinstance(gpus, list) else []:
        if isinstance(each, Mapping) and fmt.is_number(each.get("mean_utilisation")):
            of_driver = fmt.share(min(1.0, max(0.0, 1 - each["mean_utilisation"])))
            rows.append({"device_idle": f"GPU {each.get('gpu')} by its driver, of the whole run", "share": of_driver})
    return rows


def ceiling(machine: Mapping[str, float], *, convolutions: bool, precision: str = "") -> tuple[str, float]:
    """Return what the machine manages at most, GFLOP/s, and of which operation: 0 where that was not measured.

    What computes in bfloat16 is held against that where it was measured: accelerators are many times faster in it.

    A network with convolutions spends its operations in them, and many a machine is slower there than at products.

    >>> ceiling({"matmul_gflops": 100.0, "convolution_gflops": 30.0}, convolutions=True)
    ('convolution', 30.0)
    """
    operation, words = ("convolution", "convolution") if convolutions else ("matmul", "matrix product")
    if precision.endswith("bfloat16") and machine.get(f"{operation}_bf16_gflops"):
        return f"{words} in bfloat16", machine[f"{operation}_bf16_gflops"]
    if convolutions and machine.get("convolution_gflops"):
        return words, machine["convolution_gflops"]
    return "matrix product", machine.get("matmul_gflops") or 0.0


def verdict(record: Mapping[str, Any], machine: Mapping[str, float] | None = None) -> list[str]:
    """Return sentences that say what the training is bound by, and by what evidence; empty where nothing is known."""
    found = shares(record, machine)
    if not found:
        return []
    if "trees" in found:
        return _of_trees(record)
    sentences = [*_bound(record, found, machine), _evidence(record, found, machine)]
    stages = len(record.get("training") or {})
    phases = record.get("phases") or {}
    if compiled := _number(phases.get("compile")):
        sentences.append(
            f"Compiling took {fmt.duration(compiled)} over {stages} {'training' if stages == 1 else 'trainings'}."
        )
    sentences.append("No callback waits for the device in a step: they act between epochs and blocks of steps.")
    return sentences


def _bound(record: Mapping[str, Any], found: Mapping[str, float], machine: Mapping[str, float] | None) -> list[str]:
    """Say what binds: what the run measured goes before what a probe of its step did, and that before ceilings."""
    name, share = max(found.items(), key=lambda item: item[1])
    convolutions = any(each.get("convolutions") for each in _trainings(record))
    which = ceiling(machine or {}, convolutions=convolutions, precision=_precision(record))[0]
    waited = f"it waited for batches {fmt.share(found.get('input', 0.0))} of the training time"
    if name == "input":
        return [
            f"It is input-bound: {waited}.",
            "More input threads, a decoded cache or cheaper augmentation would help; a faster device would not.",
        ]
    if name == "host":
        return [
            f"It is bound by what runs around the steps: {fmt.share(share)} of the training time.",
            "Fewer or cheaper callbacks would help.",
        ]
    times = step_times.of_record(record)
    if times is not None:
        return [*step_times.verdict(times), f"In this run {waited}."]
    if name == "launch" and share >= LEAST_CLEAR:
        return [
            f"It is launch-bound: starting its steps alone takes {fmt.share(share)} of the training time.",
            "Larger batches would help.",
        ]
    if not _priced(record, machine):
        return [
            f"It is not input-bound: {waited}.",
            "Whether arithmetic or launching its steps takes the rest is not known: the command levers measures it.",
        ]
    if name == "compute":
        return [
            f"It is compute-bound: at this machine's ceiling for {which} its arithmetic takes {fmt.share(share)} of "
            f"the training time, and {waited}.",
            "A smaller model or image, less precision or a faster device would help; more input threads would not.",
        ]
    return [
        f"It is bound neither by input nor by arithmetic: {waited}, and at this machine's ceiling for {which} its "
        f"arithmetic takes {fmt.share(found.get('compute', 0.0))}.",
        "It moves memory or launches operations; which of them is not known: the command levers measures it.",
    ]


def _priced(record: Mapping[str, Any], machine: Mapping[str, float] | None) -> bool:
    """Tell whether arithmetic could be held against a ceiling."""
    return _arithmetic_seconds(record, machine or {}) > 0


def _arithmetic_seconds(record: Mapping[str, Any], machine: Mapping[str, float]) -> float:
    """Return what the trainings' operations take at the ceilings of the machine; 0 where either is not known."""
    return sum(
        1e-9
        * _per(
            _number(each.get("steps")) * _number(each.get("flops_per_step")),
            ceiling(machine, convolutions=bool(each.get("convolutions")), precision=_precision(record))[1],
        )
        for each in _trainings(record)
    )


def _precision(record: Mapping[str, Any]) -> str:
    return str((record.get("device") or {}).get("precision") or "")


def _trainings(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in (record.get("training") or {}).values() if isinstance(each, Mapping)]


def _evidence(record: Mapping[str, Any], found: Mapping[str, float], machine: Mapping[str, float] | None) -> str:
    words = WORDS
    if not _priced(record, machine):  # then nothing has told arithmetic from the rest
        words = {**WORDS, "compute": "work on the rows" if step_times.of_record(record) else "its steps"}
    shares = ", ".join(f"{words[each]} {fmt.share(part)}" for each, part in sorted(found.items(), key=lambda i: -i[1]))
    return f"Shares of the training time: {shares}."


def _of_trees(record: Mapping[str, Any]) -> list[str]:
    phases, rows = record.get("phases") or {}, (record.get("history") or {}).get("rows") or []
    train, validation, build = (_number(phases.get(name)) for name in ("train", "validation", "build"))
    whole = train + validation + build
    text = (
        f"It is compute-bound on the trees: gradients, histograms and splits took {fmt.share(train / whole)}, scoring "
        f"the validation rows after each round {fmt.share(validation / whole)}, binning the features "
        f"{fmt.share(build / whole)}."
    )
    watched = [row for row in rows if _number(row.get("elapsed_seconds"))]
    if len(watched) < 20:
        return [text]
    at = [_number(row["elapsed_seconds"]) for row in watched]
    third = len(at) // 3
    early, late = (at[third] - at[0]) / third, (at[-1] - at[-1 - third]) / third
    trend = "as long as" if 0.9 <= late / early <= 1.1 else f"{late / early:.2f} times as long as"
    return [text, f"A late round took {trend} an early one: {1000 * late:.1f} ms, its scoring included."]


def _number(value: Any) -> float:
    return float(value) if fmt.is_number(value) else 0.0


def _per(amount: float, rate: float | None) -> float:
    return amount / rate if rate else 0.0
