"""`python -m paceline bench-machine`: what this machine manages, as a small JSON file to carry to another one."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from paceline import cli
from paceline.cli import Command


def _bench_machine(arguments: Namespace) -> dict[str, Any]:
    from paceline import machines, microbench

    machine = microbench.measure()
    machines.write(machine, arguments.output)
    microbench.keep(machine)
    figures = [{"benchmark": machines.BENCHMARKS[name], "value": value} for name, value in machine.benchmarks.items()]
    return {"machine": machine.name, "kind": machine.kind, "benchmarks": figures, "output": str(arguments.output)}


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("machine.json"), help="for estimate --machine (default: %(default)s)"
    )


COMMANDS = [
    Command(
        "bench-machine", "measure this machine in a few seconds, for estimates elsewhere", _bench_machine, _arguments
    )
]


if __name__ == "__main__":
    sys.exit(cli.main("paceline", "What every Paceline project can do without its template.", COMMANDS))
