"""The commands of the project; what each does is imported when it is called, so that `--help` answers at once."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from paceline import cli
from paceline.cli import Command

PROGRAM = "fraud-detection"
PIPE = Path("-")  # as an input: standard input


def _data(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import data
    from paceline import report
    from paceline.quarantine import Quarantine

    config, quarantine = _config(arguments).data, Quarantine(arguments.output.with_suffix(".quarantine.jsonl"))
    answer = report.write_sheet(arguments.output, "Transactions", data.audit(data.load(config, quarantine), quarantine))
    return {**answer, "quarantined_rows": quarantine.examples()}  # on the screen alone: a sheet is passed on


def _train(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import train
    from paceline import clock

    if arguments.from_run is not None:
        arguments.overrides.append(f"transfer.from_run={json.dumps(str(arguments.from_run))}")
    if arguments.scheduler:
        arguments.overrides += ["train.external_memory=true", f"train.scheduler={json.dumps(arguments.scheduler)}"]
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
    from fraud_detection import duration, train
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
        growth=duration.growth,
    )


def _tune(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import tune
    from paceline.tune import command

    config = _config(arguments)
    return command.from_arguments(tune.TASK, config, arguments, cli.command_line(PROGRAM))


def _levers(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import levers
    from paceline.levers import command

    return command.from_arguments(levers.TASK, _config(arguments), arguments)


def _evaluate(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import predict

    return predict.evaluate(arguments.run_folder, arguments.overrides)


def _predict(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import predict

    with tempfile.TemporaryDirectory() as folder:
        piped = Path(folder) / "standard-input.jsonl"
        if PIPE in arguments.inputs:
            with piped.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        inputs = [piped if path == PIPE else path for path in arguments.inputs]
        return predict.predict(arguments.run_folder, inputs, arguments.output, arguments.overrides)


def _export(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import deploy

    return deploy.export(arguments.run_folder)


def _benchmark(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import deploy

    return deploy.benchmark(arguments.run_folder)


def _monitor(arguments: Namespace) -> dict[str, Any]:
    from fraud_detection import monitor

    return monitor.monitor(arguments.run_folder, arguments.output, arguments.overrides)


def _config(arguments: Namespace) -> Any:
    from fraud_detection.config import Config

    return cli.load_config(Config, arguments)


def _data_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("data-sheet.html"), help="the sheet (default: %(default)s)")


def _train_arguments(parser: ArgumentParser) -> None:
    cli.train_arguments(parser)
    parser.add_argument(
        "--from",
        type=Path,
        dest="from_run",
        metavar="RUN",
        help="go on from an earlier run's trees with newer data, or with another portfolio's; see [transfer]",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="make features and boost on the Dask cluster of this scheduler, like tcp://10.0.0.1:8786; "
        "--runs must be on a shared disk",
    )


def _run_argument(parser: ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="the folder of a run, below runs/")


def _predict_arguments(parser: ArgumentParser) -> None:
    _run_argument(parser)
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        type=Path,
        nargs="+",
        help="CSV, Parquet or .jsonl files of transactions; - reads JSON lines from standard input",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("predictions.csv"), help=".csv, .parquet or .jsonl (default: %(default)s)"
    )


def _monitor_arguments(parser: ArgumentParser) -> None:
    _run_argument(parser)
    parser.add_argument("--output", type=Path, default=Path("monitor.html"), help="the page (default: %(default)s)")


COMMANDS = [
    Command(
        "data", "audit the configured transactions: counts, classes, defects, quarantined rows", _data, _data_arguments
    ),
    Command(
        "estimate",
        "how long `train` will take, with an interval, by its first steps",
        _estimate,
        cli.estimate_arguments,
    ),
    Command("train", "train, score on the test days, write the report", _train, _train_arguments),
    Command("tune", "search for better settings, then train the best", _tune, cli.tune_arguments),
    Command("levers", "measure what each time-saver brings on this machine", _levers, cli.levers_arguments),
    Command(
        "evaluate", "score a run on its test days, with intervals and slices", _evaluate, _run_argument, of_a_run=True
    ),
    Command(
        "predict",
        "score new transactions by a run, with reasons for the alerts",
        _predict,
        _predict_arguments,
        of_a_run=True,
    ),
    Command("export", "write a run's model as ONNX, checked against it", _export, _run_argument, of_a_run=True),
    Command("benchmark", "how long one answer takes, against budgets", _benchmark, _run_argument, of_a_run=True),
    Command(
        "monitor",
        "what has moved since a run's training, and its quality by week",
        _monitor,
        _monitor_arguments,
        of_a_run=True,
    ),
    cli.REPORT,
]


def main() -> int:
    """Run the command line and return its exit code."""
    return cli.main(PROGRAM, "Payment-fraud detection that knows how long it takes to train.", COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
