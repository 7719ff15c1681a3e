"""Keras optimizers from a `Recipe`; gradient accumulation in a built one; weight penalties on a built model."""

from __future__ import annotations

from typing import Any

from paceline import device
from paceline.recipe import Recipe
from paceline.schedules import Schedule

device.keras_backend()  # settles it before Keras looks for one

import keras  # noqa: E402 -- after its backend

# Biases and the scales and offsets of normalisation are not pulled to zero: they do not make a function steeper.
NOT_DECAYED = ("^bias$", "^gamma$", "^beta$", "^scale$")


def build(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Return the optimizer that `recipe` describes, to be given to `model.compile`.

    Weight decay is decoupled from the gradient (Loshchilov & Hutter 2019) and spares biases and normalisation. With
    `ema`, weights are averaged after every update, and `fit_keras.fit` validates and keeps the averages. The schedule
    learns its length from `fit_keras.fit`.
    """
    schedule = Schedule(
        recipe.schedule, recipe.learning_rate, recipe.warmup_share, recipe.plateau_epochs, recipe.plateau_factor
    )
    settings: dict[str, Any] = {
        "learning_rate": schedule,
        "global_clipnorm": recipe.clip_norm or None,
        "use_ema": recipe.ema > 0,
        # Keras averages after every micro-batch: so many of these roots make one step of the average, which is whole
        # just before the next update.
        "ema_momentum": recipe.ema ** (1 / recipe.micro_batches),
        "gradient_accumulation_steps": recipe.micro_batches if recipe.micro_batches > 1 else None,
    }
    if recipe.optimizer != "adam":
        settings["weight_decay"] = recipe.weight_decay or None
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, nesterov=recipe.momentum > 0, **settings)
    else:
        optimizer = keras.optimizers.Adam(**settings)  # with weight decay this is AdamW
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    schedule.attach(optimizer)
    return optimizer


def accumulate(optimizer: keras.optimizers.Optimizer, micro_batches: int) -> None:
    """Let the built `optimizer` update once in `micro_batches` steps, with the mean of their gradients.

    What it knows already stays: moments, averages, and the number of updates done. The step must be compiled anew.
    """
    before = optimizer.gradient_accumulation_steps or 1
    if micro_batches == before:
        return
    optimizer._iterations.assign(optimizer._iterations // before * micro_batches)
    optimizer.ema_momentum = optimizer.ema_momentum ** (before / micro_batches)
    if before == 1:
        optimizer._accumulated_gradients = [
            optimizer.add_variable_from_reference(variable, name="gradient_accumulator")
            for variable in optimizer._trainable_variables
        ]
    optimizer.gradient_accumulation_steps = micro_batches


def penalise(model: keras.Model, *, l1: float = 0.0, l2: float = 0.0) -> None:
    """Add `l1 · Σ|w| + l2 · Σw²` over the trainable kernels to the loss of a built model, made elsewhere.

    It takes the place of penalties that the model brings; where both are 0, these stay. Compile the model afterwards.
    """
    if not (l1 or l2):
        return
    penalty = keras.regularizers.L1L2(l1=l1, l2=l2)
    for variable in model.trainable_variables:
        if "kernel" in variable.name:
            variable.regularizer = penalty
