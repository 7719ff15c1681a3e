"""Write what SCALE.md calculates, from the figures kept in `ci/results`, between its marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tables import conditions, insert

from paceline import atomic
from results import ROOT

# Data sheets and habits, not measured here: an H100 in a host of eight.
FLOPS = 989e12  # dense bfloat16
REACHED = 0.4  # of them: what training convolutions well reaches, an assumption
LINK_BYTES = 450e9  # a second between the accelerators of a host, each way (NVLink 4)
NETWORK_BYTES = 50e9  # a second between hosts, each way (400 Gbit/s)
PER_HOST = 8
THREADS_PER_HOST = 112  # that may decode
DEVICE_BYTES = 80e9
HOST_BYTES = 128e9
FRAMES_PER_DEVICE = 64
STEPS_AN_EPOCH = 100  # fewer, and there is little for a schedule to anneal
ACCELERATORS = (8, 64, 512)
TRANSACTIONS = 1e9
BINS, DEPTH, TREES = 1024, 4, 600  # the template's defaults


def render(folder: Path) -> str:
    """Return the tables and what follows from them, as Markdown."""
    growth, scale, tpu = (
        json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("growth", "scale", "tpu")
    )
    return "\n\n".join(
        [networks(growth), conditions(growth), boosting(scale), conditions(scale), compiled(tpu), conditions(tpu)]
    )


def networks(found: dict[str, Any]) -> str:
    """Data parallelism on 8, 64 and 512 accelerators."""
    step = FRAMES_PER_DEVICE * found["flops_per_frame"] / (REACHED * FLOPS)
    gradient_bytes = 4 * found["trained_parameters"]
    lines = [
        f"**The driving network `base`** at {found['width_px']} × {found['height_px']} pixels: "
        f"{found['parameters'] / 1e6:.1f} million parameters, {found['flops_per_frame'] / 1e9:.1f} GFLOP a frame and "
        f"training step (counted by XLA), {FRAMES_PER_DEVICE} frames a step on each H100 "
        f"({FLOPS / 1e12:.0f} TFLOP/s by its data sheet, {REACHED:.0%} of it assumed): {step * 1e3:.1f} ms a step.",
        "",
        f"| accelerators | frames/s | JPEG read, a host | threads that decode, a host of {THREADS_PER_HOST} | "
        "all-reduce, if nothing overlaps | batch | frames for an epoch of "
        f"{STEPS_AN_EPOCH} steps |",
        "|---|---|---|---|---|---|---|",
    ]
    for count in ACCELERATORS:
        hosts = count // PER_HOST
        per_host = PER_HOST * FRAMES_PER_DEVICE / step
        sums = 2 * gradient_bytes * (PER_HOST - 1) / PER_HOST / LINK_BYTES
        sums += 2 * gradient_bytes * (hosts - 1) / hosts / NETWORK_BYTES
        batch = count * FRAMES_PER_DEVICE
        lines.append(
            f"| {count} | {hosts * per_host:,.0f} | {per_host * found['jpeg_bytes'] / 1e9:.1f} GB/s | "
            f"{per_host / found['decoded_per_second']:.0f} | {sums * 1e3:.2f} ms, {sums / step:.0%} of a step | "
            f"{batch:,} | {batch * STEPS_AN_EPOCH:,} |"
        )
    threads = PER_HOST * FRAMES_PER_DEVICE / step / found["decoded_per_second"]
    raw_bytes = 3 * found["width_px"] * found["height_px"] * PER_HOST * FRAMES_PER_DEVICE / step
    largest = DEVICE_BYTES / (found["checkpoint_bytes"] / found["parameters"])
    verdict = "just holds" if threads <= THREADS_PER_HOST else "breaks first"
    return "\n".join(
        [
            *lines,
            "",
            f"- Decoding {verdict}: {threads:.0f} threads of {THREADS_PER_HOST} at every size, since each host decodes "
            f"for its own devices. The cache of decoded frames takes it away and wants {raw_bytes / 1e9:.0f} GB/s of "
            "memory bandwidth on a host instead, which no disk gives: it must fit in memory.",
            "- All-reduce holds as long as the network between hosts does. Gradients are summed in float32, "
            f"{gradient_bytes / 1e6:.0f} MB a step; on a tenth of that network (40 Gbit/s) it takes "
            f"{10 * sums / step:.1f} times the step, so devices would wait for it.",
            "- The batch breaks before the machines do: a data set smaller than the last column gives too few steps. "
            "Then fewer accelerators for each run and several runs (seeds, trials of `tune`) side by side are the use.",
            f"- A checkpoint is {found['checkpoint_bytes'] / 1e6:.0f} MB and was written in "
            f"{found['checkpoint_seconds']:.2f} s; it does not grow with the accelerators, and host 0 writes it while "
            "the others wait. The whole state lies on each device: above about "
            f"{largest / 1e9:.0f} billion parameters it does not fit, and the model itself would have to be divided, "
            "which these templates do not do.",
        ]
    )


def boosting(found: dict[str, Any]) -> str:
    """A billion transactions."""
    before, last = found["sizes"][-2:]
    millions = (last["transactions"] - before["transactions"]) / 1e6
    seconds = (last["wall_seconds"] - before["wall_seconds"]) / millions
    gigabytes = (last["peak_memory_gb"] - before["peak_memory_gb"]) / millions
    of = TRANSACTIONS / 1e6
    trained = TRANSACTIONS * last["trained_on"] / last["transactions"]
    features = last["features"]
    histograms = features * BINS * 16 * 2 ** (DEPTH - 1)  # two sums in float64, of half the nodes of each level
    most = HOST_BYTES / 2**30 / gigabytes
    return "\n".join(
        [
            f"**A billion transactions** with `train.external_memory`, from what the last "
            f"{before['transactions'] / 1e6:.0f} to {last['transactions'] / 1e6:.0f} million took: {seconds:.1f} s and "
            f"{gigabytes:.2f} GB more for each million, {found['rounds']} rounds.",
            "",
            "| | of a billion | where it breaks |",
            "|---|---|---|",
            f"| time on this machine | {of * seconds / 3600:.1f} h | not by itself, but with hundreds of rounds the "
            "training adds to it; a cluster takes features and rounds, reading runs on one machine only |",
            f"| memory | {of * gigabytes:.0f} GB | 128 GB hold about {most:.0f} million: the columns that time, cards "
            "and labels are judged by, the days that are evaluated. This breaks first |",
            f"| features on disk | {4 * features * of / 1e3:.0f} GB | no; Parquet packs them further |",
            f"| bins of the {trained / 1e6:.0f} million training rows | {2 * features * trained / 1e9:.0f} GB | no: "
            "on disk, or a share on each worker |",
            f"| all-reduce on Dask | {histograms / 1e6:.1f} MB a tree, {histograms * TREES / 1e9:.1f} GB for {TREES} | "
            "no: it does not grow with the rows |",
        ]
    )


def compiled(found: dict[str, Any]) -> str:
    """What the compiler for TPUs says of the training steps."""
    lines = [
        "**Compiled ahead for TPUs** by libtpu, without one: the training step in mixed bfloat16, its batch divided "
        f"over {found['chips']} chips ({found['kind']}, `{found['topology']}`). Nothing ran; how fast it is, is not "
        "known. Compiled on cores that had other work too.",
        "",
        "| network | parameters | batch | compiled in | memory of a chip | all-reduces | calls to the host |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["steps"]:
        lines.append(
            f"| {row['network']} | {row['parameters'] / 1e6:.2f} million | {row['batch']:,} | "
            f"{row['compile_seconds']:.0f} s | {row['chip_memory_bytes'] / 2**30:.2f} of 16 GB | "
            f"{row['all_reduces']} | {row['calls_to_the_host']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    page = ROOT / "SCALE.md"
    atomic.write_text(page, insert(page.read_text(encoding="utf-8"), render(ROOT / "ci" / "results")))
    print(f"Written to {page.name}.")
