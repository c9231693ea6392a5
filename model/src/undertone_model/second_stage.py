"""The second stage of training: adapters that stage 1 trained learn from several kinds of fiction.

Every step has pairs of a text and a changed copy (`augmentation`). Both have the same target, and
the divergence of the two answers is part of the loss, so that names, punctuation and typos do not
move a label. Matrix products with frozen weights are computed in bfloat16.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tokenizers import Tokenizer

from undertone_model import encoder
from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.augmentation import augment
from undertone_model.batches import encode, make_batches, pad_batch
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS
from undertone_model.optimization import Progress, TrainingBatch, make_optimizer, optimize, split_weights
from undertone_model.training import cross_entropy


@dataclass(frozen=True, slots=True)
class SecondStage:
    """Hyperparameters. The defaults are those of the packaged adapters.

    `goemotions` to `subtitles` are the mean numbers of pairs in an epoch of each example of a data
    set: 1.5 means that half of the examples occur twice. The examples are drawn again for each
    epoch, and changed again. `consistency` is the weight of the divergence in the loss.
    `tokens_per_batch` includes padding. The other fields are those of the first stage.
    """

    seed: int = 20211
    epochs: int = 4
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.06
    dropout: float = 0.1
    label_smoothing: float = 0.05
    consistency: float = 1.0
    tokens_per_batch: int = 1024
    max_tokens: int = 192
    goemotions: float = 0.2
    stories: float = 1.0
    fiction: float = 1.0
    short_texts: float = 2.0
    sentences: float = 2.0
    passages: float = 0.5
    subtitles: float = 0.3

    def views(self, name: str) -> float:
        """Number of pairs in an epoch of each example of the data set `name`."""
        return float(getattr(self, name))


def train(
    base: Mapping[str, NDArray[np.float32]],
    architecture: Architecture,
    tokenizer: Tokenizer,
    start: Mapping[str, NDArray[np.float32]],
    datasets: Mapping[str, Sequence[Example]],
    recipe: SecondStage,
    report: Callable[[Progress], None],
    checkpoint: Callable[[NamedArrays], None] = lambda tensors: None,
    checkpoint_steps: int = 500,
) -> NamedArrays:
    """Trains the tensors `start` on, and returns them by name.

    `checkpoint` receives the tensors after every `checkpoint_steps` steps.
    """
    tf.random.set_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    epochs = [list(epoch_batches(tokenizer, datasets, recipe, random)) for _ in range(recipe.epochs)]
    steps = sum(len(batches) for batches in epochs)
    frozen, trainable = split_weights(base, start)
    frozen = {name: tf.cast(tensor, tf.bfloat16) if name.startswith("encoder.") else tensor for name, tensor in frozen.items()}

    def logits(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        return encoder.logits(
            frozen | trainable,
            architecture,
            input_ids,
            attention_mask,
            lambda x: tf.nn.dropout(x, recipe.dropout),
            linear=mixed_dense,
        )

    return optimize(
        trainable,
        make_optimizer(recipe.learning_rate, recipe.weight_decay, recipe.warmup, steps, list(trainable.values())),
        epochs,
        logits,
        lambda scores, target: pair_loss(scores, target, recipe.consistency),
        report,
        checkpoint,
        checkpoint_steps,
    )


def pair_loss(scores: tf.Tensor, target: tf.Tensor, consistency: float) -> tf.Tensor:
    """Mean cross-entropy of all rows, and `consistency` times the mean divergence of the pairs.

    The divergence is the mean of the Kullback-Leibler divergences in both directions.
    """
    loss = cross_entropy(scores, target)
    first, second = (tf.nn.log_softmax(half) for half in tf.split(scores, 2))
    divergence = tf.reduce_sum((tf.exp(first) - tf.exp(second)) * (first - second), axis=-1) / 2
    return loss + consistency * tf.reduce_mean(divergence)


def mixed_dense(weights: Mapping[str, tf.Tensor], name: str, x: tf.Tensor) -> tf.Tensor:
    """Linear layer from x [rows, in] to [rows, out] in float32, whose products are in the dtype of
    the weight.
    """
    weight = weights[f"{name}.weight"]
    x = tf.cast(x, weight.dtype)
    y = tf.matmul(x, weight, transpose_b=True)
    if f"{name}.lora_A" in weights:
        down, up = (tf.cast(weights[f"{name}.{part}"], weight.dtype) for part in ("lora_A", "lora_B"))
        y += tf.matmul(tf.matmul(x, down, transpose_b=True), up, transpose_b=True)
    return tf.cast(y, tf.float32) + weights[f"{name}.bias"]


def epoch_batches(
    tokenizer: Tokenizer, datasets: Mapping[str, Sequence[Example]], recipe: SecondStage, random: np.random.Generator
) -> Iterator[TrainingBatch]:
    """The batches of one epoch in random order. The first half of the rows of a batch are texts,
    the second half their changed copies.
    """
    examples = [
        examples[row] for name, examples in datasets.items() for row in draw(len(examples), recipe.views(name), random).tolist()
    ]
    texts = [example.text for example in examples]
    changed = [augment(text, random) for text in texts]
    ids = encode(tokenizer, [*texts, *changed], recipe.max_tokens)
    longest = [max(pair, key=len) for pair in zip(ids[: len(texts)], ids[len(texts) :], strict=True)]
    targets = np.array([example.target for example in examples], np.float32)
    targets = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / len(EMOTIONS)
    for batch in make_batches(longest, recipe.tokens_per_batch // 2, None, random):
        rows = np.concatenate([batch.rows, batch.rows + len(texts)])
        yield TrainingBatch(pad_batch(ids, rows.tolist()), np.tile(targets[batch.rows], (2, 1)))


def draw(rows: int, views: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Indices of `rows` rows, of which each occurs `views` times on average."""
    whole, rest = int(views), views - int(views)
    return np.concatenate([np.tile(np.arange(rows), whole), random.permutation(rows)[: round(rest * rows)]])
