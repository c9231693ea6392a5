"""Fine-tuning: low-rank adapters (LoRA, Hu et al., 2021) on every linear layer, all biases and norms, pooler and head.

What is trained is small enough to be committed; the base stays what its package ships. GoEmotions and the story paragraphs are
mixed in every epoch, the stories several times over, because they are few.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tokenizers import Tokenizer

from undertone_model import encoder
from undertone_model.architecture import Architecture
from undertone_model.batches import TokenBatch, batches, encode
from undertone_model.checkpoint import Arrays
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. The defaults made the committed adapters.

    `neutral_share` is how many of the neutral comments an epoch sees, drawn anew each time: they are half of all and teach the
    least. `stories_repeat` is how often it sees each story paragraph. `tokens_per_batch` counts padding. `learning_rate` is the
    peak, reached after `warmup` (a share of all steps) and followed by a linear descent to zero.
    """

    seed: int = 20211
    epochs: int = 3
    rank: int = 32
    learning_rate: float = 6e-4
    weight_decay: float = 0.01
    warmup: float = 0.06
    dropout: float = 0.1
    label_smoothing: float = 0.05
    neutral_share: float = 0.6
    stories_repeat: int = 3
    tokens_per_batch: int = 1024
    max_tokens: int = 192


@dataclass(frozen=True, slots=True)
class Progress:
    """State after a step: `loss` is a running mean, `step` counts from 1."""

    epoch: int
    step: int
    steps: int
    loss: float


def train(
    base: Mapping[str, NDArray[np.float32]],
    architecture: Architecture,
    tokenizer: Tokenizer,
    comments: tuple[Example, ...],
    stories: tuple[Example, ...],
    recipe: Recipe,
    report: Callable[[Progress], None],
) -> Arrays:
    """Trains and returns what was learnt, by name: `….lora_A`, `….lora_B`, biases, norms, pooler and classifier."""
    tf.random.set_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    examples = comments + stories
    ids = encode(tokenizer, [example.text for example in examples], recipe.max_tokens)
    targets = np.array([example.target for example in examples], np.float32)
    targets = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / len(EMOTIONS)
    plan = [
        list(batches(ids, recipe.tokens_per_batch, _rows(comments, stories, recipe, random), random))
        for _ in range(recipe.epochs)
    ]
    steps = sum(len(epoch) for epoch in plan)

    frozen, trainable = _variables(base, recipe.rank, random)
    optimizer = tf.keras.optimizers.AdamW(
        learning_rate=_Schedule(recipe.learning_rate, steps, recipe.warmup),
        weight_decay=recipe.weight_decay,
        clipnorm=None,
        global_clipnorm=1.0,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "LayerNorm"])
    optimizer.build(list(trainable.values()))

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, len(EMOTIONS)], tf.float32),
        ],
    )
    def step(input_ids: tf.Tensor, attention_mask: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(trainable.values()))
            scores = encoder.logits(
                frozen | trainable, architecture, input_ids, attention_mask, lambda x: tf.nn.dropout(x, recipe.dropout)
            )
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, scores))
        gradients = tape.gradient(loss, list(trainable.values()))
        optimizer.apply(gradients, list(trainable.values()))
        return loss

    done, mean = 0, 0.0
    for epoch, epoch_batches in enumerate(plan, 1):
        for batch in epoch_batches:
            loss = float(step(batch.input_ids, batch.attention_mask, targets[batch.rows]))
            done += 1
            mean = loss if done == 1 else 0.98 * mean + 0.02 * loss
            report(Progress(epoch, done, steps, mean))
    return {name: variable.numpy().astype(np.float32) for name, variable in trainable.items()}


def predict(
    weights: Mapping[str, NDArray[np.float32]], architecture: Architecture, ids: list[list[int]], budget: int = 4096
) -> NDArray[np.float32]:
    """Logits [rows, labels] of token ids, in their order."""
    tensors = {name: tf.constant(array) for name, array in weights.items()}

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False, input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)]
    )
    def run(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        return encoder.logits(tensors, architecture, input_ids, attention_mask)

    out = np.zeros((len(ids), weights["classifier.bias"].shape[0]), np.float32)
    batch: TokenBatch
    for batch in batches(ids, budget):
        out[batch.rows] = run(batch.input_ids, batch.attention_mask).numpy()
    return out


def _rows(
    comments: tuple[Example, ...], stories: tuple[Example, ...], recipe: Recipe, random: np.random.Generator
) -> NDArray[np.int64]:
    """Positions, in comments + stories, of what one epoch sees."""
    neutral = np.array([example.target[EMOTIONS.index("neutral")] == 1.0 for example in comments])
    kept = ~neutral | (random.random(len(comments)) < recipe.neutral_share)
    return np.concatenate([np.flatnonzero(kept), np.tile(len(comments) + np.arange(len(stories)), recipe.stories_repeat)])


def _variables(
    base: Mapping[str, NDArray[np.float32]], rank: int, random: np.random.Generator
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Variable]]:
    """Splits the base into what stays and what is trained, and adds adapters (A random, B zero) and a head."""
    frozen: dict[str, tf.Tensor] = {}
    start: Arrays = {
        "classifier.weight": random.normal(0, 0.02, (len(EMOTIONS), base["pooler.dense.bias"].shape[0])).astype(np.float32),
        "classifier.bias": np.zeros(len(EMOTIONS), np.float32),
    }
    for name, array in base.items():
        if name.startswith("pooler.") or name.endswith(".bias") or "LayerNorm" in name:
            start[name] = array
        else:
            frozen[name] = tf.constant(array)
        if name.startswith("encoder.") and name.endswith(".weight") and array.ndim == 2:
            rows, columns = array.shape
            layer = name.removesuffix(".weight")
            start[f"{layer}.lora_A"] = random.normal(0, columns**-0.5, (rank, columns)).astype(np.float32)
            start[f"{layer}.lora_B"] = np.zeros((rows, rank), np.float32)
    return frozen, {name: tf.Variable(array, name=name.replace(".", "_")) for name, array in start.items()}


class _Schedule(tf.keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear warm-up to the peak, then linear descent to zero."""

    def __init__(self, peak: float, steps: int, warmup: float) -> None:
        self.peak, self.steps, self.warm_steps = peak, steps, max(1, int(steps * warmup))

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        done = tf.cast(step, tf.float32)
        return self.peak * tf.minimum(done / self.warm_steps, (self.steps - done) / (self.steps - self.warm_steps))
