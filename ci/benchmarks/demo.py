"""Time `sh ci/demo` for each template in a fresh clone: with every cache empty, and again at once."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from results import ROOT, save


def main() -> None:
    """Run each template's demo twice, and keep both times."""
    rows = {}
    for template in sorted(path.name for path in (ROOT / "templates").iterdir()):
        cold, warm = twice(template)
        rows[template] = {"cold_seconds": cold, "warm_seconds": warm}
        print(template, rows[template], flush=True)
    save("demo", {"rows": rows})


def twice(template: str) -> list[float]:
    """Clone what is committed, and return the seconds of the first and of the second run there."""
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S603, S607 -- this repository
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PYTHON", "VIRTUAL_ENV"))}
        caches = {"UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip", "XDG_CACHE_HOME": "cache"}
        environment = keep | {name: str(Path(scratch) / folder) for name, folder in caches.items()}
        seconds = []
        for _ in range(2):
            begun = time.perf_counter()
            subprocess.run(  # noqa: S603 -- this repository
                ["sh", "ci/demo", template],  # noqa: S607 -- sh is the system's
                cwd=clone,
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            seconds.append(time.perf_counter() - begun)
    return seconds


if __name__ == "__main__":
    main()
