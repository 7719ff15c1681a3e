"""What a search came to, as facts for its report and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

from paceline.tune import plan, search

ENDS = ("complete", plan.PRUNED, search.DEADLINE, "failed", "killed")


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
    sign = 1 if larger_is_better else -1
    ranked = sorted(plan.complete(trials), key=lambda trial: (search.excess(trial), -sign * trial.values[0]))
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
