"""Are predictions honest? Runs are started as a user starts them; what each predicted stands in its record, sealed.

The prediction is made inside the run, in its first moments, and hashed before its outcome; a record whose hash does not
fit is not counted. Every run adds a line to `ci/results/estimate.jsonl`, so that the runs of several days add up; the
summary is of all of them, and of each session, since the library changed between them. Each template has one folder of
runs for a session, so that a project's own history corrects what follows a training as it would for a user. Quantiles
are corrected from 20 runs of a kind on, which few sessions have: *recalibrated* are the predictions of the lines in
their order, each as the lines of its kind before it would have corrected it.

*Disturbed*: halfway, so many other processes start that each core is wanted by three, and stay until the run ends. What
counts is whether the run notices, by a warning and a new prediction.

*Budgets*: runs below `--time-budget`, timed from outside, from before the process starts until it is gone.

*Empty caches*: as on a machine that has never run the project: nothing compiled, no image decoded, no features kept.

It takes PACELINE_BENCH_MINUTES (30): workloads in turn, all or those that the command line names, the order drawn anew
in each round.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paceline import hindsight, intervals, terms
from results import ROOT, save

MINUTES = float(os.environ.get("PACELINE_BENCH_MINUTES", "30"))
LINES = ROOT / "ci" / "results" / "estimate.jsonl"
CONTENDED = 0.1  # of its time a run waited for cores that other work on the machine held
OTHERS_PER_CORE = 2
BASELINES = ("progress_bar", "first_epoch", "mean_step")


@dataclass(frozen=True)
class Workload:
    """A run to predict.

    Attributes:
        template: of which project.
        settings: what is set on the command line.
        budget_seconds: of `--time-budget`; 0: none, and the prediction is what counts.
        disturbed_after_seconds: when other work begins; 0: never.
        empty_caches: whether nothing is kept from earlier runs.
    """

    template: str
    settings: dict[str, Any]
    budget_seconds: int = 0
    disturbed_after_seconds: int = 0
    empty_caches: bool = False


FRAUD, MEDICAL, DRIVING = "fraud-detection", "medical-imaging", "driving-perception"
NO_STOP = {"train.early_stopping_rounds": 0}
WORKLOADS = {
    "boosting, stops early": Workload(FRAUD, {"train.rounds": 2000, "train.learning_rate": 0.03}),
    "boosting, 2000 rounds": Workload(FRAUD, {"train.rounds": 2000, **NO_STOP}),
    "boosting, 3 times the cards": Workload(FRAUD, {"train.rounds": 300, "data.customers": 6000, **NO_STOP}),
    "boosting, 1000 deep trees": Workload(FRAUD, {"train.rounds": 1000, "model.max_depth": 8, **NO_STOP}),
    "DART": Workload(FRAUD, {"model.booster": "dart", "train.rounds": 150, **NO_STOP}),
    "network on transactions, 50 epochs": Workload(
        FRAUD, {"model.name": "mlp", "train.epochs": 50, "train.early_stopping_epochs": 0}
    ),
    "network on transactions, stops early": Workload(FRAUD, {"model.name": "mlp", "train.epochs": 60}),
    "head on frozen features, 2000 epochs": Workload(MEDICAL, {"train.epochs": 2000, "train.early_stopping_epochs": 0}),
    "fine-tuning": Workload(MEDICAL, {"model.name": "fine_tuned", "transfer.epochs": 2}),
    "from scratch": Workload(MEDICAL, {"model.name": "fine_tuned", "model.backbone": "none", "train.epochs": 6}),
    "outlines": Workload(MEDICAL, {"model.task": "segmentation", "train.epochs": 4}),
    "decoder on frozen maps": Workload(DRIVING, {"train.epochs": 8}),
    "small network on frames": Workload(DRIVING, {"model.name": "small", "train.epochs": 10}),
    "boxes": Workload(DRIVING, {"model.task": "detection", "train.epochs": 6}),
    "from scratch, empty caches": Workload(
        MEDICAL, {"model.name": "fine_tuned", "model.backbone": "none", "train.epochs": 12}, empty_caches=True
    ),
    "decoder on frozen maps, empty caches": Workload(DRIVING, {"train.epochs": 6}, empty_caches=True),
    "boosting, disturbed": Workload(
        FRAUD, {"train.rounds": 1500, "model.max_depth": 8, **NO_STOP}, disturbed_after_seconds=15
    ),
    "network on transactions, disturbed": Workload(
        FRAUD, {"model.name": "mlp", "train.epochs": 60, "train.early_stopping_epochs": 0}, disturbed_after_seconds=20
    ),
    "decoder on frozen maps, disturbed": Workload(DRIVING, {"train.epochs": 20}, disturbed_after_seconds=45),
    "boosting that fills 20 s": Workload(FRAUD, {"train.rounds": '"auto"', **NO_STOP}, 20),
    "network cut to 25 s": Workload(
        FRAUD, {"model.name": "mlp", "train.epochs": 500, "train.early_stopping_epochs": 0}, 25
    ),
    "from scratch, cut to 60 s": Workload(
        MEDICAL,
        {"model.name": "fine_tuned", "model.backbone": "none", "train.epochs": 500, "train.early_stopping_epochs": 0},
        60,
    ),
    "decoder that fills 45 s": Workload(DRIVING, {"train.epochs": '"auto"'}, 45),
}


def main() -> None:
    """Run the workloads in turn until the time is over, then sum up all that was ever run."""
    until = time.monotonic() + 60 * MINUTES
    session = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    with tempfile.TemporaryDirectory() as scratch:
        for template in (FRAUD, MEDICAL, DRIVING):
            (Path(scratch) / template).mkdir()
            shutil.copy(project(template) / "config.toml", Path(scratch) / template)
        while True:
            named = sys.argv[1:] or list(WORKLOADS)
            names = random.sample(named, len(named))
            for name in names:
                if time.monotonic() > until:
                    summarise()
                    return
                row = {"session": session, "workload": name, **run(WORKLOADS[name], Path(scratch))}
                with LINES.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)


def project(template: str) -> Path:
    """Return the folder of the template's project."""
    return next((ROOT / "templates" / template).glob("*/config.toml")).parent


def run(workload: Workload, scratch: Path) -> dict[str, Any]:
    """Return what one run predicted and what it took."""
    options = [text for key, value in workload.settings.items() for text in ("--set", f"{key}={value}")]
    if workload.budget_seconds:
        options += ["--time-budget", f"{workload.budget_seconds}s"]
    command = [sys.executable, "-m", workload.template.replace("-", "_"), "train", "--json", *options]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as caches:
        surroundings = {**os.environ, "PACELINE_CACHE": caches} if workload.empty_caches else None
        done = started(command, scratch / workload.template, workload.disturbed_after_seconds, surroundings)
        process_seconds = time.monotonic() - began
    if workload.budget_seconds and "leaves no time to train" in done.stderr:
        return {"budget_seconds": workload.budget_seconds, "refused_after_seconds": process_seconds}
    if done.returncode:
        print(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}", flush=True)
        return {"failed": done.stderr.strip().splitlines()[-1][:200]}
    folder = scratch / workload.template / json.loads(done.stdout.splitlines()[-1])["run"]
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    found = {"actual_seconds": record["wall_seconds"], "load": os.getloadavg()[0]}
    if workload.budget_seconds:
        changed = bool(record["budget"].get("changed"))
        return found | {
            "budget_seconds": workload.budget_seconds,
            "process_seconds": process_seconds,
            "changed": changed,
        }
    made = [each for each in record["predictions"] if each["kind"] == "wall" and hindsight.is_sealed(each)]
    if not made:
        return found | {"predicted": None}
    first = made[0]
    if workload.disturbed_after_seconds:
        return found | {
            "disturbed_after_seconds": workload.disturbed_after_seconds,
            "waited_for_cores": round(first["waited_for_cores"], 3),
            "made_after_seconds": round(first["made_after_seconds"], 3),
            **{f"first_{name}_seconds": first[f"{name}_seconds"] for name in ("p05", "p50", "p95")},
            "revised": [
                {
                    name: round(each[name], 3)
                    for name in ("made_after_seconds", "p05_seconds", "p50_seconds", "p95_seconds")
                }
                for each in record["predictions"]
                if each["kind"] in ("contended", "revised")
            ],
            "warned": any("times as long as when the run's time was predicted" in text for text in record["warnings"]),
        }
    names = [f"p{level:02}_seconds" for level in hindsight.LEVELS]
    return found | {
        "of": first["of"],
        "waited_for_cores": round(first["waited_for_cores"], 3),
        "phases": {
            phase: [round(first["phases"][phase], 2), round(took, 2)]
            for phase, took in terms.by_phase(record["phases"]).items()
        },
        "predicted": {name: round(first[name], 3) for name in (*names, "made_after_seconds")},
        "computed": {name: round(first["computed"][name], 3) for name in names},
        "of_most_epochs": round(_done(first), 3),
        "baselines": {name: round(first["baselines"][name], 3) for name in BASELINES},
        "abstains": bool(first["stopping"].get("abstains")),
        "history": first["history"]["runs"],
        "later": [each["p50_seconds"] for each in record["predictions"] if each["kind"] == "second"],
    }


def _done(made: dict[str, Any]) -> float:
    """Return the share of the most epochs, or rounds, of the training under way that were done at a prediction."""
    stage = next(iter(made["terms"]["stages"].values()))
    return float(stage["done"] / stage["epochs"])


def started(
    command: Sequence[str], folder: Path, disturbed_after_seconds: int, surroundings: dict[str, str] | None
) -> subprocess.CompletedProcess[str]:
    """Run `command` in `folder`; where asked, start other work after so many seconds, which ends with it."""
    process = subprocess.Popen(  # noqa: S603 -- this project's own command
        command, cwd=folder, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    others: list[subprocess.Popen[bytes]] = []
    try:
        try:
            out, err = process.communicate(timeout=disturbed_after_seconds or None)
        except subprocess.TimeoutExpired:
            busy = [sys.executable, "-c", "while True: pass"]
            others += [subprocess.Popen(busy) for _ in range(OTHERS_PER_CORE * (os.cpu_count() or 1))]  # noqa: S603 -- the line above
            out, err = process.communicate()
    finally:
        for other in others:
            other.kill()
            other.wait()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def summarise() -> None:
    """Sum up every line there is, print that and keep it."""
    rows = [json.loads(line) for line in LINES.read_text(encoding="utf-8").splitlines()]
    pairs = [row for row in rows if row.get("predicted")]
    kinds = {name: [row for row in pairs if row["of"] == name] for name in sorted({row["of"] for row in pairs})}
    kinds |= {f"session {session}": [row for row in pairs if row["session"] == session] for session in
              dict.fromkeys(row["session"] for row in pairs)}  # fmt: skip
    kinds["recalibrated"] = recalibrated(pairs)
    kinds["cores to itself"] = [row for row in pairs if row["waited_for_cores"] < CONTENDED]
    kinds["cores shared with other work"] = [row for row in pairs if row["waited_for_cores"] >= CONTENDED]
    found = {
        "load": statistics.median(row["load"] for row in pairs),
        "sessions": len({row["session"] for row in rows}),
        "workloads": len({row["workload"] for row in pairs}),
        "unpredicted": sum("predicted" in row and row["predicted"] is None for row in rows),
        "kinds": {name: summary(of_kind) for name, of_kind in {"all": pairs, **kinds}.items() if of_kind},
        "early": early([row for row in pairs if row["workload"].endswith("stops early")]),
        "disturbed": disturbed([row for row in rows if "disturbed_after_seconds" in row]),
        "budgets": budgets([row for row in rows if "process_seconds" in row]),
        "failed": [row["failed"] for row in rows if "failed" in row],
        "refused": sum("refused_after_seconds" in row for row in rows),
        "by_workload": {
            name: summary([row for row in pairs if row["workload"] == name])
            for name in dict.fromkeys(row["workload"] for row in pairs)
        },
    }  # fmt: skip
    print(json.dumps(found["kinds"], indent=1), json.dumps(found["budgets"]))
    save("estimate", found)


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return errors, coverage and width of predictions, and the errors of simpler rules beside them."""
    errors = [row["predicted"]["p50_seconds"] / row["actual_seconds"] - 1 for row in rows]
    sizes = sorted(abs(error) for error in errors)
    found: dict[str, Any] = {
        "pairs": len(rows),
        "seconds": statistics.median(row["actual_seconds"] for row in rows),
        "median_error": statistics.median(sizes),
        "p90_error": sizes[min(len(sizes) - 1, round(0.9 * (len(sizes) - 1)))],
        "bias": statistics.median(errors),
        "width_90": statistics.median(
            (row["predicted"]["p95_seconds"] - row["predicted"]["p05_seconds"]) / row["predicted"]["p50_seconds"]
            for row in rows
        ),
        "made_after": statistics.median(row["predicted"]["made_after_seconds"] / row["actual_seconds"] for row in rows),
        "abstentions": sum(row["abstains"] for row in rows),
        "repeats_spread": repeats_spread(rows),
    }
    for level, low, high in ((50, "p25", "p75"), (80, "p10", "p90"), (90, "p05", "p95")):
        inside = sum(
            row["predicted"][f"{low}_seconds"] <= row["actual_seconds"] <= row["predicted"][f"{high}_seconds"]
            for row in rows
        )
        found[f"inside_{level}"] = intervals.wilson(inside, len(rows)).state()
    for name in BASELINES:
        found[name] = statistics.median(abs(row["baselines"][name] / row["actual_seconds"] - 1) for row in rows)
    return found


def recalibrated(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows whose kind, engine and device, had enough rows before them, as these correct them."""
    before: dict[str, list[hindsight.Outcome]] = {}
    found = []
    for row in rows:
        computed = _quantiles(row.get("computed") or row["predicted"])  # alike where too few had come before
        outcomes = before.setdefault(row["of"], [])
        quantiles = hindsight.corrected(computed, outcomes[-hindsight.MOST_RECORDS :])
        if len(outcomes) >= hindsight.LEAST_RECORDS:
            named = {f"p{level:02}_seconds": seconds for level, seconds in quantiles.items()}
            found.append({**row, "predicted": {**row["predicted"], **named}})
        if "computed" in row or row["history"] < hindsight.LEAST_RECORDS:
            outcomes.append(hindsight.Outcome(computed, quantiles, row["actual_seconds"]))
    return found


def _quantiles(named: dict[str, float]) -> dict[int, float]:
    return {level: named[f"p{level:02}_seconds"] for level in hindsight.LEVELS}


def early(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the errors of runs that stop early: of the first prediction that knew the stopping, and who abstained.

    A prediction that abstains is made again when a tenth of the most epochs is done.
    """
    last = [(row["later"] or [row["predicted"]["p50_seconds"]])[-1] / row["actual_seconds"] - 1 for row in rows]
    shares = [max(row["of_most_epochs"], 0.1 * bool(row["later"])) for row in rows if "of_most_epochs" in row]
    return {
        "runs": len(rows),
        "abstained": sum(row["abstains"] for row in rows),
        "of_most_epochs": statistics.median(shares) if shares else None,
        "median_error": statistics.median(abs(error) for error in last) if last else None,
    }


def disturbed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return in how many runs other work began after the prediction, and in how many of these the run noticed.

    It notices by another prediction, whose interval is wider, or by a warning. What had ended before the other work
    began does not count.
    """
    after = [row for row in rows if row["made_after_seconds"] < row["disturbed_after_seconds"] < row["actual_seconds"]]
    revised = [row for row in after if row["revised"]]
    return {
        "runs": len(after),
        "warned": sum(row["warned"] for row in after),
        "revised": len(revised),
        "longer": [round(row["actual_seconds"] / row["first_p50_seconds"], 2) for row in after],
        "revised_inside_90": sum(
            row["revised"][-1]["p05_seconds"] <= row["actual_seconds"] <= row["revised"][-1]["p95_seconds"]
            for row in revised
        ),
    }


def repeats_spread(rows: Sequence[dict[str, Any]]) -> float | None:
    """Return the median distance of a run from the median of the same workload's runs: what no prediction can know."""
    distances = []
    for name in {row["workload"] for row in rows}:
        seconds = [row["actual_seconds"] for row in rows if row["workload"] == name]
        if len(seconds) > 2:
            distances += [abs(each / statistics.median(seconds) - 1) for each in seconds]
    return statistics.median(distances) if distances else None


def budgets(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how budgets were kept and used: the share of it that passed until the process was gone."""
    if not rows:
        return {}
    used = [row["process_seconds"] / row["budget_seconds"] for row in rows]
    of_changed = [each for each, row in zip(used, rows, strict=True) if row["changed"]]
    return {
        "runs": len(rows),
        "changed": len(of_changed),
        "over": sum(each > 1 for each in used),
        "longest": max(used),
        "used_median": statistics.median(of_changed) if of_changed else None,
        "used_least": min(of_changed, default=None),
        "by_session": {
            session: _kept([row for row in rows if row["session"] == session])
            for session in dict.fromkeys(row["session"] for row in rows)
        },
        "by_workload": {
            name: [round(row["process_seconds"] / row["budget_seconds"], 3) for row in rows if row["workload"] == name]
            for name in sorted({row["workload"] for row in rows})
        },
    }


def _kept(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    used = [row["process_seconds"] / row["budget_seconds"] for row in rows]
    of_changed = [each for each, row in zip(used, rows, strict=True) if row["changed"]]
    return {"runs": len(used), "over": sum(each > 1 for each in used), "used_least": min(of_changed, default=None)}


if __name__ == "__main__":
    main()
