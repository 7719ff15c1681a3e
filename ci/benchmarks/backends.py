"""A step and an answer of the driving template's `small` preset: Keras on JAX, torch and TensorFlow, and PyTorch.

The network, its loss, batch and optimizer are the template's; PyTorch's is the same network written with `torch.nn`,
held to the same number of weights. `PACELINE_BACKENDS_PYTHON` names an interpreter with torch and TensorFlow; the rest
it finds in this one's packages. Every contender is a process of its own, compiled where its backend can; the rounds go
through them in turn, and the median of the rounds counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

HEIGHT_PX, WIDTH_PX, CLASSES, BATCH, ROUNDS, STEPS, WARM_UP = 180, 240, 11, 8, 3, 15, 3
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 3e-3, 0.01, 1.0
# What runs the network, and how Keras calls a step of it: compiled by XLA, or operation by operation.
CONTENDERS = {
    "Keras on JAX, as the template runs it": ("jax", "library"),
    "Keras on JAX, Keras's own convolution": ("jax", "keras"),
    "Keras on torch": ("torch", "keras"),
    "Keras on TensorFlow, XLA": ("tensorflow", "jit"),
    "Keras on TensorFlow, graph": ("tensorflow", "graph"),
    "PyTorch": ("", "pytorch"),
}
CALLS = ("first_step_seconds", "step_ms", "answer_ms")


def main() -> None:
    """Compare the contenders, print a line for each, and keep the medians."""
    from results import save

    other = os.environ.get("PACELINE_BACKENDS_PYTHON")
    if not other:
        sys.exit("Set PACELINE_BACKENDS_PYTHON to an interpreter that has torch and TensorFlow.")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, (backend, _) in CONTENDERS.items():
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
            if backend != "jax":
                environment["PYTHONPATH"] = os.pathsep.join([os.environ.get("PYTHONPATH", ""), packages])
            if backend:
                environment["KERAS_BACKEND"] = backend
            done = subprocess.run(  # noqa: S603 -- this file, by the interpreter that the caller named
                [sys.executable if backend == "jax" else other, __file__, name],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            rows[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{name:40} {rows[name][-1]}", flush=True)
    versions = subprocess.run(  # noqa: S603 -- the interpreter that the caller named
        [other, "-c", "import torch, tensorflow; print(torch.__version__, tensorflow.__version__)"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout.split()
    figures = {
        "frame_px": [HEIGHT_PX, WIDTH_PX],
        "batch": BATCH,
        "rounds": ROUNDS,
        "parameters": rows["PyTorch"][0]["parameters"],
        "versions": dict(zip(("torch", "tensorflow"), versions, strict=True)),
        "rows": {name: {call: statistics.median(row[call] for row in found) for call in CALLS}
                 for name, found in rows.items()},
        "spread": {name: max(row["step_ms"] for row in found) / min(row["step_ms"] for row in found)
                   for name, found in rows.items()},
    }  # fmt: skip
    if len({row["parameters"] for found in rows.values() for row in found}) > 1:
        sys.exit("The contenders do not have the same number of weights.")
    save("backends", figures)


def frames() -> tuple[Any, Any]:
    """Return a batch of noise and its masks: what is in them does not change the time."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    return images, rng.integers(0, CLASSES, (BATCH, HEIGHT_PX, WIDTH_PX), dtype=np.uint8)


def by_keras(how: str) -> dict[str, float]:
    """Return the times of the template's own network on the backend that KERAS_BACKEND names."""
    from contextlib import nullcontext

    import numpy as np

    from driving_perception import model, segmentation
    from driving_perception.config import Config
    from paceline import convolution, fit_keras

    config = Config()
    config = config.model_copy(update={"model": config.model.model_copy(update={"name": "small", "dropout": 0.0})})
    task = segmentation.Segmentation(tuple(map(str, range(CLASSES))), (HEIGHT_PX, WIDTH_PX))
    network = model.build(config, task, (HEIGHT_PX, WIDTH_PX)).trained
    images, masks = frames()
    compiling = {"jit": {"jit_compile": True}, "graph": {"jit_compile": False}}.get(how, {})
    network.compile(optimizer=fit_keras.optimizer(config.train), loss=task.loss(config.train, masks), **compiling)
    one = images[:1]
    with nullcontext() if how == "library" else convolution.native():
        return {
            **timed(lambda: network.train_on_batch(images, masks), lambda: np.asarray(network.predict_on_batch(one))),
            "parameters": sum(int(np.prod(weight.shape)) for weight in network.trainable_weights),
        }


def by_pytorch() -> dict[str, float]:
    """Return the times of the same network, loss and optimizer in PyTorch, channels last, not compiled."""
    import torch
    from torch.nn import functional

    network, (images, masks) = pytorch_network(), frames()
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def batch(pixels: Any) -> Any:
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)

    def step() -> float:
        network.train()
        optimizer.zero_grad(set_to_none=True)
        labels = torch.from_numpy(masks[:, ::2, ::2].astype("int64"))
        logits = functional.interpolate(network(batch(images)), labels.shape[1:], mode="bilinear")
        likely = functional.log_softmax(logits, dim=1)
        truth = functional.one_hot(labels, CLASSES).permute(0, 3, 1, 2).float()
        entropy = functional.nll_loss(likely, labels)
        common = (truth * likely.exp()).sum((2, 3))
        both = truth.sum((2, 3)) + likely.exp().sum((2, 3))
        loss = entropy + 1.0 - (2.0 * common / (both + 1e-6)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        return float(loss.detach())

    def answer() -> Any:
        network.eval()
        with torch.inference_mode():
            return network(batch(images[:1])).numpy()

    return {**timed(step, answer), "parameters": sum(each.numel() for each in network.parameters())}


def pytorch_network() -> Any:
    """Return `driving_perception.model`'s `small` preset with its decoder, written with `torch.nn`."""
    import torch
    from torch import nn
    from torch.nn import functional

    from driving_perception.model import ENCODERS, SMALL_DECODER

    stem, widths, blocks = ENCODERS["small"]

    def convolve(
        before: int, after: int, kernel: int, stride: int = 1, *, activate: bool = True, plain: bool = False
    ) -> Any:
        parts: list[Any] = [nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=plain)]
        if not plain:
            parts.append(nn.BatchNorm2d(after, momentum=0.1))
        return nn.Sequential(*parts, nn.ReLU()) if activate else nn.Sequential(*parts)

    class Small(nn.Module):  # type: ignore[misc, name-defined, unused-ignore] # torch is not in the environment of the checks
        def __init__(self) -> None:
            super().__init__()
            self.stem = convolve(3, stem, 3, 2)
            before = [stem, *widths[:-1]]
            self.down = nn.ModuleList(convolve(a, b, 3, 2) for a, b in zip(before, widths, strict=True))
            self.blocks = nn.ModuleList(
                nn.ModuleList(
                    nn.Sequential(convolve(width, width, 3), convolve(width, width, 3, activate=False))
                    for _ in range(count)
                )
                for width, count in zip(widths, blocks, strict=True)
            )
            wide = SMALL_DECODER
            self.lateral, self.context = convolve(widths[3], wide, 1), convolve(widths[3], wide, 1, plain=True)
            self.smooth = convolve(wide, wide, 3)
            self.ups = nn.ModuleList()
            coming = wide
            for place, out in ((2, wide), (1, wide), (0, wide // 2)):
                narrow, side = convolve(coming, out, 1), convolve(widths[place], out // 2, 1)
                self.ups.append(nn.ModuleList([narrow, side, convolve(out + out // 2, out, 3)]))
                coming = out
            self.head = nn.Conv2d(coming, CLASSES, 1)

        def forward(self, images: Any) -> Any:
            x, maps = self.stem(images / 127.5 - 1.0), []
            for down, stage in zip(self.down, self.blocks, strict=True):
                x = down(x)
                for block in stage:
                    x = functional.relu(x + block(x))
                maps.append(x)
            x = self.smooth(self.lateral(maps[3]) + self.context(maps[3].mean((2, 3), keepdim=True)))
            for (narrow, side, smooth), finer in zip(self.ups, maps[2::-1], strict=True):
                x = functional.interpolate(x, finer.shape[2:], mode="bilinear")
                x = smooth(torch.cat([narrow(x), side(finer)], 1))
            return self.head(x)

    return Small()


def timed(step: Callable[[], Any], answer: Callable[[], Any]) -> dict[str, float]:
    """Return the first step's seconds, and the median step and answer once warm."""

    def seconds(call: Callable[[], Any]) -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    first = seconds(step)
    for _ in range(WARM_UP):
        step(), answer()
    return {
        "first_step_seconds": first,
        "step_ms": 1e3 * statistics.median(seconds(step) for _ in range(STEPS)),
        "answer_ms": 1e3 * statistics.median(seconds(answer) for _ in range(STEPS)),
    }


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        _, how = CONTENDERS[sys.argv[1]]
        print(json.dumps(by_pytorch() if how == "pytorch" else by_keras(how)))
