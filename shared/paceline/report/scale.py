"""The numbers of a chart's axes: round ticks, their labels, and where a value lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

WIDE, NARROW = 700, 350  # pixels of a drawing for wide and for narrow screens

Scale = Callable[[float], float]


def ticks(low: float, high: float, most: int = 6, *, whole: bool = False) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) from at or below `low` to at or above `high`.

    Whole ones for what is counted, where asked for.

    >>> ticks(0.03, 0.97)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(5, 5)
    [4.0, 4.5, 5.0, 5.5, 6.0]
    >>> ticks(1, 4, whole=True)
    [1.0, 2.0, 3.0, 4.0]
    """
    if not high > low:
        reach = abs(low) / 5 or 1.0
        low, high = low - reach, low + reach
    raw = max((high - low) / (most - 1), 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12 - math.floor(math.log10(step))) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten that enclose the range; under two of them also 2 and 5 times each.

    >>> log_ticks(0.004, 90)
    [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    if last - first <= 2:
        fine = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
        start = max(index for index, tick in enumerate(fine) if tick <= low * (1 + 1e-9))
        stop = min(index for index, tick in enumerate(fine) if tick >= high * (1 - 1e-9))
        return fine[start : max(stop, start + 1) + 1]
    stride = math.ceil((last - first) / 6)
    return [10.0**power for power in range(first, last + stride, stride)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Return tick labels with equally many decimals, as few as tell them apart.

    >>> tick_texts([0.0, 0.25, 0.5]), tick_texts([0.0, 20000.0])
    (['0.00', '0.25', '0.50'], ['0', '20,000'])
    """
    if max(abs(value) for value in values) >= 1e7 or 0 < min(abs(b - a) for a, b in itertools.pairwise(values)) < 1e-5:
        digits = next(d for d in range(3, 18) if len({f"{value:.{d}g}" for value in values}) == len(values) or d == 17)
        texts = ["0" if value == 0 else f"{value:.{digits}g}" for value in values]
        return [text.replace("e+0", "e").replace("e-0", "e-") for text in texts]
    decimals = next(d for d in range(7) if all(abs(round(value, d) - value) < 1e-9 for value in values) or d == 6)
    return [f"{value:,.{decimals}f}" for value in values]


def log_tick_texts(values: Sequence[float]) -> list[str]:
    """Return labels of a log axis, each with only the decimals that it needs itself.

    >>> log_tick_texts([0.01, 1.0, 10000.0]), log_tick_texts([1e-9])
    (['0.01', '1', '10,000'], ['1e-9'])
    """
    return [
        f"{value:,.6f}".rstrip("0").rstrip(".") if 1e-5 <= value < 1e7 else f"{value:g}".replace("e-0", "e-")
        for value in values
    ]


def linear_or_log(low: float, high: float, start: float, end: float, *, log: bool) -> Scale:
    """Return the map that takes `low` to `start` and `high` to `end`."""
    if log:
        low, high = math.log10(low), math.log10(high)
        return lambda value: start + (math.log10(value) - low) / (high - low) * (end - start)
    return lambda value: start + (value - low) / (high - low) * (end - start)
