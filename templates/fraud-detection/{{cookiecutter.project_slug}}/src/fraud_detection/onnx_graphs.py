"""Boosted trees and logistic regression as ONNX graphs: from features to the logit, in float32.

A tree's test is XGBoost's: a value below the threshold goes left, a missing one where the trees have learned that it
goes. Both are operators of ONNX's own (`ai.onnx.ml`, TreeEnsembleRegressor), so any runtime has them.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import xgboost

from fraud_detection.boosted import Boosted
from fraud_detection.linear import Linear
from fraud_detection.model import Trained

INPUT, OUTPUT = "features", "logit"
OPSETS = {"": 18, "ai.onnx.ml": 3}


def of(model: Trained) -> Any:
    """Return the ONNX model of a trained model that is no network.

    Raises:
        TypeError: it is one; `paceline.export` converts it.
    """
    if isinstance(model, Boosted):
        return of_trees(model.booster)
    if isinstance(model, Linear):
        return of_linear(model)
    raise TypeError(f"{type(model).__name__} is converted by paceline.export")


def of_trees(booster: xgboost.Booster) -> Any:
    """Return the trees of `booster`, trained on the log loss, as an ONNX model of features (rows, features)."""
    from onnx import helper

    learner = json.loads(booster.save_raw("json"))["learner"]
    gradient_booster = learner["gradient_booster"]
    dropped = gradient_booster.get("weight_drop")  # DART's weight of each tree
    trees = (gradient_booster["gbtree"] if dropped else gradient_booster)["model"]["trees"]
    nodes: dict[str, list[Any]] = {name: [] for name in _NODES}
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(trees):
        weight = dropped[number] if dropped else 1.0
        for node, left in enumerate(tree["left_children"]):
            leaf, value = left == -1, tree["split_conditions"][node]
            row = (
                number, node, 0 if leaf else tree["split_indices"][node], "LEAF" if leaf else "BRANCH_LT",
                0.0 if leaf else value, 0 if leaf else left, 0 if leaf else tree["right_children"][node],
                0 if leaf else int(tree["default_left"][node]),
            )  # fmt: skip
            for name, entry in zip(_NODES, row, strict=True):
                nodes[name].append(entry)
            if leaf:
                for name, entry in zip(leaves, (number, node, 0, value * weight), strict=True):
                    leaves[name].append(entry)
    probability = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    attributes: dict[str, Any] = {f"nodes_{name}": values for name, values in nodes.items()}
    attributes |= {f"target_{name}": values for name, values in leaves.items()}
    attributes |= {"n_targets": 1, "aggregate_function": "SUM", "post_transform": "NONE"}
    attributes["base_values"] = [math.log(probability / (1 - probability))]
    ensemble = helper.make_node("TreeEnsembleRegressor", [INPUT], [OUTPUT], domain="ai.onnx.ml", **attributes)
    return _model([ensemble], booster.num_features(), [])


_NODES = (
    *("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids"),
    "missing_value_tracks_true",
)


def of_linear(linear: Linear) -> Any:
    """Return a logistic regression as an ONNX model of features (rows, features)."""
    from onnx import helper, numpy_helper

    weights = linear.weights / linear.scale  # the standardisation is folded in
    bias = linear.intercept - float(linear.mean @ weights)
    constants = [
        numpy_helper.from_array(weights.astype(np.float32)[:, None], "weights"),
        numpy_helper.from_array(np.array([bias], np.float32), "bias"),
    ]
    return _model([helper.make_node("Gemm", [INPUT, "weights", "bias"], [OUTPUT])], len(weights), constants)


def _model(nodes: list[Any], features: int, constants: list[Any]) -> Any:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "fraud",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
        constants,
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)
