"""The commands of the project; what each does is imported when it is called, so that `--help` answers at once."""

from __future__ import annotations

import sys

from paceline import cli

PROGRAM = "medical-imaging"

COMMANDS = [cli.REPORT]


def main() -> int:
    """Run the command line and return its exit code."""
    return cli.main(PROGRAM, "Medical-image classification that knows how long it takes to train.", COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
