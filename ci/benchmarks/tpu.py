"""The training steps of the three networks compiled ahead for TPUs, where there is none: libtpu knows the chips.

Each step is compiled for four chips of a host that share its batch, in mixed bfloat16, as `train --device tpu` would
have it. What comes out is the compiler's word: that it takes the program, what memory a chip needs, which collectives
there are. How fast it runs is not known before it runs. It takes minutes for a network; what was found before of others
is kept where some are named on the command line: driving, medical, fraud.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TypeAlias

os.environ |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
os.environ |= {  # there is no machine to ask what it is
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
}

import jax
import keras
import numpy as np
import polars as pl
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

from driving_perception import config as driving_config
from driving_perception import model as driving
from fraud_detection import config as fraud_config
from fraud_detection import network as fraud
from fraud_detection.examples import Examples
from medical_imaging import config as medical_config
from medical_imaging import model as medical
from paceline import config
from results import ROOT, save

TOPOLOGY, CHIPS = "v5e:2x2", 4

# A network's name, the network, built and compiled in Keras, and shape and type of a batch of inputs and of targets.
Step: TypeAlias = tuple[str, Any, tuple[Any, Any], tuple[Any, Any]]


def main() -> None:
    """Compile the networks that the command line names, all by default; print and keep what the compiler says."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    chips = topologies.get_topology_desc(TOPOLOGY, "tpu")
    mesh = topologies.make_mesh(chips, (CHIPS,), ("batch",))
    kept = ROOT / "ci" / "results" / "tpu.json"
    rows = {row["domain"]: row for row in (json.loads(kept.read_text())["steps"] if kept.exists() else [])}
    for domain in sys.argv[1:] or NETWORKS:
        name, network, inputs, targets = NETWORKS[domain]()
        facts = {"domain": domain, "network": name, "batch": inputs[0][0]}
        rows[domain] = {**facts, **compiled(network, inputs, targets, mesh)}
        print(rows[domain], flush=True)
        steps = [rows[each] for each in NETWORKS if each in rows]
        save("tpu", {"topology": TOPOLOGY, "chips": CHIPS, "kind": chips.devices[0].device_kind, "steps": steps})


def of_driving() -> Step:
    """The driving template's `base`."""
    settings = driving_config.Config()
    images = keras.Input((360, 480, 3))
    maps = driving.encode(images, "base", normalise=True)
    answer = keras.layers.Conv2D(12, 1, dtype="float32")(
        driving.decode(maps, settings.model.decoder_channels, normalise=True)
    )
    network = keras.Model(images, answer)
    network.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    shape = (32, *network.output.shape[1:3])
    return "driving, `base`, 480 × 360 px", network, ((32, 360, 480, 3), "uint8"), (shape, "int32")


def of_medical() -> Step:
    """The medical template's `resnet18`."""
    chosen = config.replace(
        medical_config.Config(), {"model.name": "resnet18", "data.image_size_px": 64}, source="the benchmark"
    )
    backbone = medical.build_backbone(chosen, 3)
    head = medical.build_head(chosen, backbone.output[medical.VECTOR].shape[-1], 14, None)
    network = medical.joined(medical.Member(backbone, head, 0))
    medical.compile_(network, chosen, chosen.train, np.ones(14, np.float32))
    return "medical, `resnet18`, 64 px", network, ((128, 64, 64, 3), "uint8"), ((128, 14), "float32")


def of_fraud() -> Step:
    """The fraud template's `mlp`."""
    chosen = config.replace(fraud_config.Config(), {"model.name": "mlp"}, source="the benchmark")
    X = np.random.default_rng(0).random((100, 40), np.float32)
    some = Examples(X, np.zeros(100, np.int8), np.zeros(100), pl.Series(), np.zeros(100, np.int64))
    network = fraud.build(chosen, some)
    return "fraud, `mlp`, 40 features", network, ((2048, 40), "float32"), ((2048,), "float32")


NETWORKS = {"driving": of_driving, "medical": of_medical, "fraud": of_fraud}


def compiled(network: Any, inputs: tuple[Any, Any], targets: tuple[Any, Any], mesh: Any) -> dict[str, Any]:
    """Compile the step of `network` for the chips of `mesh`, the variables on all of them, the batch divided."""
    network.optimizer.build(network.trainable_variables)
    everywhere, divided = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("batch",)))
    parts = (
        network.trainable_variables,
        network.non_trainable_variables,
        network.optimizer.variables,
        network.metrics_variables,
    )
    state = tuple(
        [
            jax.ShapeDtypeStruct(
                tuple(each.shape), jax.dtypes.canonicalize_dtype(each.value.dtype), sharding=everywhere
            )
            for each in part
        ]
        for part in parts
    )
    batch = tuple(jax.ShapeDtypeStruct(*each, sharding=divided) for each in (inputs, targets))
    began = time.perf_counter()
    program = jax.jit(network.train_step, donate_argnums=0).lower(state, batch).compile()
    seconds, memory, text = time.perf_counter() - began, program.memory_analysis(), program.as_text()
    return {
        "parameters": network.count_params(),
        "compile_seconds": seconds,
        "chip_memory_bytes": memory.argument_size_in_bytes + memory.temp_size_in_bytes,
        "all_reduces": text.count(" all-reduce(") + text.count(" all-reduce-start("),
        "calls_to_the_host": sum(text.count(word) for word in ("infeed", "outfeed", "host_callback", "xla_python")),
    }


if __name__ == "__main__":
    main()
