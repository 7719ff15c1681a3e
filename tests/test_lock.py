"""A run's folder belongs to one process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paceline import lock
from paceline.errors import PacelineError

HOLDER = """
import sys, time
from pathlib import Path
from paceline import lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(
    tmp_path: Path, process_environment: dict[str, str]
) -> None:
    """When the holder is killed, the folder is free at once, and nothing of it is left."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=process_environment,
    )
    with holder:
        assert holder.stdout is not None
        assert "held\n" == holder.stdout.readline()
        with pytest.raises(PacelineError, match="is being trained by another process"), lock.hold(tmp_path):
            pass
        holder.kill()
    with lock.hold(tmp_path):
        assert [] == list(tmp_path.iterdir())
