"""How much of its time this process waits for a core that others hold: what makes a machine's speed hard to predict.

Linux counts what every thread ran, and what it waited while ready to run (`schedstat`). Elsewhere nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TASKS = Path("/proc/self/task")
LEAST_SECONDS = 0.5  # of running, below which a share says nothing


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
