"""The commands of the project; what each does is imported when it is called, so that `--help` answers at once."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paceline import cli
from paceline.cli import Command

PROGRAM = "medical-imaging"


def _data(arguments: Namespace) -> dict[str, Any]:
    from medical_imaging import data, deidentify, splits
    from paceline import report
    from paceline.quarantine import Quarantine

    config, quarantine = _config(arguments), Quarantine(arguments.output.with_suffix(".quarantine.jsonl"))
    task = config.model.task
    if arguments.deidentify is not None:
        return deidentify.configured(arguments.deidentify, config.data, task, quarantine)
    cohort = data.load(config.data, task, quarantine)
    split = splits.divide(cohort, config.data, config.train.seed)
    facts = data.audit(cohort, split, quarantine)
    if (headers := data.headers(config.data, task)) is not None:
        facts["headers"] = headers
    return report.write_sheet(arguments.output, "Images", facts)


def _train(arguments: Namespace) -> dict[str, Any]:
    from paceline import clock

    config = _config(arguments)
    started = clock.process_start()
    return _training(config)(
        config,
        runs_folder=arguments.runs,
        command=cli.command_line(PROGRAM),
        started=started,
        resume=arguments.resume,
        ceiling=cli.ceiling(arguments, started),
    )


def _estimate(arguments: Namespace) -> dict[str, Any]:
    from paceline import clock, rehearsal

    def train(config: Any, **given: Any) -> dict[str, Any]:
        return _training(config)(config, **given)  # another task may be asked for by --what-if

    config = _config(arguments)
    return rehearsal.estimate(
        train,
        config,
        history=arguments.runs,
        started=clock.process_start(),
        target=arguments.target,
        what_if=arguments.what_if,
        machine_files=arguments.machine,
    )


def _training(config: Any) -> Callable[..., dict[str, Any]]:
    if config.model.task == "segmentation":
        from medical_imaging.segmentation import train
    else:
        from medical_imaging.train import train
    return train


def _tune(arguments: Namespace) -> dict[str, Any]:
    config = _usable(arguments)
    from medical_imaging import tune
    from paceline.tune import command

    return command.from_arguments(tune.task(config), config, arguments, cli.command_line(PROGRAM))


def _levers(arguments: Namespace) -> dict[str, Any]:
    config = _usable(arguments)
    from medical_imaging import levers
    from paceline.levers import command

    return command.from_arguments(levers.task(config), config, arguments)


def _backbones(arguments: Namespace) -> dict[str, Any]:
    from medical_imaging import candidates

    return candidates.rank(_config(arguments), arguments.names)


def _evaluate(arguments: Namespace) -> dict[str, Any]:
    from medical_imaging import predict

    return predict.evaluate(arguments.run_folder, arguments.overrides)


def _predict(arguments: Namespace) -> dict[str, Any]:
    from medical_imaging import predict

    return predict.predict(arguments.run_folder, arguments.inputs, arguments.output, arguments.overrides)


def _export(arguments: Namespace) -> dict[str, Any]:
    from medical_imaging import predict

    return predict.to_onnx(arguments.run_folder)


def _benchmark(arguments: Namespace) -> dict[str, Any]:
    from medical_imaging import predict

    return predict.benchmark(arguments.run_folder)


def _config(arguments: Namespace) -> Any:
    from medical_imaging.config import Config

    return cli.load_config(Config, arguments)


def _usable(arguments: Namespace) -> Any:
    """Return the configuration once its device is known to be here: Keras takes seconds to load."""
    from paceline import device

    config = _config(arguments)
    device.refuse_unusable(config.train.device)
    return config


def _data_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("data-sheet.html"), help="the sheet (default: %(default)s)")
    parser.add_argument(
        "--deidentify",
        type=Path,
        metavar="OUT",
        help="instead, copy the DICOM files without identity into a new folder",
    )


def _run_argument(parser: ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="the folder of a run, below runs/")


def _backbones_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="as model.backbone takes them (default: efficientnet-lite0 none)"
    )


def _predict_arguments(parser: ArgumentParser) -> None:
    _run_argument(parser)
    parser.add_argument("inputs", metavar="INPUT", type=Path, nargs="+", help="image files, or folders of them")
    parser.add_argument("--output", type=Path, default=Path("predictions.csv"), help=".csv (default: %(default)s)")


COMMANDS = [
    Command(
        "data",
        "audit the configured images: counts, classes, sites, defects, duplicates, burned-in text, leakage",
        _data,
        _data_arguments,
    ),
    Command(
        "estimate",
        "how long `train` will take, with an interval, by its first steps",
        _estimate,
        cli.estimate_arguments,
    ),
    Command("train", "train, score on the test patients, write the report", _train, cli.train_arguments),
    Command("tune", "search for better settings, then train the best", _tune, cli.tune_arguments),
    Command("levers", "measure what each time-saver brings on this machine", _levers, cli.levers_arguments),
    Command("backbones", "rank pretrained networks for these images, none trained", _backbones, _backbones_arguments),
    Command(
        "evaluate",
        "score a run on its test patients and the external site, by class and group",
        _evaluate,
        _run_argument,
        of_a_run=True,
    ),
    Command(
        "predict",
        "probabilities, or masks, for new images by a run, as CSV",
        _predict,
        _predict_arguments,
        of_a_run=True,
    ),
    Command("export", "write a run's model as ONNX, checked against it", _export, _run_argument, of_a_run=True),
    Command("benchmark", "how long one image takes, against budgets", _benchmark, _run_argument, of_a_run=True),
    cli.REPORT,
]


def main() -> int:
    """Run the command line and return its exit code."""
    return cli.main(
        PROGRAM, "Medical images, classified or outlined, by training that knows how long it takes.", COMMANDS
    )


if __name__ == "__main__":
    sys.exit(main())
