"""What a search came to, as facts for its report and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from pydantic import BaseModel

from paceline.errors import PacelineError
from paceline.report import format as fmt
from paceline.tune import charts, comparison, plan, ranking, space, storage, workers
from paceline.tune.settings import Tune
from paceline.tune.task import Task

ENDS = ("complete", plan.PRUNED, plan.DEADLINE, "failed", "killed")


def by_state(trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Return how many trials ended in each way, and the seconds they took; a killed one has left no time."""
    rows = []
    ends = {trial.number: str(plan.facts(trial).get("ended", "killed")) for trial in trials}
    total = sum(float(plan.facts(trial).get("seconds", 0.0)) for trial in trials)
    for end in ENDS:
        seconds = [float(plan.facts(trial).get("seconds", 0.0)) for trial in trials if ends[trial.number] == end]
        if seconds:
            share = sum(seconds) / total if total > 0 else 0.0
            rows.append({"ended": end, "trials": len(seconds), "seconds": sum(seconds), "share_of_time": share})
    return rows


def rows(trials: Sequence[FrozenTrial], *, larger_is_better: bool, most: int = 20) -> list[dict[str, Any]]:
    """Return the best trials with their settings, the best first."""
    ranked = ranking.ordered(trials, larger_is_better=larger_is_better)
    return [
        {
            "trial": trial.number,
            "value": trial.values[0],
            "seconds": plan.facts(trial)["seconds"],
            "settings": {key.rpartition(".")[2]: value for key, value in trial.params.items()},
            **trial.user_attrs.get("notes", {}),
        }
        for trial in ranked[:most]
    ]


def value_before(found: Sequence[FrozenTrial]) -> float | None:
    """Return the value of the settings that the search began from, None where their trial is not complete."""
    first = next((trial for trial in plan.complete(found) if "fixed_params" in trial.system_attrs), None)
    return None if first is None else float(first.values[0])


def facts(
    task: Task[Any, Any],
    study: optuna.Study,
    found: Sequence[FrozenTrial],
    parameters: space.Space,
    best: FrozenTrial,
    compared: dict[str, Any],
    settings: Tune,
) -> dict[str, Any]:
    """Return what the search came to: what the report shows and `report.json` holds."""
    complete = plan.complete(found)
    exceeded = {name: value for name, value in best.constraints.items() if value > 0}
    edge = ranking.front(complete, larger_is_better=task.larger_is_better)
    return {
        "verdict": comparison.verdict(fmt.label(task.score), compared, larger_is_better=task.larger_is_better),
        "best_value": best.values[0],
        "best_trial": best.number,
        "value_before": value_before(found),
        "score": fmt.label(task.score),
        "trials": len(found),
        "requeued_trials": len(storage.requeued(study.get_trials(deepcopy=False))),
        "saved_by_pruning_seconds": plan.saved_seconds(found),
        "sampler": settings.sampler,
        "pruner": study.user_attrs.get(plan.PRUNER, "none"),
        "limits_exceeded": exceeded or "none",
        "time_by_trial_state": by_state(found),
        "search_space": [{"key": key, "range": text} for key, text in space.described(parameters).items()],
        "importance": [{"key": key, "share": share} for key, share in charts.importance(study, complete).items()],
        "comparison": [{"settings": name, **row} for name, row in compared.items() if isinstance(row, dict)],
        "pareto_front": rows(edge, larger_is_better=task.larger_is_better),
        "best_trials": rows(found, larger_is_better=task.larger_is_better),
        "failures": [
            {"trial": trial.number, "error": trial.user_attrs["error"]}
            for trial in found
            if plan.facts(trial).get("ended") == "failed"
        ],
    }


def lead(facts: Mapping[str, Any]) -> str:
    """Return what the search came to, in a few sentences."""
    text = f"The best {facts['score']} of {facts['trials']} trials is {facts['best_value']:.4f} (trial "
    text += f"{facts['best_trial']}), judged without the test"
    if facts["value_before"] is not None:
        text += f"; the settings it began from have {facts['value_before']:.4f}"
    text += f". {facts['verdict']}"
    if begun := facts.get("began_from"):
        text += f" After these it tried {begun['settings']} settings of {begun['study']}"
        text += f", without {begun['values_outside']} values outside its ranges." if begun["values_outside"] else "."
    pruned = [row for row in facts["time_by_trial_state"] if row["ended"] == plan.PRUNED]
    if pruned:
        count = pruned[0]["trials"]
        text += f" Pruning {count} trial{'s' * (count > 1)} saved {fmt.duration(facts['saved_by_pruning_seconds'])}."
    if facts["limits_exceeded"] != "none":
        text += f" No trial keeps all limits: the best exceeds {', '.join(facts['limits_exceeded'])}."
    if facts["best_run_is_a_trial"]:
        text += " Too little time was left for a final run: the result is the model of trial "
        text += f"{facts['best_trial']} itself, which has not seen the test."
    if facts["best_run_shortened"]:
        text += " The final run was shortened, so that everything ended in time"
        text += (
            "; config.toml has the length that it came to."
            if facts["config_reproduces_best_run"]
            else ": train with config.toml goes to the end and gives another model."
        )
    return text


def nothing(
    found: Sequence[FrozenTrial], budget_seconds: float | None, part: workers.Part[Any, Any], config: BaseModel
) -> PacelineError:
    """Return why no trial is complete."""
    if budget_seconds is None:
        return PacelineError("No trial came to its end.", "See their errors, or ask for more: --trials 20.")
    longest = max((float(plan.facts(trial).get("seconds", 0.0)) for trial in found), default=0.0)
    steps = max((int(plan.facts(trial).get("steps", 0)) for trial in found), default=0)
    most = part.task.part_steps(config) * config.tune.folds  # type: ignore[attr-defined] # as above
    whole = longest / steps * most if steps else longest
    needed = part.setup_seconds + whole + part.budget().reserve(whole)
    return PacelineError(
        f"The budget of {fmt.duration(budget_seconds)} ended before one trial did, "
        f"the final run's time kept for it ({steps} of at most {most} steps).",
        f"Give more (about {fmt.duration(needed)} for one trial and the run), or shorten training.",
    )
