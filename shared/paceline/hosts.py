"""Which of several hosts this process is, as the environment says: the same command is started on each.

Every host does the same work, and host 0 alone keeps it: the others write their run to a folder that goes away, and
print nothing. What they share while training is `distribute`'s.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from paceline.errors import PacelineError

ADDRESSES, COUNT, NUMBER = (
    "KERAS_DISTRIBUTION_JOB_ADDRESSES",  # the names that keras.distribution.initialize reads
    "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "KERAS_DISTRIBUTION_PROCESS_ID",
)


@dataclass(frozen=True)
class Place:
    """This process among those that train together.

    Attributes:
        number: from 0; host 0 coordinates and writes.
        count: how many there are.
        coordinator: `address:port` of host 0; empty where there is one host.
    """

    number: int = 0
    count: int = 1
    coordinator: str = ""

    @property
    def writes(self) -> bool:
        """Whether what this process produces is kept."""
        return self.number == 0


def place() -> Place:
    """Return the place that the environment gives this process: alone, unless it says otherwise.

    `KERAS_DISTRIBUTION_NUM_PROCESSES` is the number of hosts, `KERAS_DISTRIBUTION_PROCESS_ID` this one's, from 0, and
    `KERAS_DISTRIBUTION_JOB_ADDRESSES` the `address:port` of host 0 (or of all, separated by commas).

    Raises:
        PacelineError: they do not fit each other.
    """
    count = _whole(COUNT, "1")
    if count <= 1:
        return Place()
    number = _whole(NUMBER, "")
    if not 0 <= number < count:
        raise PacelineError(
            f"{NUMBER} is {number} and {COUNT} is {count}.", f"Number the hosts from 0 to {count - 1}, each once."
        )
    coordinator = os.environ.get(ADDRESSES, "").split(",")[0].strip()
    address, _, port = coordinator.rpartition(":")
    if not address or not port.isdigit():
        raise PacelineError(f"{ADDRESSES} is '{coordinator}'.", "Give host 0 as address:port, like 10.0.0.1:9876.")
    return Place(number, count, coordinator)


def _whole(name: str, default: str) -> int:
    text = os.environ.get(name, default).strip()
    if not text.isdigit():
        raise PacelineError(f"{name} is '{text}'.", "Give a whole number, or unset it to train on this host alone.")
    return int(text)
