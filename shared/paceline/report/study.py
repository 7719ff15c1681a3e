"""How a run's settings were found: the section of its report on the search that it came from."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any

from paceline.report import format as fmt


def sentence(found: Mapping[str, Any]) -> str:
    """Return which search it was, how many trials it made, in what time, and what pruning saved of it."""
    rows = [row for row in found["time_by_trial_state"] if fmt.is_number(row["seconds"])]
    trials = "1 trial" if found["trials"] == 1 else f"{fmt.count(int(found['trials']))} trials"
    spent = fmt.duration(sum(row["seconds"] for row in rows))
    text = f"They are the best of {trials} of the search '{fmt.clip(str(found['name']), 80)}', which took {spent}."
    saved = found.get("saved_by_pruning_seconds")
    return f"{text} Pruning saved {fmt.duration(saved)}." if fmt.is_number(saved) and saved > 0 else text


def table(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each way in which trials ended: how many, their time and its share of all."""
    return [
        {
            "ended": row["ended"],
            "trials": row["trials"],
            "time": fmt.duration(row["seconds"]),
            "share of time": fmt.share(row["share_of_time"]),
        }
        for row in found["time_by_trial_state"]
    ]


def link(found: Mapping[str, Any]) -> str:
    """Return the address of the search's report, relative to the run's folder; nothing else can be reached by it."""
    return urllib.parse.quote(str(found["report"]).lstrip("/"), safe="/")
