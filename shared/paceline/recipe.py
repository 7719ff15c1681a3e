"""How a network is trained, as configuration: optimizer, learning-rate schedule, clipping, averaging, precision.

A template's `[train]` section inherits `Recipe` and adds its own keys; `optimizers` and `fit_keras` read it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from paceline.config import Section

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "cosine", "one_cycle", "polynomial", "plateau"]
Precision = Literal["auto", "float32", "mixed_bfloat16"]


class Recipe(Section):
    """What a step of training does to the weights. Rates and counts are per update, whatever `micro_batches` is."""

    optimizer: Optimizer = Field("adamw", description="adam | adamw | sgd (Nesterov)")
    learning_rate: float = Field(1e-3, gt=0, description="the highest that the schedule reaches")
    schedule: Schedule = Field("cosine", description="constant | cosine | one_cycle | polynomial | plateau")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="share of the updates in which the rate rises")
    plateau_epochs: int = Field(3, ge=1, description="plateau: epochs without a better score that lower the rate")
    plateau_factor: float = Field(0.3, gt=0, lt=1, description="plateau: what the rate is multiplied with")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd: momentum")
    weight_decay: float = Field(0.01, ge=0, description="adamw, sgd: of kernels, decoupled; 0: none")
    clip_norm: float = Field(1.0, ge=0, description="largest global norm of the gradient; 0: not clipped")
    ema: float = Field(0.0, ge=0, lt=1, description="momentum of averaged weights, which are then kept; 0: none")
    micro_batches: int = Field(1, ge=1, description="parts that a batch is computed in, one by one, to save memory")
    precision: Precision = Field("auto", description="auto | float32 | mixed_bfloat16")
    input_threads: NonNegativeInt | Literal["auto"] = Field(
        "auto", description="that make batches ahead: auto (4 at most, where making one is work) | a number; 0: none"
    )

    devices: PositiveInt | Literal["auto"] = Field(
        "auto", description="that share each batch: auto (all of the kind) | a number"
    )

    @property
    def most_devices(self) -> int | None:
        """The devices that `fit_keras.fit` is given; None for all."""
        return None if self.devices == "auto" else self.devices

    @property
    def workers(self) -> int | None:
        """The threads that `batches.Batches` is given; None where it chooses."""
        return None if self.input_threads == "auto" else self.input_threads

    @model_validator(mode="after")
    def _adam_decays_nothing(self) -> Recipe:
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError(
                f"train.optimizer = 'adam' has no weight decay, and train.weight_decay is {self.weight_decay}. "
                "Take 'adamw', or set train.weight_decay = 0."
            )
        return self
