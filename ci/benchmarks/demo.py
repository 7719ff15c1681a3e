"""Time `sh ci/demo fraud-detection` in a fresh clone: with every cache empty, and again at once."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from results import ROOT, save


def main() -> None:
    """Clone what is committed, run the demo twice, and keep both times."""
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S603, S607 -- this repository
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PYTHON", "VIRTUAL_ENV"))}
        environment = {**keep, "UV_CACHE_DIR": str(Path(scratch) / "uv"), "PIP_CACHE_DIR": str(Path(scratch) / "pip")}
        seconds = []
        for _ in range(2):
            begun = time.perf_counter()
            done = subprocess.run(
                ["sh", "ci/demo", "fraud-detection"],  # noqa: S607 -- sh is the system's
                cwd=clone,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            seconds.append(time.perf_counter() - begun)
            print(done.stdout)
    print(seconds)
    save("demo", {"cold_seconds": seconds[0], "warm_seconds": seconds[1]})


if __name__ == "__main__":
    main()
