"""Time and score over the size of the data as a table, charts and a sentence, from what `levers --data-sizes` found."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from paceline.report import figure
from paceline.report import format as fmt

FEWEST_SEEDS = 3  # fewer say nothing about their spread


def verdict(found: Mapping[str, Any]) -> str:
    """Return what the last step to all of the data brought, and what it took."""
    before, last = found["sizes"][-2:]
    changes = [more - fewer for fewer, more in zip(before["scores"], last["scores"], strict=True)]
    better = changes if found["larger_is_better"] else [-change for change in changes]
    times = statistics.fmean(last["seconds"]) / statistics.fmean(before["seconds"])
    spread = f" ({min(changes):+.3f} to {max(changes):+.3f} over {len(changes)} seeds)" if len(changes) > 1 else ""
    text = (
        f"From {fmt.share(before['share'])} of the data to {fmt.share(last['share'])} the {fmt.label(found['score'])} "
        f"changed by {statistics.fmean(changes):+.3f}{spread}, and a training took {times:.1f} times as long."
    )
    if len(changes) < FEWEST_SEEDS:
        seeds = "1 seed says" if len(changes) == 1 else f"{len(changes)} seeds say"
        return f"{text} {seeds} little of whether that is chance."
    if min(better) > 0:
        return f"{text} It got better with every seed: more data like these would probably help."
    return f"{text} It did not get better with every seed: more data like these may not help."


def table(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each size: the share, the examples, the score and the seconds, with their ranges over seeds."""
    score = fmt.label(found["score"])
    return [
        {
            "share": fmt.share(size["share"]),
            "examples": size["examples"],
            score: _ranged(size["scores"], lambda value: f"{value:.3f}"),
            "time": _ranged(size["seconds"], fmt.duration),
            "seeds": len(size["scores"]),
        }
        for size in found["sizes"]
    ]


def charts(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the score and the time of a training over the number of examples."""
    examples = [size["examples"] for size in found["sizes"]]
    score = fmt.label(found["score"])

    def drawn(title: str, name: str, key: str) -> dict[str, Any]:
        values = [size[key] for size in found["sizes"]]
        middle = [statistics.fmean(each) for each in values]
        lows, highs = ([pick(each) for each in values] for pick in (min, max))
        return figure.interval(
            title,
            [figure.series(name, examples, middle, lows, highs)],
            x_label="examples learned from",
            y_label=name,
            caption="The mean over the seeds and their range.",
            x_scale="log",
        )

    return [drawn("What more data brings", score, "scores"), drawn("What more data costs", "seconds", "seconds")]


def _ranged(values: list[float], write: Any) -> str:
    text = str(write(statistics.fmean(values)))
    return text if len(values) == 1 else f"{text} ({write(min(values))} to {write(max(values))})"
