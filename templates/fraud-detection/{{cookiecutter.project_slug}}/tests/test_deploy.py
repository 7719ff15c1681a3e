"""A trained run elsewhere: as ONNX, with the same answers, and how long one of them takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from fraud_detection import deploy, onnx_graphs, predict, train
from fraud_detection.config import Config
from paceline import config as configuration

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def answers(path: Path | bytes, rows: np.ndarray) -> np.ndarray:
    """Return what ONNX Runtime says of features."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {session.get_inputs()[0].name: rows})[0][:, 0]
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.booster": "dart", "model.dropout": 0.3, "train.early_stopping_rounds": 0},
        {"model.name": "logistic_regression"},
        pytest.param({"model.name": "mlp", "train.epochs": 2}, marks=pytest.mark.slow),
    ],
    ids=["gbtree", "dart", "logistic_regression", "mlp"],
)
def test_an_exported_model_decides_alike(changes: dict[str, Any], small: Config, tmp_path: Path) -> None:
    """Its logits are the run's, and with what the file says of the decision so are the probabilities."""
    run_folder = Path(train.train(configuration.replace(small, changes, source="test"), runs_folder=tmp_path)["run"])
    found = deploy.export(run_folder)
    assert found["max_abs_difference"] < 1e-3
    run = predict.load(run_folder)
    rows = deploy.rows_of_test(run)
    session = onnxruntime.InferenceSession(run_folder / "model.onnx", providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert run.features == json.loads(told["features"])
    decision = run.decision.from_state(json.loads(told["decision"]))
    expected = run.decision.probabilities(run.model.logits(rows))
    np.testing.assert_allclose(
        expected, decision.probabilities(answers(run_folder / "model.onnx", rows).astype(float)), atol=1e-4
    )
    timed = deploy.benchmark(run_folder)["latency"]
    assert {"onnxruntime"} < {row["engine"] for row in timed}
    assert all(0 < row["p50_ms"] <= row["p99_ms"] and set(row["meets"]) == {"10", "50", "100"} for row in timed)


def test_missing_values_go_where_the_trees_have_learned(tmp_path: Path) -> None:
    """To either side, node by node; what lies on a threshold goes right, as in XGBoost."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5)).astype(np.float32).round(1)
    X[rng.random(X.shape) < 0.2] = np.nan
    y = ((np.nan_to_num(X[:, 0], nan=2.0) > 1) ^ (np.nan_to_num(X[:, 1], nan=-2.0) > 0)).astype(np.float32)
    settings = {"objective": "binary:logistic", "base_score": 0.2, "max_depth": 4}
    booster = xgboost.train(settings, xgboost.DMatrix(X, y), 20)
    expected = booster.inplace_predict(X, predict_type="margin")
    found = answers(onnx_graphs.of_trees(booster).SerializeToString(), X)
    np.testing.assert_allclose(expected, found, atol=1e-4)
