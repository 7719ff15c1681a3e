"""Predictions under other conditions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paceline import machines, microbench, whatif
from paceline.errors import PacelineError
from paceline.machines import Machine
from paceline.report import format as fmt
from paceline.whatif import Change

PREDICTION: dict[str, Any] = {
    "p05_seconds": 90.0,
    "p50_seconds": 100.0,
    "p95_seconds": 112.0,
    "phases": {"setup": 10.0, "compile": 0.0, "training": 80.0, "validation": 5.0, "checkpoint": 0.0, "finalise": 5.0},
}
HERE = Machine("here", "cpu", {"matmul_gflops": 100.0, "memory_gb_per_second": 10.0, "python_loops_per_second": 1e7})


def ask(change: Change, shares: dict[str, float] | None = None) -> whatif.Answer:
    """Return the answer to one question."""
    return whatif.answers(PREDICTION, shares or {"compute": 1.0}, [change], HERE)[0]


def test_no_change_is_the_prediction() -> None:
    """With its own interval."""
    answer = ask(Change())
    assert (100.0, 90.0, 112.0) == (answer.seconds, answer.low, answer.high)


def test_epochs_repeat_the_training_and_nothing_else() -> None:
    """Twice the epochs: 85 s more, of 100."""
    assert pytest.approx(185.0) == ask(Change(epochs=2.0)).seconds


def test_rows_stretch_the_training_and_a_part_of_the_rest() -> None:
    """Ten times the rows: training and validation tenfold, of setup and report half of it; the interval is wider."""
    answer = ask(Change(rows=10.0))
    assert pytest.approx(850 + 15 * 5.5) == answer.seconds
    assert answer.high / answer.low > 112 / 90


def test_another_machine_is_scaled_by_what_the_training_waits_for() -> None:
    """Four times the arithmetic helps the half that is arithmetic; Python around it is as fast as here."""
    there = Machine("there", "cpu", HERE.benchmarks | {"matmul_gflops": 400.0})
    answer = ask(Change(machine=there), {"compute": 0.5, "memory": 0.5})
    assert pytest.approx(85 * (0.125 + 0.5) + 15) == answer.seconds


def test_a_data_sheet_is_less_sure_than_a_measurement_and_an_unknown_less_than_either() -> None:
    """The same figures, from peaks that nobody reaches, give a wider interval."""
    widths = []
    for measured, benchmarks in ((True, HERE.benchmarks), (False, HERE.benchmarks), (False, {})):
        answer = ask(Change(machine=Machine("there", "cpu", benchmarks, measured=measured)))
        widths.append(answer.high / answer.low)
    assert widths[0] < widths[1] <= widths[2]


def test_cost_goes_with_the_time() -> None:
    """At 36 an hour, 100 s cost 1."""
    there = Machine("there", "cpu", HERE.benchmarks, price_per_hour=36.0, currency="EUR")
    row = ask(Change(machine=there)).row()
    assert row["cost"].startswith("1.0 (0.")
    assert row["cost"].endswith(" EUR")
    assert "measured there" == row["known_by"]


def test_devices_divide_what_a_batch_is_made_of() -> None:
    """A quarter of the arithmetic on four, the wait for input as it was; not as sure, and four machines to pay."""
    answer = ask(Change(devices=4), {"compute": 0.8, "input": 0.2})
    assert pytest.approx(85 * (0.2 + 0.2) + 15) == answer.seconds
    assert answer.high / answer.low > 112 / 90
    there = Machine("there", "cpu", HERE.benchmarks, price_per_hour=36.0, currency="EUR")
    assert ask(Change(machine=there, devices=4), {"input": 1.0}).row()["cost"].startswith("4.0 (")


def test_devices_exchange_gradients_over_the_network_between_them() -> None:
    """Each tells three quarters of the gradients twice; the slower the network, the longer and the less sure."""
    exchange = whatif.Exchange(gigabytes=10.0)
    fast, slow = (
        whatif.answers(PREDICTION, {"compute": 1.0}, [Change(devices=4, network_gb_per_second=rate)], HERE, exchange)[0]
        for rate in (10.0, 0.5)
    )
    assert pytest.approx(85 / 4 + 15 + 2 * 10 * 0.75 / 10) == fast.seconds
    assert pytest.approx(85 / 4 + 15 + 2 * 10 * 0.75 / 0.5) == slow.seconds
    assert fast.high / fast.low < slow.high / slow.low
    more = whatif.answers(PREDICTION, {"compute": 1.0}, [Change(devices=4, epochs=2.0)], HERE, exchange)[0]
    assert pytest.approx(2 * 85 / 4 + 15 + 2 * 2 * 10 * 0.75 / 1.25) == more.seconds
    assert "4 × the devices over 4 Gbit/s" == slow.row()["what_if"]


def test_gradients_of_unknown_size_leave_the_answer_less_sure() -> None:
    """Than the same with a size so small that it takes no time."""
    unknown, small = (
        whatif.answers(PREDICTION, {"compute": 1.0}, [Change(devices=4)], HERE, whatif.Exchange(gigabytes=size))[0]
        for size in (None, 1e-9)
    )
    assert pytest.approx(unknown.seconds) == small.seconds
    assert unknown.high / unknown.low > 1.1 * small.high / small.low


def test_boosting_gains_nothing_from_devices_and_pays_for_them() -> None:
    """On one machine it takes one device; the answer says so, for more machines and for a machine of eight."""
    exchange = whatif.exchange_of({}, {"of": "xgboost-gpu"})
    assert not exchange.divides
    assert not whatif.exchange_of({"history": {"step_unit": "round"}}).divides
    there = Machine("eight", "gpu", HERE.benchmarks, price_per_hour=36.0, currency="EUR", devices=8)
    for change in (Change(machine=there), Change(machine=there, devices=4)):
        answer = whatif.answers(PREDICTION, {"trees": 1.0}, [change], HERE, exchange)[0]
        assert pytest.approx(100.0) == answer.seconds
        assert "it takes one machine" in answer.row()["what_if"]
        assert answer.row()["cost"].startswith(f"{change.devices}.0 (")


def test_a_machine_of_several_devices_divides_a_batch_over_its_links() -> None:
    """Eight of them, 2 GB of gradients at 7 GB/s each way: an eighth of the arithmetic, and half a second."""
    there = Machine("eight", "gpu", HERE.benchmarks, devices=8, link_gb_per_second=7.0)
    exchange = whatif.Exchange(gigabytes=2.0)
    answer = whatif.answers(PREDICTION, {"compute": 1.0}, [Change(machine=there)], HERE, exchange)[0]
    assert pytest.approx(85 / 8 + 15 + 0.5) == answer.seconds


def test_the_exchange_is_of_the_steps_to_come() -> None:
    """A predicted run knows them; a run that is done has counted them; boosting has none."""
    begun = {"training": {"fit": {"trainable_parameters": 1_000_000}}}
    prediction = {"of": "keras-cpu", "terms": {"stages": {"fit": {"epochs": 10.0, "steps": 25.0}}}}
    assert whatif.Exchange(gigabytes=1.0) == whatif.exchange_of(begun, prediction)
    done = {"training": {"fit": {"trainable_parameters": 1_000_000, "steps": 500}}, "history": {"step_unit": "epoch"}}
    assert whatif.Exchange(gigabytes=2.0) == whatif.exchange_of(done)
    assert whatif.Exchange(gigabytes=None) == whatif.exchange_of({})


def test_settings_are_measured_by_a_run_with_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as long with them, here and scaled to other machines; asked for a second time it is known."""
    monkeypatch.setattr(microbench, "here", lambda: HERE)
    slower = {
        key: {name: 2 * seconds for name, seconds in value.items()} if key == "phases" else 2 * value
        for key, value in PREDICTION.items()
    }
    asked: list[dict[str, str]] = []

    def measure(settings: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
        asked.append(dict(settings))
        return slower, {}

    answer = whatif.from_prediction(
        PREDICTION, ["train.batch_size=64", "train.batch_size=64,epochs=2"], [], {}, measure
    )
    rows = [row for row in answer["what_if"] if row["known_by"] == "first steps with them"]
    assert ["3 min 20 s", "6 min 10 s"] == [row["time"] for row in rows]
    assert [{"train.batch_size": "64"}] == asked


def test_questions_are_asked_in_words() -> None:
    """On this machine and on each that is known; without words the usual ones."""
    there = Machine("there", "gpu", {})
    assert [Change(rows=10.0, epochs=0.5), Change(10.0, 0.5, there)] == whatif.parse(["rows=10, epochs=0.5"], [there])
    assert Change(machine=there) in whatif.parse([], [there])
    assert [Change(devices=8)] == whatif.parse(["devices=8"], [])
    wired = whatif.parse(["devices=8,network_gb_per_second=12.5"], [])
    assert [Change(devices=8, network_gb_per_second=12.5)] == wired
    found = whatif.parse(["model.name=base, train.batch_size=64,rows=2"], [])
    assert [Change(2.0, settings=(("model.name", "base"), ("train.batch_size", "64")))] == found
    assert "model.name = base, train.batch_size = 64, 2 × the rows" == found[0].name
    for text in ("rows", "rows=none", "rows=-1", "speed=2", "rows=1,,", "devices=1.5", "train.batch_size="):
        with pytest.raises(PacelineError, match="rows=10"):
            whatif.parse([text], [])


def test_a_prediction_is_answered_with_prices_and_their_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machines of the table, and one that was measured elsewhere."""
    monkeypatch.setattr(microbench, "here", lambda: HERE)
    machines.write(Machine("the big one", "gpu", {"matmul_gflops": 9000.0}), tmp_path / "big.json")
    answer = whatif.from_prediction(PREDICTION, [], [tmp_path / "big.json"], {}, lambda _: (PREDICTION, {}))
    assert "the big one" in [row["what_if"] for row in answer["what_if"]]
    assert "Prices of 20" in answer["prices"]


def test_rows_grow_as_probes_on_shares_of_them_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of boosting: eight times the training for ten times the rows; asked once, and not where rows stay as they are."""
    monkeypatch.setattr(microbench, "here", lambda: HERE)
    asked: list[dict[str, str]] = []

    def growth(settings: Mapping[str, str]) -> whatif.Growth:
        asked.append(dict(settings))
        return lambda by: (0.8 * by, 0.3)

    def rows(texts: list[str], growth: Any) -> list[dict[str, Any]]:
        answer = whatif.from_prediction(PREDICTION, texts, [], {}, lambda _: (PREDICTION, {}), growth)
        return [row for row in answer["what_if"] if str(row["known_by"]).startswith("this machine")]

    assert "this machine" == rows(["epochs=2"], growth)[0]["known_by"]
    assert [] == asked
    found = rows(["rows=10", "rows=10,epochs=2"], growth)
    assert [{}] == asked
    assert ["this machine, on shares of the rows"] * 2 == [row["known_by"] for row in found]
    assert fmt.duration(85 * 8 + 15 * 5.5) == found[0]["time"]
    in_proportion = rows(["rows=10"], lambda settings: None)[0]
    assert fmt.duration(850 + 15 * 5.5) == in_proportion["time"]
    assert "this machine" == in_proportion["known_by"]


def test_rows_that_no_longer_fit_into_memory_are_said_so_and_less_sure() -> None:
    """2 GB stay in 8 GB, ten times as many do not; on another machine that is not known."""
    memory = {"input": {"data_bytes": 2 * 2**30, "free_bytes": 8 * 2**30}}
    fits, larger, elsewhere = (
        whatif.answers(PREDICTION | memory, {}, [change], HERE)[0]
        for change in (Change(rows=2.0), Change(rows=10.0), Change(rows=10.0, machine=HERE))
    )
    assert ("", whatif.LARGER, "") == (fits.note, larger.note, elsewhere.note)
    assert "10 × the rows (more than the free memory)" == larger.row()["what_if"]
    without = whatif.answers(PREDICTION, {}, [Change(rows=10.0)], HERE)[0]
    assert larger.seconds == without.seconds
    assert larger.high / larger.low > 1.5 * without.high / without.low
