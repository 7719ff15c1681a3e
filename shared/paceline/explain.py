"""Why a training takes the time it takes: what its steps wait for, told from what its record holds anyway.

The shares of a step are bounds, not a trace: the wait for input is measured, launches are counted and priced at the
machine's measured rate, arithmetic is what it would take at the machine's measured ceiling, and the rest moves memory.
Pure functions of a record and a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paceline.report import format as fmt

WORK = ("compute", "memory", "launch", "input", "trees", "host")
WORDS = {
    "compute": "arithmetic",
    "memory": "moving memory",
    "launch": "launching programs",
    "input": "waiting for input",
    "trees": "gradients and histograms",
    "host": "Python around the steps",
}
LAUNCHES_PER_STEP = 1.0  # a compiled step is one program
LEAST_CLEAR = 0.4  # a share from which on a training is called bound by it


def shares(record: Mapping[str, Any], machine: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the shares of the training phases' time by what they wait for; they sum to 1, and are empty without any.

    Args:
        record: of a run; its `phases` and `training` are read.
        machine: the benchmarks of the machine it ran on, see `machines.BENCHMARKS`; without them arithmetic and memory
            are one share, `compute`.
    """
    phases = record.get("phases") or {}
    seconds = {name: _number(phases.get(name)) for name in ("train", "input_wait", "callbacks")}
    whole = sum(seconds.values())
    if whole <= 0:
        return {}
    if (record.get("history") or {}).get("step_unit") == "round":
        return {"trees": 1.0}
    trainings = [each for each in (record.get("training") or {}).values() if isinstance(each, Mapping)]
    known = machine or {}
    steps = sum(_number(each.get("steps")) for each in trainings)
    launch = min(seconds["train"], _per(LAUNCHES_PER_STEP * steps, known.get("launches_per_second")))
    flops = sum(_number(each.get("steps")) * _number(each.get("flops_per_step")) for each in trainings)
    left = seconds["train"] - launch
    arithmetic = min(left, _per(1e-9 * flops, known.get("matmul_gflops"))) if flops and known else left
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
        }
        rate, batch = _number(each.get("examples_per_second")), _number(each.get("batch_size"))
        if rate and batch and each.get("flops_per_step"):
            gflops = 1e-9 * _number(each["flops_per_step"]) * rate * _number(each.get("micro_batches") or 1) / batch
            row["gflops"] = gflops
            if known.get("matmul_gflops"):
                row["of_the_ceiling"] = fmt.share(min(1.0, gflops / known["matmul_gflops"]))
        row["compile_seconds"] = each.get("compile_seconds")
        memory = each.get("peak_device_memory_bytes") or each.get("peak_memory_bytes")
        row["peak_memory_gb"] = _number(memory) / 2**30 if memory else None
        found.append({key: value for key, value in row.items() if value is not None})
    return found


def verdict(record: Mapping[str, Any], machine: Mapping[str, float] | None = None) -> list[str]:
    """Return sentences that say what the training is bound by, and by what evidence; empty where nothing is known."""
    found = shares(record, machine)
    if not found:
        return []
    if "trees" in found:
        return _of_trees(record)
    name, share = max(found.items(), key=lambda item: item[1])
    evidence = ", ".join(
        f"{WORDS[each]} {fmt.share(part)}" for each, part in sorted(found.items(), key=lambda i: -i[1])
    )
    if name == "input":
        text = f"It is input-bound: {fmt.share(share)} of the training time it waited for batches."
        remedy = "More input threads, a decoded cache or cheaper augmentation would help; a faster device would not."
    elif name == "launch" and share >= LEAST_CLEAR:
        text = f"It is launch-bound: starting its steps alone takes {fmt.share(share)} of the training time."
        remedy = "Larger batches or several steps per execution would help."
    elif name == "host":
        text = f"It is bound by what runs around the steps: {fmt.share(share)} of the training time."
        remedy = "Fewer or cheaper callbacks would help."
    elif name == "memory":
        text = "It is compute-bound, by operations that move memory rather than by matrix products."
        remedy = (
            "Its arithmetic alone would take far less; fused operations, larger batches or less precision may help."
        )
    else:
        text = f"It is compute-bound: input made it wait {fmt.share(found.get('input', 0.0))} of the training time."
        remedy = "A smaller model or image, less precision or a faster device would help; more input threads would not."
    sentences = [text, remedy, f"Shares of the training time: {evidence}."]
    stages = len(record.get("training") or {})
    phases = record.get("phases") or {}
    if compiled := _number(phases.get("compile")):
        sentences.append(
            f"Compiling took {fmt.duration(compiled)} over {stages} {'training' if stages == 1 else 'trainings'}."
        )
    return sentences


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
