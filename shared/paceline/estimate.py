"""From the terms of a run's time to a prediction: quantiles, phases, and what simpler rules would have said.

Pure, but for `say`: what was measured comes in, a `Prediction` goes out. `pace` makes one inside every run, before its
outcome.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from tqdm import tqdm

from paceline import hindsight
from paceline.forecast import Forecast
from paceline.hindsight import LEVELS, Outcome
from paceline.report import format as fmt
from paceline.terms import Terms

DRAWS = 2000


@dataclass(frozen=True)
class Prediction:
    """How long a run will take.

    Attributes:
        seconds: the wall time of the whole run at each of `hindsight.LEVELS`, in percent.
        computed: the same before the correction by the project's history.
        phases: the expected seconds of each phase of `terms.PHASES`.
        baselines: what simpler rules say, in seconds.
        terms: the terms it was made from.
        stopping: what is known of an early end: `abstains`, `end`, `kept` with their quantiles; empty where none is.
        target: a score to reach: `probability`, and `p50_seconds` where it is likelier than not, or why it `abstains`;
            empty without one.
        history: how good the project's earlier predictions of this kind were; see `hindsight.summary`.
    """

    seconds: Mapping[int, float]
    computed: Mapping[int, float]
    phases: Mapping[str, float]
    baselines: Mapping[str, float]
    terms: Terms
    stopping: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, Any] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Return the prediction as JSON types."""
        return {
            **_named(self.seconds),
            "phases": dict(self.phases),
            "baselines": dict(self.baselines),
            "stopping": dict(self.stopping),
            "target": dict(self.target),
            "terms": self.terms.state(),
            "computed": _named(self.computed),
            "history": dict(self.history),
        }


def predict(
    terms: Terms,
    *,
    baselines: Mapping[str, float],
    forecast: Forecast | None = None,
    target: Mapping[str, Any] | None = None,
    outcomes: Sequence[Outcome] = (),
    seed: int = 0,
) -> Prediction:
    """Return the prediction that follows from `terms`.

    Args:
        terms: of the run, the possible ends of its trainings among them.
        baselines: see `Prediction`.
        forecast: what the ends come from, where a training may stop early.
        target: see `Prediction`.
        outcomes: of the project's earlier predictions of this kind, which correct this one from 20 on.
        seed: of the draws.
    """
    draws = max([len(ends) for ends in terms.ends.values()], default=DRAWS)
    total = np.sum(list(terms.draw(draws, seed).values()), axis=0)
    computed = {level: float(value) for level, value in zip(LEVELS, np.percentile(total, LEVELS), strict=True)}
    stopping: dict[str, Any] = {}
    if forecast is not None:
        for name, values in (("end", forecast.ends), ("kept", forecast.kept)):
            stopping[name] = {f"p{level:02}": float(np.percentile(values, level)) for level in (10, 50, 90)}
        stopping["abstains"] = forecast.abstains
    seconds = hindsight.corrected(computed, outcomes)
    phases = terms.seconds()
    return Prediction(seconds, computed, phases, baselines, terms, stopping, target or {}, hindsight.summary(outcomes))


def baselines(
    *,
    before_seconds: float,
    fit_seconds: float,
    done: float,
    epochs: float,
    first_epoch_seconds: float,
    step_epoch: float,
) -> dict[str, float]:
    """Return what simpler rules say of the wall time; the time before the training is given to each of them.

    Args:
        before_seconds: what had passed when the training began.
        fit_seconds: what the training has taken so far, compilation and all.
        done: epochs done in that time.
        epochs: of all trainings of the run, if none stops early.
        first_epoch_seconds: what the first epoch took, compilation and all.
        step_epoch: mean step × steps of an epoch, compilation and validation left out.

    Returns:
        `progress_bar` (the rate so far × epochs), `first_epoch` (× epochs), `mean_step` (× steps).
    """
    return {
        "progress_bar": before_seconds + (fit_seconds / done if done else 0.0) * epochs,
        "first_epoch": before_seconds + first_epoch_seconds * epochs,
        "mean_step": before_seconds + step_epoch * epochs,
    }


def _named(seconds: Mapping[int, float]) -> dict[str, float]:
    return {f"p{level:02}_seconds": float(value) for level, value in seconds.items()}


def say(prediction: Mapping[str, Any]) -> None:
    """Print a prediction in one line on standard error."""
    tqdm.write(line(prediction, datetime.now().astimezone()), file=sys.stderr)  # above the progress line


def line(prediction: Mapping[str, Any], now: datetime) -> str:
    """Return a prediction in one line.

    Args:
        prediction: as it is in the record.
        now: when it is said, `made_after_seconds` after the run's start.
    """
    middle, low, high = (prediction[f"p{level}_seconds"] for level in ("50", "05", "95"))
    end = now + timedelta(seconds=middle - prediction["made_after_seconds"])
    text = f"predicted: {fmt.duration(middle)} in all (90 % interval {fmt.duration(low)} to {fmt.duration(high)})"
    text += f", done at {end:%H:%M}" if end.date() == now.date() else f", done on {end:%A %H:%M}"
    if reason := prediction["stopping"].get("abstains"):
        text += f"; when early stopping ends it is not known yet: {reason}"
    if prediction["target"]:
        text += f"; {target_words(prediction['target'])}"
    return f"{text}."


def target_words(target: Mapping[str, Any]) -> str:
    """Return when a run will reach its target, whether it will, or that it cannot be known.

    >>> target_words({"score": 0.9, "probability": 0.03})
    'it will not reach 0.900 (probability 97 %)'
    >>> target_words({"score": 0.9, "probability": 0.84, "p50_seconds": 180.0})
    'it reaches 0.900 after 3 min 0 s (probability 84 %)'
    >>> target_words({"score": 0.9, "abstains": "2 scores are too few"})
    'whether it reaches 0.900 is not known yet: 2 scores are too few'
    """
    score = fmt.number(target["score"])
    if reason := target.get("abstains"):
        return f"whether it reaches {score} is not known yet: {reason}"
    probability = target["probability"]
    if probability > 0.5:
        after = fmt.duration(target["p50_seconds"])
        return f"it reaches {score} after {after} (probability {fmt.share(probability)})"
    return f"it will not reach {score} (probability {fmt.share(1 - probability)})"


def stopping_words(stopping: Mapping[str, Any]) -> str:
    """Return when early stopping will end a training, or that it cannot be known.

    >>> stopping_words({"abstains": "", "end": {"p10": 40.0, "p50": 55.0, "p90": 80.0}, "kept": {"p50": 45.0}})
    'at 55 (80 % interval 40 to 80), keeping 45'
    """
    if reason := stopping.get("abstains"):
        return f"not known yet: {reason}"
    end, kept = stopping["end"], stopping["kept"]
    return f"at {end['p50']:.0f} (80 % interval {end['p10']:.0f} to {end['p90']:.0f}), keeping {kept['p50']:.0f}"
