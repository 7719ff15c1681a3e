"""The commands of the project; what each does is imported when it is called, so that `--help` answers at once."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from paceline import cli
from paceline.cli import Command

PROGRAM = "driving-perception"


def _data(arguments: Namespace) -> dict[str, Any]:
    from driving_perception import sheet
    from paceline.quarantine import Quarantine

    quarantine = Quarantine(arguments.output.with_suffix(".quarantine.jsonl"))
    answer = sheet.write(arguments.output, _config(arguments), quarantine)
    return {**answer, "quarantined_files": quarantine.examples()}  # on the screen alone: a sheet is passed on


def _train(arguments: Namespace) -> dict[str, Any]:
    from driving_perception import train
    from paceline import clock

    if arguments.from_run is not None:
        arguments.overrides.append(f"transfer.from_run={json.dumps(str(arguments.from_run))}")
    config = _config(arguments)
    started = clock.process_start()
    return train.train(
        config,
        runs_folder=arguments.runs,
        command=cli.command_line(PROGRAM),
        started=started,
        resume=arguments.resume,
        ceiling=cli.ceiling(arguments, started),
    )


def _estimate(arguments: Namespace) -> dict[str, Any]:
    from driving_perception import train
    from paceline import clock, rehearsal

    config = _config(arguments)
    return rehearsal.estimate(
        train.train,
        config,
        history=arguments.runs,
        started=clock.process_start(),
        target=arguments.target,
        what_if=arguments.what_if,
        machine_files=arguments.machine,
    )


def _tune(arguments: Namespace) -> dict[str, Any]:
    config = _usable(arguments)
    from driving_perception import tune
    from paceline.tune import command

    return command.from_arguments(tune.task(config), config, arguments, cli.command_line(PROGRAM))


def _levers(arguments: Namespace) -> dict[str, Any]:
    config = _usable(arguments)
    from driving_perception import levers
    from paceline.levers import command

    return command.from_arguments(levers.task(config), config, arguments)


def _evaluate(arguments: Namespace) -> dict[str, Any]:
    from driving_perception import evaluate

    return evaluate.evaluate(arguments.run_folder, arguments.overrides)


def _predict(arguments: Namespace) -> dict[str, Any]:
    from driving_perception import predict

    return predict.predict(arguments.run_folder, arguments.inputs, arguments.output, arguments.overrides)


def _export(arguments: Namespace) -> dict[str, Any]:
    from driving_perception import deploy

    return deploy.export(arguments.run_folder, arguments.overrides)


def _benchmark(arguments: Namespace) -> dict[str, Any]:
    from driving_perception import deploy

    return deploy.benchmark(arguments.run_folder, arguments.overrides)


def _config(arguments: Namespace) -> Any:
    from driving_perception.config import Config

    return cli.load_config(Config, arguments)


def _usable(arguments: Namespace) -> Any:
    """Return the configuration once its device is known to be here: Keras takes seconds to load."""
    from paceline import device

    config = _config(arguments)
    device.refuse_unusable(config.train.device)
    return config


def _data_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("data-sheet.html"), help="the sheet (default: %(default)s)")


def _train_arguments(parser: ArgumentParser) -> None:
    cli.train_arguments(parser)
    parser.add_argument(
        "--from",
        type=Path,
        dest="from_run",
        metavar="RUN",
        help="start from the weights of an earlier run, such as one on rendered frames; see [transfer]",
    )


def _run_argument(parser: ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="the folder of a run, below runs/")


def _predict_arguments(parser: ArgumentParser) -> None:
    _run_argument(parser)
    parser.add_argument("inputs", metavar="INPUT", type=Path, nargs="+", help="images, folders of images, or videos")
    parser.add_argument("--output", type=Path, default=Path("predictions"), help="a folder (default: %(default)s)")


COMMANDS = [
    Command(
        "data",
        "audit the configured frames: counts, classes, defects, labels shown over images",
        _data,
        _data_arguments,
    ),
    Command(
        "estimate",
        "how long `train` will take, with an interval, by its first steps",
        _estimate,
        cli.estimate_arguments,
    ),
    Command("train", "train, score on the test sequences, write the report", _train, _train_arguments),
    Command("tune", "search for better settings, then train the best", _tune, cli.tune_arguments),
    Command("levers", "measure what each time-saver brings on this machine", _levers, cli.levers_arguments),
    Command(
        "evaluate",
        "score a run on its test sequences, by slice and under bad sight; fails below the safety gate",
        _evaluate,
        _run_argument,
        of_a_run=True,
    ),
    Command(
        "predict", "draw what a run sees over images, folders and videos", _predict, _predict_arguments, of_a_run=True
    ),
    Command("export", "write a run's model as ONNX, held to the original", _export, _run_argument, of_a_run=True),
    Command("benchmark", "time one frame at a time against the budget", _benchmark, _run_argument, of_a_run=True),
    cli.REPORT,
]


def main() -> int:
    """Run the command line and return its exit code."""
    return cli.main(PROGRAM, "Driving perception that knows how long it takes to train.", COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
