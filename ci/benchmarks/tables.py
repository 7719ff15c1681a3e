"""Write the results kept in `ci/results` into the README, between its marks."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from paceline import atomic
from results import ROOT

BEGIN = "<!-- results: written by `sh ci/bench`, do not edit between these lines -->"
END = "<!-- end of results -->"


SETS = ("template", "published")  # of features, in the fraud benchmark


def render(folder: Path) -> str:
    """Return the tables for every result in `folder`, as Markdown."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    tables = [(name, table(found[name])) for name, table in TABLES.items() if name in found]
    return "\n".join(f"{text}\n\n{conditions(found[name])}\n" for name, text in tables)


def insert(readme: str, tables: str) -> str:
    """Return `readme` with `tables` between its marks."""
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def fraud(result: dict[str, Any]) -> str:
    """The template on the Handbook's published split."""
    best = {
        name: max(row["average_precision"] for row in result["selection"] if row["features"] == name) for name in SETS
    }
    lines = [
        "**Fraud detection** on the Fraud Detection Handbook's simulated data, its published one-week split "
        f"({result['test']}; cards known as compromised removed). Mean and standard deviation over seeds. The defaults "
        f"are the best of {len(result['selection']) // 2} settings on the three folds before the test; there the "
        f"template's features reach a mean average precision of {best['template']:.3f} at best, the published ones "
        f"{best['published']:.3f} with the same settings and rounds.",
        "",
        "| model | runs | average precision | AUC ROC | card precision at 100 | wall time |",
        "|---|---|---|---|---|---|",
        "| published: XGBoost | | .639 | .862 | .273 | |",
        "| published: logistic regression | | .606 | .871 | .291 | |",
    ]
    for name, row in result["rows"].items():
        scores = " | ".join(
            _spread(row[metric], row["runs"]) for metric in ("average_precision", "auc_roc", "card_precision_at_100")
        )
        label = "published recipe, run here" if name == "published recipe" else f'`model.name = "{name}"`'
        lines.append(f"| {label} | {row['runs']} | {scores} | {row['wall_seconds']['mean']:.0f} s |")
    return "\n".join(lines)


def overhead(result: dict[str, Any]) -> str:
    """What the library's loops cost."""
    lines = [
        f"**Overhead** of the training loops, {result['training_rows']:,} rows, {result['rounds']} rounds or "
        f"{result['epochs']} epochs. CPU time over the bare library's: median of {result['pairs']} pairs run in turn, "
        "with its 90 % interval (1.00: nothing). Additions: the share of a fit's wall time outside the engine, "
        f"checkpoint and training curve included, timed directly, median of {result['fits']} fits; `xgboost.train` and "
        "`Model.fit` have such a share too. Below 1.00: average precision is scored faster here. Rounds below a "
        "millisecond pay for resuming to the same trees: random states are made anew every ten rounds, 0.3 to 0.7 ms; "
        "steps of a network that short pay for Python around each of them. There the 1 % that is aimed at is missed.",
        "",
        "| loop | a step, bare | CPU time, ours / bare | additions | of the bare loop |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        ratio, ours, bare = row["ratio"], row["additions"]["median"], row["of_bare"]["median"]
        spread = f"{ratio['low']:.3f} to {ratio['high']:.3f}"
        step = f"{row['step_ms']:.2g} ms" if "step_ms" in row else ""
        lines.append(f"| {name} | {step} | {ratio['median']:.3f} ({spread}) | {ours:.1%} | {bare:.1%} |")
    return "\n".join(lines)


def features(result: dict[str, Any]) -> str:
    """The fraud features' speed and memory."""
    ours, other = result["features"], result["rolling"]
    return "\n".join(
        [
            f"**Features** of {result['transactions']:,} transactions: best of three, peak memory of the process.",
            "",
            "| | seconds | peak memory |",
            "|---|---|---|",
            f"| `features.compute` | {ours['seconds']:.2f} | {ours['peak_mb']:,.0f} MB |",
            f"| Polars' rolling windows | {other['seconds']:.2f} | {other['peak_mb']:,.0f} MB |",
        ]
    )


def predict(result: dict[str, Any]) -> str:
    """How fast a trained run scores new transactions."""
    rows = [("features, scores and reasons", "scoring")]
    formats = (("parquet", "Parquet"), ("csv", "CSV"), ("jsonl", "JSON lines"))
    rows += [(f"the whole command, {name} to CSV", key) for key, name in formats]
    return "\n".join(
        [
            f"**Predicting** {result['transactions']:,} transactions after a history of {result['history']:,}, "
            f"{result['alerts']:,} alerts with reasons: best of three, per new transaction.",
            "",
            "| | transactions/s | peak memory |",
            "|---|---|---|",
            *(
                f"| {label} | {result[f'{key}_per_second']:,.0f} | {result[f'{key}_peak_mb']:,.0f} MB |"
                for label, key in rows
            ),
        ]
    )


def choices(result: dict[str, Any]) -> str:
    """Why there are no class weights and no monotone constraints by default."""
    lines = [
        f"**Choices** for boosting, on the {result['folds']} folds before the test week, {result['seeds']} seeds each, "
        "the best round up to 300. Calibration before any is mended: mean score over the share of frauds.",
        "",
        "| | average precision | log loss | mean score / prevalence |",
        "|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        values = (row["average_precision"], row["log_loss"], row["mean_score_over_prevalence"])
        lines.append(f"| {name} | {values[0]:.3f} | {values[1]:.4f} | {values[2]:.2f} |".replace(" 0.", " ."))
    return "\n".join(lines)


def retrain(result: dict[str, Any]) -> str:
    """What the ways of retraining give and take."""
    lines = [
        f"**Retraining** from an earlier run: mean and standard deviation over {result['seeds']} seeds on the fold "
        "before the test. Saved: seconds against `pooled`, which learns from everything. The last column: in how many "
        "of them the way is shown to be behind the best.",
        "",
        "| | days of new labels | way | average precision | seconds | saved | behind |",
        "|---|---|---|---|---|---|---|",
    ]
    pooled = {
        (row["case"], row["new_days"]): row["seconds"]["mean"] for row in result["rows"] if row["way"] == "pooled"
    }
    for row in result["rows"]:
        precision = _spread(row["average_precision"], result["seeds"])
        behind = f"{row['behind_the_best_shown']} of {result['seeds']}"
        seconds = row["seconds"]["mean"]
        saved = "" if row["way"] == "pooled" else f"{pooled[row['case'], row['new_days']] - seconds:.1f}"
        cells = (row["case"], row["new_days"], row["way"], precision, f"{seconds:.1f}", saved, behind)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def tune(result: dict[str, Any]) -> str:
    """What a search brings."""
    seconds, seeds = result["budget_seconds"], result["seeds"]
    difference, tuned = result["tpe_less_random"], result["tuned_less_defaults"]
    known = "folds" in result  # a result from before these were kept says nothing of them
    folds = f" on {result['folds']} folds before the test week" if known else ""
    short = f" Trainings are short: {result['rounds']} rounds at most, patience {result['early_stopping_rounds']}." if (
        known
    ) else ""  # fmt: skip
    windows = " The windows of the features vary too." if "data.windows_days" in result.get("varied", ()) else ""
    lines = [
        f"**Tuning** the boosted trees{folds}: {seconds:.0f} s of one core a search, {seeds} seeds, average precision "
        f"with 95 % intervals.{short}{windows} Best settings that TPE chose less random search's: "
        f"{_interval(difference)}. On the test week, what the searches end with less the defaults: {_interval(tuned)}.",
        "",
        "| | trials | pruned | best chosen settings less the defaults |",
        "|---|---|---|---|",
    ]
    for name, each in result["arms"].items():
        trials, pruned = (sum(row[key] for row in each) / len(each) for key in ("trials", "pruned"))
        lines.append(f"| {name} | {trials:.0f} | {pruned:.0f} | {_interval(result['sampled_less_defaults'][name])} |")
    return "\n".join([*lines, "", *_warm(result)])


def _warm(result: dict[str, Any]) -> list[str]:
    """What settings that were found on portfolio A are worth elsewhere, and when a cold search is as good."""
    lines = [
        "Warm start: the best settings of a search on the simulation's portfolio A "
        f"({result['warm_seconds']:.0f} s) tried elsewhere, beside a search that begins cold there.",
        "",
        "| target | seed | transferred settings | defaults there | seconds, warm | cold search as good after |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(result["warm"], key=lambda row: (row["target"], row["seed"])):
        cold = row["cold_seconds_to_it"]
        reached = f"{cold:.1f} s" if cold is not None else f"never, in {row['cold_seconds']:.0f} s"
        lines.append(
            f"| {row['target']} | {row['seed']} | {row['transferred']:.3f} | {row['cold_before']:.3f} | "
            f"{row['transferred_seconds']:.1f} | {reached} |"
        )
    return lines


def searches(result: dict[str, Any]) -> str:
    """What a search brings in each template, from the command line."""
    lines = [
        f"**Tuning** from the command line, `tune --time-budget {60 * result['minutes']:.0f}s`: differences seed by "
        "seed, with 95 % intervals: what TPE with pruning found less what random "
        "search found, on the validation that both search on; the model that the TPE search ended with less one "
        "trained with the defaults, on the test.",
        "",
        "| | seeds | trials, TPE / random | took at most, of | TPE less random | tuned less defaults, test |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["compared"]:
        rows = [each for each in result["rows"] if each["domain"] == row["domain"] and "trials" in each]
        trials = {
            arm: [each["trials"] for each in rows if each["arm"] == arm] for arm in {each["arm"] for each in rows}
        }
        means = " / ".join(f"{sum(trials[arm]) / len(trials[arm]):.0f}" for arm in sorted(trials))
        took = f"{max(each['wall_seconds'] for each in rows):.0f} s of {60 * result['minutes']:.0f} s"
        lines.append(
            f"| {row['domain']}, {rows[0].get('data', 'embedded')} data | {row['seeds']} | {means} | {took} | "
            f"{_interval(row['tpe_less_random_validation'])} | {_interval(row['tuned_less_defaults_test'])} |"
        )
    return "\n".join(lines)


def transfer(result: dict[str, Any]) -> str:
    """What cached features and the library's convolutions bring on a CPU."""
    rows, ratio = result["rows"], result["cached_ratio"]
    lines = [
        f"**Transfer learning on a CPU**, EfficientNet-Lite0 at {result['image_size_px']} px, median of "
        f"{result['rounds']} processes. A head on frozen features of {result['images']} images, {result['epochs']} "
        f"epochs: {rows['recomputed']['seconds']:.1f} s recomputed, {rows['cached']['seconds']:.1f} s cached, "
        f"{ratio['median']:.1f} times as fast ({ratio['low']:.1f} to {ratio['high']:.1f}; compiling and writing the "
        f"cache included). Batches of {result['step_batch']}:",
        "",
        "| convolutions | step of full fine-tuning | prediction | first step, compiled |",
        "|---|---|---|---|",
    ]
    labels = {"library": "`paceline.convolution`, JAX", "keras": "Keras's own, JAX"}
    labels["torch"] = f"Keras's own, torch {result.get('torch', '')}"
    for name, label in labels.items():
        if name in rows:
            row = rows[name]
            first = f"{row['first_step_seconds']:.1f} s"
            lines.append(f"| {label} | {row['step_ms']:.0f} ms | {row['predict_ms']:.0f} ms | {first} |")
    return "\n".join(lines)


def renderer(result: dict[str, Any]) -> str:
    """How fast driving scenes are rendered."""
    rates = ", ".join(
        f"{row['frames_per_second']:.0f} frames/s at {row['width_px']} × {row['height_px']} px"
        for row in result["rows"]
    )
    return f"**Renderer** of road scenes, CPU time of one core, {result['frames']} frames: {rates}."


def simulator(result: dict[str, Any]) -> str:
    """How fast payments are simulated."""
    lines = [
        f"**Simulators** of card payments, everything on, CPU time of one core: best of {result['repetitions']}.",
        "",
        "| `data.simulator` | transactions | frauds | transactions/s | peak memory |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        rate = row["transactions"] / row["cpu_seconds"]
        lines.append(
            f"| `{name}` | {row['transactions']:,} | {row['frauds']:.2%} | {rate:,.0f} | {row['peak_mb']:,.0f} MB |"
        )
    return "\n".join(lines)


def phantom(result: dict[str, Any]) -> str:
    """How fast the phantom cohort is written and read, and how hard it is."""
    write, first, again = (result[name]["seconds"] for name in ("write", "load_first", "load_again"))
    lines = [
        f"**Phantom cohort**, {result['files']} DICOM files of {result['image_size_px']} pixels: written in "
        f"{write:.1f} s (best of 3), read for the first time in {first:.1f} s, from the cache in {again:.2f} s. How "
        "hard it is, by mean AUROC over the five labels; one cohort, split and initialisation a seed:",
        "",
        "| model | cohorts | test | external site |",
        "|---|---|---|---|",
    ]
    for model in dict.fromkeys(row["model"] for row in result["hardness"]):
        rows = [row for row in result["hardness"] if row["model"] == model]
        cells = []
        for part in ("test", "external"):
            values = [row[part] for row in rows]
            cells.append(f"{statistics.fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})".replace("0.", "."))
        lines.append(f"| {model} | {len(rows)} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def medical(result: dict[str, Any]) -> str:
    """The medical template on BreastMNIST, beside the published recipe."""
    rows = sorted(result["candidates"], key=lambda row: -row["validation_auroc"]["mean"])
    best, second = rows[0], rows[1]
    names = {"model.head": "head", "train.l2": "L2 penalty", "data.image_size_px": "pixels"}
    chosen = ", ".join(f"{name} {best[key]}" for key, name in names.items())
    lines = [
        f"**Medical imaging** on BreastMNIST's official split, {result['runs']} seeds. Of {len(rows)} candidates "
        f"(head, penalty, size) the one with the best mean validation AUROC was taken: {chosen} "
        f"({_spread(best['validation_auroc'], 5)}; the next {_spread(second['validation_auroc'], 5)}). During "
        "development the test scores of settings near these had been seen, so the test is not wholly unseen. "
        "Features are computed anew in each run.",
        "",
        "| model | runs | test AUROC | wall time | processor time |",
        "|---|---|---|---|---|",
        "| published: ResNet-18, 28 px | | .901 | | |",
    ]
    kept = ROOT / "ci" / "results" / "resnet18.json"
    if kept.exists():
        other = json.loads(kept.read_text(encoding="utf-8"))
        score = f"{other['auroc']:.3f}".replace("0.", ".")
        lines.append(
            f"| its recipe, run here | 1 | {score} | {other['wall_seconds']:,.0f} s | {other['cpu_seconds']:,.0f} s |"
        )
    lines.append(
        f"| `configs/breastmnist.toml` | {result['runs']} | {_spread(result['auroc'], result['runs'])} "
        f"| {result['wall_seconds']['mean']:.0f} s | {result['cpu_seconds']['mean']:.0f} s |"
    )
    if "recipe" in result:
        pairs = result["recipe"]
        values = [pair["value"] for pair in pairs["difference"]]
        low, high = (f"{each:.3f}".replace("0.", ".") for each in (min(values), max(values)))
        lines += [
            "",
            f"Paired with the recipe by DeLong, the differences are {low} to {high}, with p from "
            f"{min(pairs['p_values']):.2f} to {max(pairs['p_values']):.2f}: 156 test images do not show which ranks "
            f"better. The recipe takes {pairs['cpu_ratio']:.0f} times the processor time. Other work ran on the "
            "machine, most of it beside the recipe, so its wall time says less.",
        ]
    return "\n".join(lines)


def driving(result: dict[str, Any]) -> str:
    """CamVid's published split and its sequences, what pretraining brings, and the time of a frame."""
    lines = ["**Driving perception** on CamVid.", *(_by_split(result["sequences"]) if "sequences" in result else [])]
    if "pretraining" in result:
        lines += ["", *_beginnings(result["pretraining"])]
    if "latency" in result:
        lines += ["", *(_latency(row) for row in result["latency"])]
    return "\n".join(lines)


def _by_split(rows: list[dict[str, Any]]) -> list[str]:
    names = sorted({row["test"] for row in rows})  # the published split, "", comes first
    titles = (f"{name} left out" if name else "published `val`" for name in names)
    lines = [
        "A third of the published training and validation frames was at hand, none of the test's. Mean IoU on two "
        "kinds of split: the published one (trained on `train`, scored on `val`) and a drive left out (trained on the "
        "other two). The published split cuts sequences in two, and its `val` is a clip of a drive that `train` holds: "
        "the first column is of the kind that is published, the others are what a new drive would see. One seed; the "
        "wall time is that of the slowest run of its row, each from an empty cache.",
        "",
        f"| model | parameters | {' | '.join(titles)} | mean of those left out | wall time at most |",
        f"|---|---|{'---|' * len(names)}---|---|",
    ]
    floors = {row["test"]: row["floor"] for row in rows}
    lines.append(f"| location prior | | {_scores(floors, names)} | |")
    for model in dict.fromkeys(row["model"] for row in rows):
        of_model = [row for row in rows if row["model"] == model]
        scores = {row["test"]: row["mean_iou"] for row in of_model}
        seconds = max(row["wall_seconds"] for row in of_model)
        parameters = of_model[0]["parameters"] / 1e6
        lines.append(f"| {_code(model)} | {parameters:.2f} M | {_scores(scores, names)} | {seconds:.0f} s |")
    return lines


def _scores(scores: dict[str, float], names: list[str]) -> str:
    """Return a cell for each split and the mean of those of a sequence left out, empty where one was not measured."""
    cells = [f"{scores[name]:.3f}" if name in scores else "" for name in names]
    left_out = [scores.get(name) for name in names if name]
    known = [score for score in left_out if score is not None]
    mean = f"{statistics.fmean(known):.3f}" if known and len(known) == len(left_out) else ""
    return " | ".join((*cells, mean))


def _beginnings(rows: list[dict[str, Any]]) -> list[str]:
    seeds = len({row["seed"] for row in rows})
    drawn = [row for row in rows if "drawn" in row]
    pretraining = (
        f" on {drawn[0]['drawn']} drawn frames ({statistics.fmean(row['drawn_wall_seconds'] for row in drawn):.0f} s)"
        if drawn
        else ""
    )
    lines = [
        f"Pretraining of the real-time preset{pretraining}, then CamVid without {rows[0]['test']}, the same number of "
        f"updates; mean IoU there of {seeds} seed{'s' if seeds > 1 else ''}:",
        "",
        "| training frames | from nothing | from drawn frames |",
        "|---|---|---|",
    ]
    for frames in dict.fromkeys(row["frames"] for row in rows):
        of_share = [row for row in rows if row["frames"] == frames]
        cells = (
            ", ".join(f"{row['mean_iou']:.3f}" for row in of_share if row["from"] == beginning)
            for beginning in ("nothing", "drawn frames")
        )
        lines.append(f"| {frames}: {of_share[0]['training_frames']} | {' | '.join(cells)} |")
    return lines


def _latency(found: dict[str, Any]) -> str:
    rows = [row for row in found["rows"] if row["scope"] == "end to end"]
    cells = "; ".join(f"{row['engine']} {row['p50_ms']:.1f} and {row['p99_ms']:.1f} ms" for row in rows)
    frame = " × ".join(map(str, found["frame_px"]))
    network = f" at {' × '.join(map(str, found['network_px']))} px" if "network_px" in found else ""
    return (
        f"One frame of {frame} px end to end by the real-time preset{network} ({found['parameters'] / 1e6:.2f} M "
        f"parameters), p50 and p99 on {rows[0]['threads']} threads: {cells}; the budget is {found['budget_ms']:g} ms."
    )


def _code(name: str) -> str:
    return f"`{name}`" if name.endswith(".toml") else name


def generation(result: dict[str, Any]) -> str:
    """What generating a project costs."""
    seconds = dict(result["median_seconds"])
    empty = seconds.pop("empty")
    each = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    return f"**Generation** of a project, median of {result['turns']}: {each}; an empty template {empty:.2f} s."


def scale(result: dict[str, Any]) -> str:
    """Fraud beyond memory, by its size."""
    sizes = result["sizes"]
    lines = [
        f"**Beyond memory**: `train.external_memory`, {result['rounds']} rounds twice (selection, refit), no "
        "intervals; files in no order of time.",
        "",
        "| transactions | trained on | wall time | reading | features | bins and rounds | memory at most |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sizes:
        boosting = row["seconds"]["build"] + row["seconds"]["train"] + row["seconds"]["validation"]
        lines.append(
            f"| {row['transactions']:,} | {row['trained_on']:,} | {row['wall_seconds']:.0f} s | "
            f"{row['read_seconds']:.0f} s | {row['features_seconds']:.0f} s | {boosting:.0f} s | "
            f"{row['peak_memory_gb']:.1f} GB |"
        )
    x = ", ".join(f'"{row["transactions"] / 1e6:.0f}"' for row in sizes)
    y = ", ".join(f"{row['wall_seconds']:.0f}" for row in sizes)
    chart = f'xychart-beta\n  x-axis "million transactions" [{x}]\n  y-axis "seconds"\n  bar [{y}]'
    return "\n".join([*lines, "", "```mermaid", chart, "```"])


def gpu(result: dict[str, Any]) -> str:
    """What the domains manage on a GPU, and on the CPU beside it."""
    names = ", ".join(each["name"] for each in result["gpus"])
    lines = [
        f"**GPU** ({names}) and the CPU beside it, the same trainings on embedded data. Time to score: until both had "
        "reached the same validation score.",
        "",
        "| | device | precision | examples/s | of the measured ceiling | time to score | predicted | took |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        seconds = [row[f"{name}_seconds"] for name in ("predicted", "wall")]
        rate = "" if row["examples_per_second"] is None else f"{row['examples_per_second']:,.0f}"
        reached = "" if row["seconds_to_same_score"] is None else f"{row['seconds_to_same_score']:.0f} s"
        times = " | ".join("" if each is None else f"{each:.0f} s" for each in seconds)
        lines.append(
            f"| {row['workload']} | {row['device']} | {row['precision']} | {rate} | {row['of_the_ceiling']} | "
            f"{reached} | {times} |"
        )
    lines += ["", *(f"- {row['workload']}: {row['bound']}" for row in result["rows"] if row["device"] == "gpu")]
    return "\n".join(lines)


def demo(result: dict[str, Any]) -> str:
    """What the first command of this page takes."""
    lines = [
        "**`sh ci/demo`** in a fresh clone: generate, install, train on the data that comes with it, report.",
        "",
        "| template | every cache empty | the second time |",
        "|---|---|---|",
    ]
    for name, row in result["rows"].items():
        lines.append(f"| {name} | {row['cold_seconds']:.0f} s | {row['warm_seconds']:.0f} s |")
    return "\n".join(lines)


def estimate(result: dict[str, Any]) -> str:
    """Predictions of the wall time against outcomes, and how budgets were kept."""
    whole, budgets = result["kinds"]["all"], result["budgets"]
    sessions = "1 session" if result["sessions"] == 1 else f"{result['sessions']} sessions"
    lines = [
        f"**Predicted against actual** wall time: {whole['pairs']} runs of {result['workloads']} workloads in "
        f"{sessions}, {whole['seconds']:.0f} s each (median); every prediction made in its run, "
        f"after {whole['made_after']:.0%} of it (median), and sealed before the outcome. Other work ran on the "
        f"machine: the median load was {result['load']:.1f} on two cores"
        + (
            f", and repeated identical runs lay {whole['repeats_spread']:.0%} from their own median."
            if whole["repeats_spread"] is not None
            else "."
        ),
        "",
        "| | runs | error, median | 90th percentile | bias | repeats | inside 50 % | inside 80 % | inside 90 % | "
        "width of 90 % | end not known | rate × epochs | first epoch × epochs | mean step × steps |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result["kinds"].items():
        repeats = "" if row["repeats_spread"] is None else f"{row['repeats_spread']:.0%}"
        rules = " | ".join(f"{row[rule]:.0%}" for rule in ("progress_bar", "first_epoch", "mean_step"))
        lines.append(
            f"| {name} | {row['pairs']} | {row['median_error']:.0%} | {row['p90_error']:.0%} | {row['bias']:+.0%} | "
            f"{repeats} | {row['inside_50']['value']:.0%} | {_share(row['inside_80'])} | {_share(row['inside_90'])} | "
            f"{row['width_90']:.0%} | {row['abstentions']} | {rules} |"
        )
    lines += [
        "",
        "The last three columns are the median errors of simpler rules at the same moment; repeats: the median "
        "distance of identical runs from their own median; end not known: of runs that may stop early, those whose "
        "end was left open. In brackets: 95 % intervals.",
    ]
    if budgets:
        lines[-1] += (
            f" `--time-budget` of 20 to 60 s, timed from outside until the process was gone: {budgets['runs']} runs, "
            f"{budgets['over']} over it, the longest {budgets['longest']:.0%} of it (session by session "
            + ", ".join(f"{each['over']} of {each['runs']}" for each in budgets["by_session"].values())
            + ")"
        )
        if budgets["used_median"] is not None:
            lines[-1] += (
                f"; those cut or filled used {budgets['used_median']:.0%} (median; least {budgets['used_least']:.0%})"
            )
        lines[-1] += f"; {result['refused']} refused as too short." if result["refused"] else "."
    if failed := len(result["failed"]):
        lines[-1] += f" {failed} more {'run' if failed == 1 else 'runs'} ended in an error."
    if (early := result.get("early") or {"runs": 0})["runs"]:
        lines[-1] += (
            f" Of {early['runs']} runs that stop early {early['abstained']} left open at first when; the error of the "
            f"first prediction that knew, or else of that at a tenth of their most epochs: "
            f"{early['median_error']:.0%} (median)."
        )
    if (others := result.get("disturbed") or {"runs": 0})["runs"]:
        lines[-1] += (
            f" Other work that wanted each core twice began after the prediction in {others['runs']} more runs, which "
            f"took {statistics.median(others['longer']):.1f} times what was predicted (median): {others['revised']} "
            f"predicted again with a wider interval, {others['warned']} warned, and {others['revised_inside_90']} "
            "ended inside the last interval of 90 %."
        )
    observed = ", ".join(f"{100 * whole[f'inside_{level}']['value']:.0f}" for level in (50, 80, 90))
    lines += [
        "",
        "```mermaid",
        "xychart-beta",
        '  title "Runs inside their interval (bars), and promised (line)"',
        '  x-axis "interval" ["50 %", "80 %", "90 %"]',
        '  y-axis "% of runs" 0 --> 100',
        f"  bar [{observed}]",
        "  line [50, 80, 90]",
        "```",
    ]
    return "\n".join(lines)


def _share(found: dict[str, float]) -> str:
    return f"{found['value']:.0%} ({found['low']:.0%} to {found['high']:.0%})"


def backends(result: dict[str, Any]) -> str:
    """One network on several engines."""
    height, width = result["frame_px"]
    versions = result["versions"]
    lines = [
        f"**One network, several engines**: the driving template's `small` preset ({result['parameters']:,} weights), "
        f"batches of {result['batch']} frames of {width} x {height} px, loss and update included; an answer is of one "
        f"frame. Median of {result['rounds']} rounds in turn; torch {versions['torch']}, TensorFlow "
        f"{versions['tensorflow']}, without `torch.compile`.",
        "",
        "| | step | slowest round / fastest | first step | answer |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        lines.append(
            f"| {name} | {row['step_ms']:.0f} ms | {result['spread'][name]:.2f} | {row['first_step_seconds']:.1f} s | "
            f"{row['answer_ms']:.1f} ms |"
        )
    return "\n".join(lines)


def levers(result: dict[str, Any]) -> str:
    """What each time-saver brings, the two classes apart, every domain in each."""
    lines = [
        f"**Time-savers** on the embedded data, {result['minutes']:.0f} minutes of `levers` a workload. A gain is how "
        "many times as fast, with its 90 % interval where there are enough pairs: a pass over the data by turns of two "
        "trainings, or a whole training to the same validation score. [METHODS.md](shared/METHODS.md) says when each "
        "does not help.",
    ]
    for kind, gain, title in (
        ("throughput", "speed", "speed of a pass"),
        ("convergence", "time_gain", "time to the same score"),
    ):
        lines += ["", f"| workload | {kind} lever | {title} | the whole training | best score, change | seeds |"]
        lines.append("|---|---|---|---|---|---|")
        for workload in result["workloads"]:
            for row in workload["levers"]:
                if row["kind"] != kind or row["reason"]:
                    continue
                change = f"{row['score_change']:+.3f} {workload['score']}" if "score_change" in row else "not trained"
                lines.append(
                    f"| {workload['workload']} | {row['lever']} | {_gain(row.get(gain)) or 'not reached'} | "
                    f"{_gain(row.get('training_gain'))} | {change} | {row.get('seeds', '')} |"
                )
    missing = [f"{row['lever']} ({each['workload']})" for each in result["workloads"] for row in each["levers"]
               if row["reason"]]  # fmt: skip
    if missing:
        lines += ["", f"Not found out in that time: {', '.join(missing)}."]
    return "\n".join(lines)


def _gain(gain: dict[str, Any] | None) -> str:
    if gain is None:
        return ""
    return f"{gain['value']:.2f}" + (f" ({gain['low']:.2f} to {gain['high']:.2f})" if gain["low"] is not None else "")


TABLES = {
    "fraud": fraud,
    "choices": choices,
    "retrain": retrain,
    "tune": tune,
    "searches": searches,
    "estimate": estimate,
    "levers": levers,
    "overhead": overhead,
    "simulator": simulator,
    "features": features,
    "predict": predict,
    "scale": scale,
    "transfer": transfer,
    "driving": driving,
    "backends": backends,
    "renderer": renderer,
    "medical": medical,
    "phantom": phantom,
    "generation": generation,
    "gpu": gpu,
    "demo": demo,
}


def _spread(value: dict[str, float], runs: int) -> str:
    deviation = f" ± {value['deviation']:.3f}" if runs > 1 else ""
    return f"{value['mean']:.3f}{deviation}".replace("0.", ".")


def _interval(value: dict[str, float]) -> str:
    return f"{value['value']:+.4f} ({value['low']:+.4f} to {value['high']:+.4f})"


def conditions(result: dict[str, Any]) -> str:
    """When, where and with what something was measured."""
    software = result["software"]
    versions = ", ".join(
        f"{name} {software[name]}" for name in ("python", "xgboost-cpu", "keras", "jax") if name in software
    )
    return f"<sub>{result['measured_on']}, {result['machine']}, {versions}.</sub>"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    text = insert(readme.read_text(encoding="utf-8"), render(ROOT / "ci" / "results"))
    atomic.write_text(readme, text)
    print(f"Written to {readme.name}.")
