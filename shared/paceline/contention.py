"""How much of its time this process waits for a core that others hold: what makes a machine's speed hard to predict.

Linux counts what every thread ran, and what it waited while ready to run (`schedstat`). Elsewhere nothing is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paceline import clock

TASKS = Path("/proc/self/task")
LEAST_SECONDS = 0.5  # of running, below which a share says nothing
MOST = 0.5  # beyond which a share says more of many threads of one's own than of others
LATELY_SECONDS = 10.0  # over which `Lately` looks back
LOOK_SECONDS = 1.0  # between two looks: a round of boosting is shorter than a look at twenty threads


@dataclass(frozen=True)
class Waited:
    """What the threads of this process have run, and waited for a core, in seconds."""

    ran: float = 0.0
    waited: float = 0.0

    def share_since(self, before: Waited) -> float:
        """Return the share of the time since `before` that was waiting; 0 where too little ran to tell.

        >>> Waited(ran=7.0, waited=3.5).share_since(Waited(ran=1.0, waited=1.5))
        0.25
        """
        ran, waited = self.ran - before.ran, self.waited - before.waited
        if ran < LEAST_SECONDS:
            return 0.0  # threads that have ended are no longer counted, so a difference can be below nothing too
        return max(0.0, waited) / (ran + max(0.0, waited))


def now(tasks: Path = TASKS) -> Waited:
    """Return what the threads alive have run and waited so far; nothing where the system does not count it."""
    ran = waited = 0
    for path in tasks.glob("*/schedstat"):
        try:
            ran_ns, waited_ns, _ = path.read_text(encoding="ascii").split()
        except (OSError, ValueError):  # a thread that has just ended
            continue
        ran, waited = ran + int(ran_ns), waited + int(waited_ns)
    return Waited(1e-9 * ran, 1e-9 * waited)


class Lately:
    """The share of its time that this process lately waited for a core, at most `MOST`; call it.

    Args:
        read: the source of time.
        look: what has been run and waited so far.
    """

    def __init__(self, *, read: Callable[[], float] = clock.now, look: Callable[[], Waited] = now) -> None:
        self._read, self._look = read, look
        self._seen = deque([(read(), look())])
        self._share = 0.0

    def __call__(self) -> float:
        """Return the share of the last ten seconds; looked up once a second at most."""
        moment = self._read()
        if moment - self._seen[-1][0] >= LOOK_SECONDS:
            self._seen.append((moment, self._look()))
            while len(self._seen) > 2 and moment - self._seen[1][0] >= LATELY_SECONDS:
                self._seen.popleft()
            self._share = min(MOST, self._seen[-1][1].share_since(self._seen[0][1]))
        return self._share


def slower(share: float) -> float:
    """Return how many times as long work takes that waits for this share of its time.

    >>> slower(0.0), slower(0.5), slower(0.9)
    (1.0, 2.0, 2.0)
    """
    return 1 / (1 - min(share, MOST))
