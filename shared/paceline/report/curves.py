"""Learning curves: what a training's history shows of over- and underfitting, and its charts as figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from paceline.report import format as fmt

_MOST_CHARTS = 3
_FEWEST_FOR_OVERFITTING = 10  # validation values; fewer cannot tell a fall from chance
_LOSS_THAT_MATTERS = 0.075  # of what validation gained before


class Curve(NamedTuple):
    """The known values of one score over the steps, turned so that more is better; `sign` turns them back."""

    steps: list[float]
    values: list[float]
    sign: int

    def at(self, step: float) -> float:
        """Return the value at the last known step up to `step`, or the first one."""
        before = [value for known, value in zip(self.steps, self.values, strict=True) if known <= step]
        return before[-1] if before else self.values[0]

    def noise(self) -> float:
        """Return the standard deviation of the noise of single values around a smooth curve.

        It is the median size of the second differences, which ignore any straight trend; for independent noise their
        deviation is sqrt(6) times it. Where values stay the same for many steps and then jump, the median is nothing;
        the spread around a running median in the last half is taken then, if it is more.
        """
        bends = [abs(a - 2 * b + c) for a, b, c in zip(self.values, self.values[1:], self.values[2:], strict=False)]
        if not bends:
            return 0.0
        tail = self.values[len(self.values) // 2 :]
        smooth = _running_median(tail)
        rest = [abs(value - level) for value, level in zip(tail, smooth, strict=True)]
        return max(statistics.median(bends) / math.sqrt(6), statistics.median(rest)) / 0.6745


def diagnosis(history: Mapping[str, Any]) -> str:
    """Say what the learning curves show of over- and underfitting, with the figures that show it.

    The rules, on the monitored score, beyond three times the noise of single validation values: still improving where
    validation gained at least 2 % of its whole gain in the last tenth of the steps, or where every permitted step was
    taken, the best is among the last tenth of them, and their median is above that of the tenth before; overfitting
    where validation lost more than 7.5 % of its gain after its best step, as the median of the last tenth of at least
    ten values, while training got better; otherwise levelled off, with a gap where training stands better than
    validation by more than a tenth of what validation gained. What cannot be judged is said to be so.

    Args:
        history: `{"step_unit", "monitor", "mode", "best_step", "rows"}`, see `record.Run.history`.

    >>> rows = [{"step": s, "train_loss": 1 / s, "validation_loss": 1 / s + s / 40} for s in range(1, 41)]
    >>> diagnosis({"step_unit": "epoch", "monitor": "validation_loss", "mode": "min", "rows": rows})[:11]
    'Overfitting'
    """
    unit = str(history.get("step_unit") or "step")
    monitor = str(history.get("monitor") or "")
    if not history.get("rows"):
        return "No learning curve was kept, so over- and underfitting cannot be judged."
    validation = curve(history, monitor)
    name = fmt.label(_bare(monitor)) or "score"
    if len(validation.values) < 3:
        known = f"{len(validation.values)} {'value' if len(validation.values) == 1 else 'values'}"
        return f"Over- and underfitting cannot be judged from {known} of the validation {name}; it takes three."
    train = curve(history, f"train_{_bare(monitor)}")
    best = max(range(len(validation.values)), key=validation.values.__getitem__)
    best_step, last_step = validation.steps[best], validation.steps[-1]
    at_best = validation.values[best]
    gain = at_best - min(validation.values)
    noise = validation.noise()
    sign = validation.sign
    peak = f"validation {name} was best at {unit} {best_step:g} with {fmt.number(sign * at_best)}"
    # Noise alone spreads n values over about 2 sqrt(2 ln n) deviations.
    if gain <= 2 * math.sqrt(2 * math.log(len(validation.values))) * noise and best < len(validation.values) - 1:
        return (
            f"No learning is visible: the validation {name} moved between "
            f"{fmt.number(sign * min(validation.values))} and {fmt.number(sign * at_best)}, no more than its own noise."
        )
    if not train.values:
        return f"The {peak}. No training scores were kept, so the gap to training is unknown."
    gap = train.at(best_step) - at_best
    stand = f"training stood at {fmt.number(sign * train.at(best_step))} there, {_gap(gap)}"
    count = len(validation.values)
    late = statistics.median(validation.values[-max(3, count // 10) :])
    loss, rise = at_best - late, train.values[-1] - train.at(best_step)
    if count >= _FEWEST_FOR_OVERFITTING and loss > max(3 * noise, _LOSS_THAT_MATTERS * gain) and rise > 0:
        return (
            f"Overfitting after {unit} {best_step:g}: from there to {unit} {last_step:g} training went on from "
            f"{fmt.number(sign * train.at(best_step))} to {fmt.number(sign * train.values[-1])} while validation fell "
            f"back from {fmt.number(sign * at_best)} to {fmt.number(sign * late)}."
        )
    start = validation.steps[0] + 0.9 * (last_step - validation.steps[0])
    gained = at_best - validation.at(start)
    all_taken = str(history.get("stop_reason") or "").startswith("all ")
    rising = gained > max(3 * noise, 0.02 * gain) or (all_taken and _rises(validation.values, noise))
    if best_step >= start and rising:
        ended = f" {_capital(unit)} {last_step:g} was the last one permitted." if all_taken else ""
        return (
            f"Still improving when it ended, so rather underfitted: the validation {name} went from "
            f"{fmt.number(sign * validation.at(start))} to {fmt.number(sign * at_best)} in the last tenth of the "
            f"{_plural(unit)}; {stand}.{ended} More {_plural(unit)} would probably help."
        )
    kept = f" The model kept is that of {unit} {best_step:g}." if _kept(history, best_step) else ""
    levelled = f"The validation {name} levelled off: it was best at {unit} {best_step:g} with"
    levelled += f" {fmt.number(sign * at_best)}; {stand}.{kept}"
    if gap > max(3 * noise, 0.1 * gain):
        return f"{levelled} More data or regularisation can narrow that gap; more {_plural(unit)} will not."
    return f"{levelled} There is little gap, so a larger model or better inputs might help; more {_plural(unit)} not."


def curve(history: Mapping[str, Any], key: str) -> Curve:
    """Return the finite values of `key` over the steps, turned so that more is better."""
    sign = -1 if history.get("mode") == "min" else 1
    pairs = [(row.get("step"), row.get(key)) for row in history.get("rows") or []]
    known = [
        (float(step), sign * float(value)) for step, value in pairs if fmt.is_number(step) and fmt.is_number(value)
    ]
    return Curve([step for step, _ in known], [value for _, value in known], sign)


def learning_curves(history: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a figure for each score of the history that has training or validation values, the monitored one first."""
    rows = [row for row in history.get("rows") or [] if fmt.is_number(row.get("step"))]
    keys = dict.fromkeys(key for row in rows for key in row if fmt.is_number(row[key]))
    bases = dict.fromkeys(_bare(key) for key in keys if key.startswith(("train_", "validation_")))
    monitored = _bare(str(history.get("monitor") or ""))
    ordered = sorted(bases, key=lambda base: base != monitored)[:_MOST_CHARTS]
    return [_figure(history, rows, base, monitored=base == monitored) for base in ordered]


def _figure(
    history: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], base: str, *, monitored: bool
) -> dict[str, Any]:
    unit = str(history.get("step_unit") or "step")
    series, points, lines = [], [], []
    for part in ("validation", "train"):
        pairs = [(row["step"], row[f"{part}_{base}"]) for row in rows if fmt.is_number(row.get(f"{part}_{base}"))]
        if pairs:
            name = "training" if part == "train" else part
            series.append({"name": name, "x": [step for step, _ in pairs], "y": [value for _, value in pairs]})
    best = history.get("best_step")
    if fmt.is_number(best) and best > 0:
        value = next((row.get(f"validation_{base}") for row in rows if row["step"] == best), None)
        if monitored and fmt.is_number(value):
            points.append({"name": f"best: {fmt.number(value)} at {unit} {best:g}", "x": best, "y": value})
        elif not monitored:
            lines.append({"name": f"{unit} {best:g}", "x": best})
    return {
        "title": f"{fmt.label(base).capitalize() if base.islower() else fmt.label(base)} over {_plural(unit)}",
        "caption": "",
        "kind": "line",
        "x_label": unit,
        "x_whole": True,
        "y_label": fmt.label(base),
        "series": series,
        "points": points,
        "lines": lines,
    }


def thin(rows: Sequence[tuple[Any, ...]], most: int) -> list[tuple[Any, ...]]:
    """Return at most `most` of the rows (x, y), keeping the ends and the extremes of every stretch.

    >>> thin([(0, 5), (1, 9), (2, 1), (3, 5), (4, 5), (5, 5)], 4)
    [(0, 5), (1, 9), (2, 1), (5, 5)]
    """
    if len(rows) <= most:
        return list(rows)
    stretches = max(1, (most - 2) // 2)
    inner = range(1, len(rows) - 1)
    kept = {0, len(rows) - 1}
    for stretch in range(stretches):
        places = inner[stretch * len(inner) // stretches : (stretch + 1) * len(inner) // stretches]
        if places:
            kept |= {min(places, key=lambda place: rows[place][1]), max(places, key=lambda place: rows[place][1])}
    return [rows[place] for place in sorted(kept)]


def _gap(gap: float) -> str:
    return (
        f"{fmt.number(abs(gap))} {'better' if gap > 0 else 'worse'} than validation" if gap else "equal to validation"
    )


def _kept(history: Mapping[str, Any], best_step: float) -> bool:
    """Whether the model of the best step is kept, not the last: that step is named and patience ended the training."""
    return history.get("best_step") == best_step and str(history.get("stop_reason") or "").startswith("no better")


def _rises(values: Sequence[float], noise: float) -> bool:
    """Whether the last tenth lies above the tenth before by more than twice what noise makes of their medians."""
    size = max(3, len(values) // 10)
    before = values[-2 * size : -size] or values[:1]
    error = 1.25 * noise * math.sqrt(1 / size + 1 / len(before))
    return statistics.median(values[-size:]) - statistics.median(before) > 2 * error


def _running_median(values: Sequence[float], reach: int = 2) -> list[float]:
    return [statistics.median(values[max(0, at - reach) : at + reach + 1]) for at in range(len(values))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _bare(key: str) -> str:
    return key.removeprefix("validation_").removeprefix("train_")


def _plural(unit: str) -> str:
    return f"{unit}s"
