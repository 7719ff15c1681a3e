"""What generating the fraud project costs over an empty template, and what `sh ci/demo` took when it last ran."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import ROOT, save

PAIRS = 7


def main() -> None:
    """Generate both in turn, print the medians, and keep them."""
    with tempfile.TemporaryDirectory() as scratch:
        empty = Path(scratch) / "empty"
        (empty / "{{cookiecutter.project_slug}}").mkdir(parents=True)
        (empty / "cookiecutter.json").write_text('{"project_slug": "nothing"}')
        (empty / "{{cookiecutter.project_slug}}" / "README.md").write_text("nothing\n")
        seconds: dict[str, list[float]] = {"empty": [], "fraud-detection": []}
        for pair in range(PAIRS):
            for name, template in (("empty", empty), ("fraud-detection", ROOT / "templates" / "fraud-detection")):
                output = Path(scratch) / f"{name}-{pair}"
                begun = time.perf_counter()
                command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", str(output), str(template)]
                subprocess.run(command, check=True, capture_output=True)  # noqa: S603 -- cookiecutter on templates of this repository
                seconds[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    over = medians["fraud-detection"] - medians["empty"]
    print(f"{medians}, {over:.2f} s over an empty template")
    save("generation", {"median_seconds": medians, "seconds_over_empty": over, "pairs": PAIRS})


if __name__ == "__main__":
    main()
