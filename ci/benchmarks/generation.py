"""What generating each project costs over an empty template."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import ROOT, save

TURNS = 7


def main() -> None:
    """Generate all in turn, print the medians, and keep them."""
    with tempfile.TemporaryDirectory() as scratch:
        empty = Path(scratch) / "empty"
        (empty / "{{cookiecutter.project_slug}}").mkdir(parents=True)
        (empty / "cookiecutter.json").write_text('{"project_slug": "nothing"}')
        (empty / "{{cookiecutter.project_slug}}" / "README.md").write_text("nothing\n")
        templates = {"empty": empty} | {path.name: path for path in sorted((ROOT / "templates").iterdir())}
        seconds: dict[str, list[float]] = {name: [] for name in templates}
        for turn in range(TURNS):
            for name, template in templates.items():
                output = Path(scratch) / f"{name}-{turn}"
                begun = time.perf_counter()
                command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", str(output), str(template)]
                subprocess.run(command, check=True, capture_output=True)  # noqa: S603 -- cookiecutter on templates of this repository
                seconds[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(medians)
    save("generation", {"median_seconds": medians, "turns": TURNS})


if __name__ == "__main__":
    main()
