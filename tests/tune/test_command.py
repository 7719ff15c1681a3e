"""A search from top to bottom: what it leaves, what it promises, what it refuses."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from paceline import config as configuration
from paceline import record
from paceline.budget import AUTO, Ceiling
from paceline.errors import PacelineError
from paceline.tune import command, deadline
from paceline.tune.settings import Tune


@pytest.fixture
def tune(quadratic: ModuleType, tmp_path: Path) -> Any:
    """A function that searches in an empty folder with the given `[tune]` and `[train]`, and returns the answer."""

    def run(train: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
        arguments = {
            key: settings.pop(key)
            for key in ("trials", "storage_url", "ceiling", "begin_with", "read")
            if key in settings
        }
        tune = Tune(**{"trials": 8, "repeats": 2, **settings})
        config = quadratic.Config(train=quadratic.Train(**(train or {})), tune=tune)
        return command.tune(
            quadratic.TASK, config, runs_folder=tmp_path / "runs", folder=tmp_path / "tune", **arguments
        )

    return run


def report(tmp_path: Path, study: str = "study") -> dict[str, Any]:
    """Return the facts beside the report."""
    found: dict[str, Any] = json.loads((tmp_path / "tune" / study / "report.json").read_text())
    return found


def test_a_search_leaves_a_trained_run_a_configuration_and_a_report(tune: Any, tmp_path: Path) -> None:
    """The answer names them; the best is at least as good as the beginning, which is trial 0."""
    answer = tune()
    assert {"best_run", "best_value", "trials", "wall_seconds", "report", "config"} <= set(answer)
    assert 8 == answer["trials"]
    assert answer["best_value"] >= answer["value_before"]
    assert "done" == json.loads((Path(answer["best_run"]) / "run.json").read_text())["status"]
    page = (tmp_path / "tune" / "study" / "report.html").read_text()
    for title in ("How the search went", "Was it worth it?", "What mattered", "Settings beside", "Quality against"):
        assert title in page
    facts = report(tmp_path)
    assert f"The best quality of 8 trials is {answer['best_value']:.4f}" in page
    assert 8 == sum(row["trials"] for row in facts["time_by_trial_state"])
    assert facts["best_value"] == answer["best_value"]


def test_the_run_knows_the_search_that_it_came_from(tune: Any, tmp_path: Path) -> None:
    """Its record has the time by trial state, its report the way to the search's, which is there."""
    folder = Path(tune()["best_run"])
    found = json.loads((folder / "run.json").read_text())["study"]
    assert report(tmp_path)["time_by_trial_state"] == found["time_by_trial_state"]
    assert (folder / found["report"]).resolve() == (tmp_path / "tune" / "study" / "report.html").resolve()
    assert "How its settings were found" in (folder / "report.html").read_text()


def test_the_winning_configuration_reproduces_the_run(tune: Any, quadratic: ModuleType, tmp_path: Path) -> None:
    """`train` with the written config.toml gives the same model, byte for byte."""
    answer = tune()
    best = configuration.load(quadratic.Config, Path(answer["config"]))
    again = quadratic.train(best, runs_folder=tmp_path / "again")
    models = [(Path(run) / "model.json").read_bytes() for run in (answer["best_run"], again["run"])]
    assert models[0] == models[1]
    assert answer["settings"]["model.depth"] == best.model.depth


def test_the_same_command_goes_on(tune: Any, tmp_path: Path) -> None:
    """A known study keeps its trials; the number asked for counts them all."""
    first = tune(trials=5)
    second = tune(trials=9)
    assert (5, 9) == (first["trials"], second["trials"])
    assert second["best_value"] >= first["best_value"]
    values = [row["settings"]["rate"] for row in report(tmp_path)["best_trials"]]
    assert len(set(values)) == len(values), "a session repeats no trial of an earlier one"


def test_a_search_begins_with_the_best_settings_of_another(tune: Any, tmp_path: Path) -> None:
    """Five of them after trial 0, the best first; what lies outside the ranges stays as it begins, and is counted."""
    earlier = tune(trials=9, study="earlier")
    best = [tuple(row["settings"].values()) for row in report(tmp_path, "earlier")["best_trials"]]
    folder = tmp_path / "tune" / "earlier"
    answer = tune(trials=6, begin_with=folder, study="later", repeats=0)
    tried = report(tmp_path, "later")["best_trials"]
    assert {"study": str(folder), "settings": 5, "values_outside": 0} == answer["began_from"]
    assert earlier["best_value"] == answer["best_value"]
    present = (0.5, 4)
    assert [present, *[each for each in best if each != present][:5]] == [
        tuple(row["settings"].values()) for row in sorted(tried, key=lambda row: row["trial"])
    ]
    narrow = tune(trials=3, begin_with=folder, study="narrow", vary=("model.depth=4,99", "train.rate"), repeats=0)
    assert narrow["began_from"]["values_outside"] > 0
    assert "settings of" in (tmp_path / "tune" / "narrow" / "report.html").read_text()


def test_a_folder_without_a_study_is_refused(tune: Any, tmp_path: Path) -> None:
    """Before anything is begun; no storage is made in it."""
    with pytest.raises(PacelineError, match=r"There is no study in .*Name a folder that holds a study\.db"):
        tune(begin_with=tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_another_search_space_is_refused(tune: Any) -> None:
    """Its trials would not be comparable: the sentence names what differs."""
    tune(trials=2)
    with pytest.raises(PacelineError, match=r"was made with another search space: train.rate 0.01 to 1.0 \(log\)"):
        tune(vary=("model.depth",))
    with pytest.raises(PacelineError, match=r"was made with train.steps = 10, now 12\. Take another name"):
        tune({"steps": 12})


@pytest.mark.parametrize(
    ("expected", "vary"),
    [
        ("There is no key 'train.rat' to vary. Did you mean 'train.rate'?", "train.rat"),
        ("There is no key 'train.rat' to vary. Did you mean 'train.rate'?", "train.rat=1,2"),
        ("tune.py has no range for 'train.steps'.", "train.steps"),
        ("The grid of 'train.rate' is empty. Name values", "train.rate="),
        ("[train] rate is -1.", "train.rate=-1"),
        ("'data.source' cannot vary", "data.source=a,b"),
    ],
)
def test_what_cannot_vary_is_refused(expected: str, vary: str, tune: Any) -> None:
    """One sentence of cause, one of remedy."""
    with pytest.raises(PacelineError) as refused:
        tune(vary=(vary,))
    assert str(refused.value).startswith(expected)


def test_a_grid_is_tried_whole(tune: Any, tmp_path: Path) -> None:
    """Every combination once, the beginning among them, whatever number is asked for."""
    answer = tune(sampler="grid", vary=("train.rate=0.1,0.5", "model.depth=4,6"), trials=100)
    assert 4 == answer["trials"]
    assert {"train.rate": 0.1, "model.depth": 6} == answer["settings"]


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "cmaes", "gp"])
def test_samplers_search(sampler: str, tune: Any) -> None:
    """Each goes through as many trials as asked for; the Gaussian process's wants torch, which no extra has."""
    if sampler == "gp":
        pytest.importorskip("torch")
    assert 6 == tune(sampler=sampler, trials=6, repeats=0)["trials"]


def test_a_limit_is_kept(tune: Any) -> None:
    """The best quality lies at a depth of 6, but 5 is the most that the limit allows."""
    grid = {"sampler": "grid", "vary": ("train.rate=0.1,0.5", "model.depth=4,5,6"), "trials": 100}
    assert 6 == tune(**grid, study="free")["settings"]["model.depth"]
    assert 5 == tune(**grid, study="limited", limits=("depth",))["settings"]["model.depth"]
    with pytest.raises(PacelineError, match=r"tune.limits names 'width', which is not measured\. It knows depth\."):
        tune(limits=("width",))


def test_two_objectives_give_a_front(tune: Any, tmp_path: Path) -> None:
    """Quality and time: nothing is pruned, and no trial of the front is both slower and no better than another."""
    answer = tune(objectives="quality_and_time", trials=10)
    assert (10, 0) == (answer["trials"], answer["pruned"])
    edge = sorted(report(tmp_path)["pareto_front"], key=lambda row: row["seconds"])
    assert [row["value"] for row in edge] == sorted(row["value"] for row in edge)
    assert answer["best_value"] == edge[-1]["value"]


def test_a_budget_shorter_than_one_trial_is_said_so(tune: Any) -> None:
    """With what one trial and the final run want."""
    with pytest.raises(
        PacelineError, match=r"The budget of 9.0 s ended before one trial did.*Give more .about 1[12] s for one trial"
    ):
        tune(ceiling=Ceiling(9.0, "--time-budget 9s"))


@pytest.mark.parametrize("seconds", [60.0, 95.0, 300.0])
@pytest.mark.parametrize("slower", [1.0, 1.5, 3.0])
def test_everything_ends_within_the_budget(
    seconds: float, slower: float, tune: Any, quadratic: ModuleType, tmp_path: Path
) -> None:
    """Search, comparison and final run, on a clock that steps move, also where they become slower midway.

    At least half of it is used; the rest is kept for reading, scoring and the report, which take nothing here.
    """
    real = quadratic.objective

    def midway(prepared: str, trial: Any) -> Any:
        quadratic.step_seconds = 1.0 if quadratic.time.reading < seconds / 2 else slower
        return real(prepared, trial)

    object.__setattr__(quadratic.TASK, "objective", midway)
    answer = tune(ceiling=Ceiling(seconds, f"--time-budget {seconds:.0f}s"), read=quadratic.time)
    assert answer["wall_seconds"] == quadratic.time.reading <= seconds
    assert quadratic.time.reading >= seconds / 2
    found = json.loads((Path(answer["best_run"]) / "run.json").read_text())
    assert ("done", {"quality"}) == (found["status"], set(found["scores"]))
    if slower < 3:  # of what becomes three times as slow the final run may be cut, for few trials have shown it
        assert not found["budget"]["changed"], "the final run had the time that it takes"


def test_a_training_that_only_time_ends_is_refused(tune: Any, quadratic: ModuleType) -> None:
    """As many rounds as fit are no setting that trials could be compared by."""
    with pytest.raises(PacelineError, match=r"The length of training is 'auto'.*Set the most rounds or epochs"):
        tune({"steps": AUTO})


def test_the_final_run_has_the_deadline_of_the_search(
    tune: Any, quadratic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of the budget is its ceiling; without one it has none."""
    given: list[Ceiling | None] = []
    real = quadratic.train

    def train(*arguments: Any, ceiling: Ceiling | None, **rest: Any) -> Any:
        given.append(ceiling)
        return real(*arguments, **rest)

    object.__setattr__(quadratic.TASK, "train", train)
    tune(trials=1)
    tune(trials=1, ceiling=Ceiling(500.0, "--time-budget 500s"), study="limited")
    assert given[0] is None
    assert given[1] is not None
    assert given[1].seconds < 498.0
    assert given[1].asked.startswith("--time-budget 500s, of which")


@pytest.mark.parametrize("known", [True, False])
def test_settings_of_a_shortened_final_run_train_it_again_or_that_is_said(
    known: bool, tune: Any, quadratic: ModuleType, tmp_path: Path
) -> None:
    """Where the project names such settings config.toml has them; else answer and report say that there are none."""

    def train(config: Any, *, runs_folder: Path, **rest: Any) -> dict[str, Any]:
        with record.start(config, runs_folder, name="quadratic", command="", started=None) as run:
            run.scores, run.budget = {"quality": {"value": 0.5}}, {"changed": True}
        return {"run": str(run.folder), "scores": run.scores, "status": run.status}

    object.__setattr__(quadratic.TASK, "train", train)
    if known:
        shorter = lambda config, found: configuration.replace(config, {"train.steps": 7}, source="test")  # noqa: E731
        object.__setattr__(quadratic.TASK, "reproduction", shorter)
    answer = tune(trials=2, repeats=0, ceiling=Ceiling(500.0, "--time-budget 500s"))
    assert known == answer["config_reproduces_best_run"]
    assert (7 if known else 10) == configuration.load(quadratic.Config, Path(answer["config"])).train.steps
    page = (tmp_path / "tune" / "study" / "report.html").read_text()
    words = "has the length that it came to" if known else "goes to the end and gives another model"
    assert words in page


def test_settings_are_kept_where_the_final_run_fails(tune: Any, quadratic: ModuleType, tmp_path: Path) -> None:
    """The search was not for nothing: the sentence names the file that has them."""

    def train(*arguments: Any, **rest: Any) -> Any:
        raise PacelineError("The disk is full.", "Make room.")

    object.__setattr__(quadratic.TASK, "train", train)
    with pytest.raises(PacelineError, match=r"The final run failed: The disk is full\. Make room\. The best settings"):
        tune(trials=2)
    assert (tmp_path / "tune" / "study" / "config.toml").exists()


def test_the_best_trials_own_model_is_the_result_where_no_time_is_left(
    tune: Any, quadratic: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A finished run with its score, and answer, report and record say so; nothing is kept beside it."""
    object.__setattr__(quadratic.TASK, "keeps_models", True)
    monkeypatch.setattr(deadline.Budget, "final_run_fits", lambda self, trial_seconds: False)
    answer = tune(trials=3, ceiling=Ceiling(500.0, "--time-budget 500s"))
    found = json.loads((Path(answer["best_run"]) / "run.json").read_text())
    assert answer["best_run_is_a_trial"]
    assert "done" == found["status"]
    assert answer["best_value"] == found["scores"]["validation_quality"]["value"]
    assert "Too little time was left to train the best settings for good" in found["warnings"][0]
    assert "has not seen the test" in (tmp_path / "tune" / "study" / "report.html").read_text()
    settings = json.loads((Path(answer["best_run"]) / "model.json").read_text())
    assert answer["settings"]["model.depth"] == settings["model"]["depth"]
    assert [] == list((tmp_path / "tune" / "study" / "kept").glob("*"))


def test_a_first_trial_that_time_ends_is_a_result(
    tune: Any, quadratic: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Less than a trial, but usable, and said so."""
    object.__setattr__(quadratic.TASK, "keeps_models", True)
    readings = iter([100.0] * 5)
    monkeypatch.setattr(deadline.Budget, "to_first_trial", lambda self: next(readings, 0.0))
    answer = tune(ceiling=Ceiling(500.0, "--time-budget 500s"))
    assert ("done", 1, True) == (answer["status"], answer["trials"], answer["best_run_is_a_trial"])
    assert answer["verdict"].startswith("No trial came to its end in time")
    found = json.loads((Path(answer["best_run"]) / "run.json").read_text())
    assert {"validation_quality": {"value": answer["best_value"]}} == found["scores"]
    assert {"train.rate": 0.5, "model.depth": 4} == answer["settings"]


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("--trials is 0.", {"trials": 0}),
        ("'soon' is no span of time.", {"time_budget": "soon"}),
        ("'teatime' is no time of day.", {"finish_by": "teatime"}),
    ],
)
def test_arguments_that_are_no_limit_are_refused(
    expected: str, arguments: dict[str, Any], quadratic: ModuleType, tmp_path: Path
) -> None:
    """Before anything is read."""
    unset = dict.fromkeys(("trials", "time_budget", "finish_by", "storage", "begin_with"))
    given = {**unset, "runs": tmp_path, **arguments}
    with pytest.raises(PacelineError) as refused:
        command.from_arguments(quadratic.TASK, quadratic.Config(), Namespace(**given), "tune")
    assert str(refused.value).startswith(expected)


def test_settings_that_fail_at_once_are_said_so(tune: Any) -> None:
    """Trial 0 has the present settings: what is wrong with them is the search's error."""
    with pytest.raises(PacelineError, match=r"The present settings fail: ZeroDivisionError: nothing to divide by"):
        tune({"behave": "fail"})
    with pytest.raises(PacelineError, match=r"The present settings fail: Its quality is nan"):
        tune({"behave": "nan"}, study="nan")


def test_trials_that_fail_are_counted_and_listed(tune: Any, tmp_path: Path) -> None:
    """A space that the model refuses loses its trials, not the search; the best is then the beginning."""
    answer = tune({"behave": "refuse"}, trials=4)
    facts = report(tmp_path)
    assert [1, 2, 3] == [row["trial"] for row in facts["failures"]]
    assert {"The rate is refused. Take another."} == {row["error"] for row in facts["failures"]}
    assert answer["value_before"] == answer["best_value"]


def test_a_storage_that_is_not_there_is_refused_without_its_password(tune: Any) -> None:
    """The address is named, its user and password hidden."""
    with pytest.raises(PacelineError, match=r"cannot be reached") as refused:
        tune(storage_url="postgresql://user:topsecret@127.0.0.1:1/none")
    assert "postgresql+pg8000://(hidden)@127.0.0.1:1/none" in str(refused.value)
    assert "topsecret" not in str(refused.value)
    with pytest.raises(PacelineError, match="The storage 'nonsense' is no address"):
        tune(storage_url="nonsense")
    with pytest.raises(PacelineError, match="The storage 'who://x' is no address"):
        tune(storage_url="who://x")
