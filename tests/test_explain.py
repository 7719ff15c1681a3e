"""What a training is bound by, told from its record."""

from __future__ import annotations

from typing import Any

import pytest

from paceline import explain

MACHINE = {"matmul_gflops": 100.0, "launches_per_second": 10_000.0, "memory_gb_per_second": 10.0}


def record(
    *, train: float, input_wait: float, steps: int, flops: float = 1e6, callbacks: float = 0.0
) -> dict[str, Any]:
    """Return a record of a network's training."""
    facts = {
        "steps": steps,
        "batch_size": 32,
        "micro_batches": 1,
        "flops_per_step": flops,
        "examples_per_second": 32 * steps / (train + input_wait),
        "compile_seconds": 1.0,
        "peak_memory_bytes": 2**30,
    }
    phases = {"train": train, "input_wait": input_wait, "callbacks": callbacks, "compile": 1.0}
    return {"phases": phases, "training": {"fit": facts}, "history": {"step_unit": "epoch"}}


@pytest.mark.parametrize(
    ("parts", "bound"),
    [
        ({"train": 2.0, "input_wait": 8.0, "steps": 10}, "input-bound: it waited for batches 80 %"),
        ({"train": 10.0, "input_wait": 0.1, "steps": 90_000}, "launch-bound: starting its steps alone takes 89 %"),
        ({"train": 10.0, "input_wait": 0.1, "steps": 100, "flops": 9e9}, "its arithmetic takes 89 %"),
        ({"train": 10.0, "input_wait": 0.1, "steps": 100}, "bound neither by input nor by arithmetic"),
        ({"train": 1.0, "input_wait": 0.1, "steps": 1, "callbacks": 9.0}, "bound by what runs around the steps: 89 %"),
    ],
)
def test_the_largest_share_names_what_binds(parts: dict[str, Any], bound: str) -> None:
    """Each with its share as evidence."""
    assert bound in explain.verdict(record(**parts), MACHINE)[0]


@pytest.mark.parametrize("machine", [None, {}, {"launches_per_second": 1e4}])
def test_without_figures_nothing_is_claimed_of_what_is_within_a_step(machine: dict[str, float] | None) -> None:
    """Only that input is not it, which the run measured, and which command tells the rest."""
    text = " ".join(explain.verdict(record(train=10.0, input_wait=0.1, steps=100, flops=9e9), machine))
    assert "It is not input-bound: it waited for batches 1.0 % of the training time." in text
    assert "not known: the command levers measures it" in text
    assert "compute-bound" not in text
    assert "its steps 99" in text


def test_operations_that_the_backend_does_not_count_are_no_ceiling_reached() -> None:
    """With figures of the machine but none of the step, arithmetic is not known."""
    assert "not known" in explain.verdict(record(train=10.0, input_wait=0.1, steps=100, flops=0.0), MACHINE)[1]


def with_times(known: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return the record with the times of a step that a probe of the same training found."""
    times = {"rows": 32, "loader": 0.001, "step": 0.010, "together": 0.010, "small_rows": 8, "small_step": 0.009}
    kept = {"times": times, "batch_size": 32, "trainable_parameters": 5, "kind": "cpu", "precision": "float32"}
    known["training"]["fit"]["trainable_parameters"] = 5
    return known | {"device": {"kind": "cpu", "precision": "float32"}, "step_times": kept | changed}


def test_the_times_of_a_step_tell_launching_from_arithmetic_without_a_machine() -> None:
    """A quarter of the rows in nine tenths of the time: 8.7 of 10 ms have nothing to do with rows."""
    known = with_times(record(train=10.0, input_wait=0.1, steps=1000))
    sentences = explain.verdict(known)
    assert "It is launch-bound: 87 % of a step do not depend on how many rows are in it." == sentences[0]
    assert "a step on 8 rows instead of 32 takes 9.00 ms" in sentences[2]
    assert "Shares of the training time: launching steps 86 %, work on the rows 13 %" in sentences[4]
    assert pytest.approx(0.867 * 10 / 10.1, abs=1e-3) == explain.shares(known)["launch"]


def test_what_the_run_measured_itself_goes_before_the_probe() -> None:
    """A run that waited for its disk is input-bound, however fast the loader was when it was probed."""
    known = with_times(record(train=2.0, input_wait=8.0, steps=1000))
    assert "It is input-bound: it waited for batches 80 %" in explain.verdict(known)[0]


@pytest.mark.parametrize("changed", [{"batch_size": 64}, {"precision": "mixed_bfloat16"}, {"times": {"step": None}}])
def test_times_of_another_training_explain_nothing(changed: dict[str, Any]) -> None:
    """Another batch size or precision is another step; figures that somebody edited are none."""
    known = with_times(record(train=10.0, input_wait=0.1, steps=1000), **changed)
    assert "It is not input-bound" in explain.verdict(known)[0]


def test_shares_sum_to_one() -> None:
    """Nothing is counted twice, with a machine's benchmarks or without."""
    for machine in (MACHINE, None):
        found = explain.shares(record(train=5.0, input_wait=2.0, steps=1000, flops=1e8, callbacks=1.0), machine)
        assert pytest.approx(1.0) == sum(found.values())


def test_boosting_is_divided_into_trees_scoring_and_binning() -> None:
    """And a late round is held against an early one."""
    rows = [{"step": step, "elapsed_seconds": 0.01 * step**1.5} for step in range(1, 91)]
    boosting = {
        "phases": {"train": 6.0, "validation": 3.0, "build": 1.0},
        "history": {"step_unit": "round", "rows": rows},
    }
    sentences = explain.verdict(boosting)
    assert "took 60 %" in sentences[0]
    assert "30 %, binning the features 10 %" in sentences[0]
    assert "times as long as an early one" in sentences[1]
    assert {"trees": 1.0} == explain.shares(boosting)


def test_the_evidence_holds_arithmetic_against_the_ceiling() -> None:
    """100 steps of 9 GFLOP in 10.1 s are 89 GFLOP/s of 100."""
    (row,) = explain.rows(record(train=10.0, input_wait=0.1, steps=100, flops=9e9), MACHINE)
    assert pytest.approx(89.1, abs=0.1) == row["gflop_per_second"]
    assert "89 % of 100 (matrix product)" == row["of_the_ceiling"]
    assert 1.0 == row["peak_memory_gb"]


def test_a_network_with_convolutions_is_held_against_what_the_machine_manages_of_them() -> None:
    """At 30 GFLOP/s of convolution, 100 steps of 1.5 GFLOP take half of ten seconds; matrix products would 1.5 s."""
    known = record(train=9.9, input_wait=0.1, steps=100, flops=1.5e9)
    known["training"]["fit"]["convolutions"] = True
    machine = MACHINE | {"convolution_gflops": 30.0}
    assert pytest.approx(0.5) == explain.shares(known, machine)["compute"]
    assert "at this machine's ceiling for convolution its arithmetic takes 50 %" in explain.verdict(known, machine)[0]
    assert "50 % of 30.0 (convolution)" == explain.rows(known, machine)[0]["of_the_ceiling"]
    assert pytest.approx(0.15) == explain.shares(known, MACHINE)["compute"]


def test_what_computes_in_bfloat16_is_held_against_that() -> None:
    """Where it was measured; a share above all of it shows that the benchmark was too small, and is not hidden."""
    known = record(train=10.0, input_wait=0.1, steps=100, flops=9e9)
    known["device"] = {"precision": "mixed_bfloat16"}
    (row,) = explain.rows(known, MACHINE | {"matmul_bf16_gflops": 800.0})
    assert "11 % of 800 (matrix product in bfloat16)" == row["of_the_ceiling"]
    assert "178 % of 50.0 (matrix product)" == explain.rows(known, {"matmul_gflops": 50.0})[0]["of_the_ceiling"]


def test_the_device_is_idle_while_it_waits_for_input_and_callbacks() -> None:
    """Their shares of the training's time and their sum; of a GPU also what its driver saw."""
    known = record(train=8.0, input_wait=1.5, steps=100, callbacks=0.5)
    known["hardware"] = {"gpu_use": [{"gpu": 0, "mean_utilisation": 0.75}, "odd"]}
    assert ["15 %", "5.0 %", "20 %", "25 %"] == [row["share"] for row in explain.idle(known)]
    assert "GPU 0 by its driver, of the whole run" == explain.idle(known)[-1]["device_idle"]
    assert [] == explain.idle({"phases": {"train": 1.0}, "history": {"step_unit": "round"}})


def test_boosting_has_its_figures_too() -> None:
    """Rows a second and the size of what was trained; a session without a second round has no rate."""
    facts = {"steps": 90, "rows": 1000, "features": 8, "max_depth": 3, "examples_per_second": 5e4}
    (row,) = explain.rows({"training": {"fit": facts | {"peak_memory_bytes": 2**29}}})
    assert {"training": "fit", "examples_per_second": 5e4, "rows": 1000, "features": 8, "max_depth": 3} | {
        "rounds": 90,
        "peak_memory_gb": 0.5,
    } == row
    assert "examples_per_second" not in explain.rows({"training": {"fit": facts | {"examples_per_second": None}}})[0]


def test_a_record_without_training_says_nothing() -> None:
    """Of a run that failed early there is nothing to explain."""
    assert [] == explain.verdict({})
    assert [] == explain.rows({"training": {"fit": None}})


def test_a_training_that_has_only_begun_is_no_evidence() -> None:
    """Its size is in the record for a prediction; there is no row of it."""
    assert [] == explain.rows({"training": {"fit": {"trainable_parameters": 5}}})
