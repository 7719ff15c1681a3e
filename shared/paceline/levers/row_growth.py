"""How a pass over the data grows with their rows: measured on shares of them, in turns, by short probes.

A round of boosting takes something for its nodes and bins whatever the rows, and something for each row. Shares of the
rows show how much of either. Beyond the rows there are, two laws that both go through what was measured, a straight
line and a power, say what may come; they differ by what is not known.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paceline import clock
from paceline import config as configuration
from paceline.levers import probe_run
from paceline.levers.task import Config, Prepared, Task
from paceline.levers.turns import Handover, Side
from paceline.progress import Unseen

SHARES = (0.25, 0.5, 1.0)
SECONDS = 6.0  # of turns, getting ready not counted
LEAST_TURNS = 3  # of each share, the first, which fills caches, left out
LEAST_ERROR = 0.01  # of a size's mean: turns are alike, machines drift
LAW_ERROR = 0.05  # per factor of e in rows: caches that no longer hold what they held


@dataclass(frozen=True)
class Size:
    """What one share showed: its rows, the seconds of a pass, and the relative error of their mean."""

    rows: int
    seconds: float
    error: float


@dataclass(frozen=True)
class Growth:
    """How a pass grows, by what sizes showed, the smallest first."""

    sizes: tuple[Size, ...]

    def exponent(self) -> tuple[float, float]:
        """Return the exponent of the rows in the seconds of a pass, and its standard error."""
        x = [math.log(size.rows) for size in self.sizes]
        middle = statistics.fmean(x)
        spread = sum((each - middle) ** 2 for each in x)
        weights = [(each - middle) / spread for each in x]
        exponent = sum(weight * math.log(size.seconds) for weight, size in zip(weights, self.sizes, strict=True))
        error = math.sqrt(sum((weight * size.error) ** 2 for weight, size in zip(weights, self.sizes, strict=True)))
        return exponent, error

    def fixed_share(self) -> float:
        """Return the share of a pass over all rows that takes the same for any number of them, 0 where there is none.

        By least squares of relative distances from a straight line.
        """
        rows = [size.rows / self.sizes[-1].rows for size in self.sizes]
        weights = [1 / size.seconds for size in self.sizes]
        s11 = sum(w * w for w in weights)
        s12 = sum(w * w * r for w, r in zip(weights, rows, strict=True))
        s22 = sum(w * w * r * r for w, r in zip(weights, rows, strict=True))
        s1, s2 = sum(weights), sum(w * r for w, r in zip(weights, rows, strict=True))
        determinant = s11 * s22 - s12 * s12
        fixed, each = (s1 * s22 - s2 * s12) / determinant, (s11 * s2 - s12 * s1) / determinant
        return min(1.0, max(0.0, fixed / (fixed + each))) if fixed + each > 0 else 0.0

    def times(self, by: float) -> tuple[float, float]:
        """Return how many times as long a pass over `by` times the rows takes, and the error of the logarithm.

        >>> growth = Growth((Size(100, 2.0, 0.01), Size(200, 3.0, 0.01), Size(400, 5.0, 0.01)))
        >>> round(growth.fixed_share(), 3), round(growth.times(2.0)[0], 3)
        (0.2, 1.8)
        """
        exponent, error = self.exponent()
        fixed = self.fixed_share()
        power = by**exponent
        straight = fixed + (1 - fixed) * by if fixed > 0 else power
        if not fixed and by > 1:  # nothing is fixed, so more rows take their time, whatever noise says
            straight = max(power, by)
        apart = 0.5 * math.log(straight / power)
        return straight, math.hypot(error * math.log(by), apart, LAW_ERROR * math.log(by))


def measure(
    task: Task[Config, Prepared],
    config: Config,
    *,
    shares: Sequence[float] = SHARES,
    seconds: float = SECONDS,
    read: Callable[[], float] = clock.now,
) -> Growth | None:
    """Return how a pass grows with the rows; None where a training was over before it had shown anything.

    Args:
        task: the project's side of `levers`: how it trains on a share of its rows, the test left out.
        config: how it is trained.
        shares: of the rows, in rising order.
        seconds: of the turns of all shares together.
        read: the source of time.

    Raises:
        PacelineError: the data cannot be prepared, or shares of them cannot be taken.
    """
    prepared = task.prepare(config)
    lasting = configuration.replace(config, task.lasting(config), source="estimate")

    def side(part: Prepared) -> Side:
        def train(handover: Handover) -> None:
            with probe_run.opened(lasting) as run:
                run.pace = handover
                task.train(part, lasting, run, Unseen())

        return Side(train)

    parts = [task.fewer(prepared, share, 0) for share in shares]
    sides, taken = [side(part) for part, _ in parts], [list[float]() for _ in parts]
    try:
        for each in sides:
            each.take_turn()
        began = read()
        while read() - began < seconds or len(taken[-1]) < LEAST_TURNS:
            for place, each in enumerate(sides):
                turn = each.take_turn()
                if turn is None:
                    return None
                taken[place].append(turn.seconds / turn.epochs)
    finally:
        for each in sides:
            each.leave()
    return Growth(tuple(_size(rows, seen) for (_, rows), seen in zip(parts, taken, strict=True)))


def _size(rows: int, seen: Sequence[float]) -> Size:
    mean = statistics.fmean(seen)
    error = statistics.stdev(seen) / mean / math.sqrt(len(seen)) if len(seen) > 1 else 0.1
    return Size(rows, mean, math.hypot(error, LEAST_ERROR))
