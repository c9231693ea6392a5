"""Training of named tensors with AdamW, for any encoder and any loss: batches, steps, progress."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model.arrays import NamedArrays
from undertone_model.batches import TokenBatch
from undertone_model.kept_steps import KeptSteps


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Token ids of the rows, and targets [rows, columns] for the loss."""

    tokens: TokenBatch
    targets: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Progress:
    """State after a step. `loss` is a moving average; `step` starts at 1."""

    epoch: int
    step: int
    steps: int
    loss: float


def optimize(
    variables: Mapping[str, tf.Variable],
    optimizer: tf.keras.optimizers.Optimizer,
    epochs: Sequence[Sequence[TrainingBatch]],
    logits: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    report: Callable[[Progress], None],
    checkpoint: Callable[[NamedArrays], None] = lambda tensors: None,
    checkpoint_steps: int = 500,
    kept: KeptSteps | None = None,
) -> NamedArrays:
    """Takes a step for each batch, and returns the values of `variables` by name.

    `logits` maps token ids and attention mask, both [rows, length], to the logits of the rows with
    dropout. `loss` maps the logits and the targets of a batch to a scalar. `checkpoint` receives
    the values after every `checkpoint_steps` steps. With `kept`, the state is saved then, too, and
    a training that was ended continues from it. Only the random numbers of dropout differ.
    """
    trained = list(variables.values())

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.float32),
        ],
    )
    def step(input_ids: tf.Tensor, attention_mask: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            value = loss(logits(input_ids, attention_mask), targets)
        optimizer.apply(tape.gradient(value, trained), trained)
        return value

    def values() -> NamedArrays:
        return {name: variable.numpy().astype(np.float32) for name, variable in variables.items()}

    state = {**variables, **{f"optimizer {number}": variable for number, variable in enumerate(optimizer.variables)}}
    steps = sum(len(batches) for batches in epochs)
    key = _training_key(kept.recipe, variables, epochs) if kept else ""
    completed, mean_loss = kept.load(key, state) if kept else (0, 0.0)
    numbered = [(epoch, batch) for epoch, batches in enumerate(epochs, 1) for batch in batches]
    for epoch, batch in numbered[completed:]:
        value = float(step(batch.tokens.input_ids, batch.tokens.attention_mask, batch.targets))
        completed += 1
        mean_loss = value if completed == 1 else 0.98 * mean_loss + 0.02 * value
        report(Progress(epoch, completed, steps, mean_loss))
        if completed % checkpoint_steps == 0:
            if kept:
                kept.save(key, state, completed, mean_loss)
            checkpoint(values())
    return values()


def _training_key(recipe: str, variables: Mapping[str, tf.Variable], epochs: Sequence[Sequence[TrainingBatch]]) -> str:
    """A hash of the recipe, the first values and all batches."""
    digest = hashlib.sha256(recipe.encode())
    for name, variable in variables.items():
        digest.update(name.encode() + variable.numpy().tobytes())
    for batches in epochs:
        for batch in batches:
            digest.update(batch.tokens.input_ids.tobytes())
            digest.update(batch.targets.tobytes())
    return digest.hexdigest()


def make_optimizer(
    learning_rate: float, weight_decay: float, warmup: float, steps: int, variables: list[tf.Variable]
) -> tf.keras.optimizers.Optimizer:
    """AdamW with a linear warm-up and decay over `steps`, without weight decay of biases and layer
    norms.
    """
    optimizer = tf.keras.optimizers.AdamW(
        learning_rate=WarmupSchedule(learning_rate, steps, warmup),
        weight_decay=weight_decay,
        clipnorm=None,
        global_clipnorm=1.0,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "LayerNorm"])
    optimizer.build(variables)
    return optimizer


def split_weights(
    base: Mapping[str, NDArray[np.float32]], start: Mapping[str, NDArray[np.float32]]
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Variable]]:
    """Frozen and trainable weights. The tensors `start` are trained; other weights are not."""
    frozen = {name: tf.constant(array) for name, array in base.items() if name not in start}
    return frozen, {name: tf.Variable(array, name=name.replace(".", "_")) for name, array in start.items()}


class WarmupSchedule(tf.keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear warm-up to the peak, then linear decay to zero."""

    def __init__(self, peak: float, steps: int, warmup: float) -> None:
        self.peak, self.steps, self.warmup_steps = peak, steps, max(1, int(steps * warmup))

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        return self.peak * tf.minimum(step / self.warmup_steps, (self.steps - step) / (self.steps - self.warmup_steps))
