"""`deploy/`: one SkyPilot task and one image, the same files in every template, tried as far as no cloud is needed."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(file.parent.name for file in ROOT.glob("templates/*/cookiecutter.json"))
PROJECTS = {name: ROOT / "templates" / name / "{{cookiecutter.project_slug}}" for name in TEMPLATES}
FILES = ("Dockerfile", "Dockerfile.dockerignore", "sky.yaml")
FIRST = PROJECTS[TEMPLATES[0]] / "deploy"


@pytest.fixture(scope="module")
def task() -> dict[str, Any]:
    """The SkyPilot task."""
    found: dict[str, Any] = yaml.safe_load((FIRST / "sky.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_has_the_same_files(template: str) -> None:
    """Who can deploy one project can deploy all; nothing in them is Jinja, so each is copied as it is."""
    assert set(FILES) == {file.name for file in (PROJECTS[template] / "deploy").iterdir()}
    for name in FILES:
        text = (PROJECTS[template] / "deploy" / name).read_text(encoding="utf-8")
        assert (FIRST / name).read_text(encoding="utf-8") == text
        assert not [mark for mark in ("{{", "{%", "{#") if mark in text]


def test_four_clouds_are_named_and_spot_is_the_default(task: dict[str, Any]) -> None:
    """AWS, Google Cloud, Azure and Kubernetes, whichever is cheapest; a cluster of one's own has no spot machines."""
    assert ["aws", "gcp", "azure", "kubernetes"] == [each["infra"] for each in task["resources"]["any_of"]]
    assert task["resources"]["use_spot"]
    assert not task["resources"]["any_of"][-1]["use_spot"]
    assert ("${BUCKET}", None) == (task["file_mounts"]["/runs"]["name"], task["envs"]["BUCKET"])


# The fields that SkyPilot's task reference has, as far as the task uses them, with their types.
TASK = {
    "name": str, "num_nodes": int, "workdir": str, "resources": dict, "envs": dict, "file_mounts": dict,
    "setup": str, "run": str,
}  # fmt: skip
RESOURCES = {"accelerators": dict, "use_spot": bool, "disk_size": int, "any_of": list}
CANDIDATE = {"infra": str, "use_spot": bool}
STORAGE = {"name": str, "mode": str}


def misfits(values: dict[str, Any], fields: dict[str, type]) -> dict[str, Any]:
    """Return what of `values` the reference does not have, or not with this type."""
    return {name: value for name, value in values.items() if not isinstance(value, fields.get(name, type(None)))}


def test_the_task_has_only_fields_of_skypilots_reference(task: dict[str, Any]) -> None:
    """Held against what is published; SkyPilot itself, which is no dependency, says so in the next test."""
    assert {} == misfits(task, TASK)
    assert {} == misfits(task["resources"], RESOURCES)
    assert [{}] * 4 == [misfits(each, CANDIDATE) for each in task["resources"]["any_of"]]
    assert {} == misfits(task["file_mounts"]["/runs"], STORAGE)
    assert task["file_mounts"]["/runs"]["mode"] in ("MOUNT", "COPY", "MOUNT_CACHED")
    assert {"L4:1": None, "A10G:1": None, "T4:1": None} == task["resources"]["accelerators"]  # a set, of any of them
    assert all(value is None or isinstance(value, str) for value in task["envs"].values())


def test_skypilot_takes_the_task(tmp_path: Path) -> None:
    """By its own parser, four candidates in all; where `PACELINE_SKYPILOT_PYTHON` names an interpreter that has it."""
    interpreter = os.environ.get("PACELINE_SKYPILOT_PYTHON")
    if not interpreter:
        pytest.skip("PACELINE_SKYPILOT_PYTHON names no interpreter that has SkyPilot, which is no dependency")
    code = (
        "import json, sky, sys, yaml\n"
        "values = yaml.safe_load(open(sys.argv[1]))\n"
        "task = sky.Task.from_yaml_config(values, env_overrides=[('BUCKET', 'my-runs')])\n"
        "print(json.dumps([task.num_nodes, len(task.resources), sorted(task.envs)]))\n"
    )
    done = subprocess.run(
        [interpreter, "-c", code, str(FIRST / "sky.yaml")],
        cwd=FIRST.parent,
        env={**os.environ, "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    nodes, candidates, envs = json.loads(done.stdout.splitlines()[-1])
    assert (1, ["ARGUMENTS", "BUCKET", "EXTRA"]) == (nodes, envs)
    assert 4 * 3 == candidates


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose command writes down how it was called."""
    program = tmp_path / ".venv" / "bin" / "card-watch"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nfor each; do echo "$each"; done\nenv | grep KERAS_DISTRIBUTION | sort\n')
    program.chmod(0o700)
    (tmp_path / "pyproject.toml").write_text('[project.scripts]\ncard-watch = "x:main"\n\n[dependency-groups]\n')
    return tmp_path


def started(task: dict[str, Any], project: Path, **variables: str) -> list[str]:
    """Run the task's `run` as a host would and return what the project's command was given."""
    environment = {"PATH": "/usr/bin:/bin", "RUNS": "runs", "SKYPILOT_TASK_ID": "task-1", "EXTRA": "cuda13"}
    environment |= {"ARGUMENTS": "", **variables}
    done = subprocess.run(
        ["bash", "-c", task["run"]], cwd=project, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(("extra", "device"), [("cuda13", "gpu"), ("cpu", "cpu"), ("tpu", "tpu")])
def test_the_extra_decides_the_device(task: dict[str, Any], project: Path, extra: str, device: str) -> None:
    """What was paid for is asked for, so that a machine without it fails at once; arguments go through as words."""
    found = started(task, project, EXTRA=extra, ARGUMENTS="--set train.seed=1")
    assert ["train", "--runs", "runs/task-1", "--device", device, "--set", "train.seed=1"] == found


def test_after_an_interruption_the_run_goes_on(task: dict[str, Any], project: Path) -> None:
    """The run below this task's folder is resumed with its own settings; those of other tasks are not touched."""
    for folder in ("task-0/20260101T000000Z-a", "task-1/20260101T000000Z-b"):
        (project / "runs" / folder).mkdir(parents=True)
        (project / "runs" / folder / "run.json").touch()
    found = started(task, project, ARGUMENTS="--set train.seed=1")
    assert ["train", "--resume", "runs/task-1/20260101T000000Z-b"] == found


def test_several_hosts_are_told_who_they_are(task: dict[str, Any], project: Path) -> None:
    """The first host's address, how many there are and which this one is; alone none of it is set."""
    hosts = {"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "1", "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2"}
    assert [
        "KERAS_DISTRIBUTION_JOB_ADDRESSES=10.0.0.1:9876",
        "KERAS_DISTRIBUTION_NUM_PROCESSES=2",
        "KERAS_DISTRIBUTION_PROCESS_ID=1",
    ] == started(task, project, **hosts)[-3:]
    assert "gpu" == started(task, project, SKYPILOT_NUM_NODES="1")[-1]


@pytest.mark.parametrize("part", ["setup", "run"])
def test_the_scripts_are_whole(task: dict[str, Any], part: str) -> None:
    """A shell reads them to the end, and each stops at its first error."""
    assert task[part].startswith("set -eu\n")
    subprocess.run(["bash", "-n", "-c", task[part]], check=True)


def test_the_image_is_pinned_and_runs_as_nobody_in_particular(tmp_path: Path) -> None:
    """A slim Python, packages by hash, a user without rights; the extra is an argument."""
    parsed = DockerfileParser(path=str(tmp_path))
    parsed.content = (FIRST / "Dockerfile").read_text(encoding="utf-8")
    steps = [(step["instruction"], step["value"]) for step in parsed.structure if step["instruction"] != "COMMENT"]
    assert "python:3.11-slim" == parsed.baseimage
    assert ("ARG", "EXTRA=cpu") in steps
    installs = [value for instruction, value in steps if instruction == "RUN" and "pip install" in value]
    assert all("--require-hashes" in value or "--no-deps --no-build-isolation -e ." in value for value in installs)
    assert 2 == len(installs)
    users = [value for instruction, value in steps if instruction == "USER"]
    assert ["trainer"] == users
    assert [("ENTRYPOINT", '["project"]'), ("CMD", '["train"]')] == steps[-2:]


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_locks_that_are_named_exist_and_the_script_is_found(template: str) -> None:
    """`cpu` and `cuda13`, and the line after `[project.scripts]` names the command."""
    project = PROJECTS[template]
    assert {"cpu.txt", "cuda13.txt"} <= {file.name for file in (project / "locks").iterdir()}
    lines = (project / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    script = lines[lines.index("[project.scripts]") + 1]
    assert [template] == list(tomllib.loads(script))
