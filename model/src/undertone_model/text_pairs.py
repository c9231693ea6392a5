"""Pairs of training texts: a text and a changed copy, or two texts of similar length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model.augmentation import augment
from undertone_model.batches import make_batches, pad_batch
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS
from undertone_model.optimization import TrainingBatch
from undertone_model.training import cross_entropy

COPIED: Final = ("stories", "fiction", "short_texts", "sentences")
"""Data sets of which some texts have a changed copy."""

CHANGED_SHARE: Final = 0.3
"""Share of the texts without a copy that are changed."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts of a batch with their targets. `copies` says that the second is a changed copy of
    the first.
    """

    first: Example
    second: Example
    copies: bool


def make_pairs(
    name: str, examples: Sequence[Example], views: float, copies: float, random: np.random.Generator
) -> Iterator[Pair]:
    """Pairs of the examples of the data set `name`, each of which occurs `views` times on average.

    `copies` is the share of the drawn examples that have a changed copy, if the data set is one of
    COPIED. Another example has an example of about the same length as its partner; one example can
    be left without a partner. Examples of other data sets are drawn by `label_weights`.
    """
    if not examples:
        return
    weights = np.full(len(examples), 1 / len(examples)) if name in COPIED else label_weights(examples)
    drawn = [examples[row] for row in draw(views * len(examples) * weights, random).tolist()]
    copied = round(copies * len(drawn)) if name in COPIED else 0
    for example in drawn[:copied]:
        yield Pair(example, Example(augment(example.text, random), example.target), copies=True)
    ordered = sorted(drawn[copied:], key=lambda example: len(example.text))
    changed = [
        Example(augment(example.text, random), example.target) if random.random() < CHANGED_SHARE else example
        for example in ordered
    ]
    for first, second in zip(changed[::2], changed[1::2], strict=False):
        yield Pair(first, second, copies=False)


def draw(views: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """Indices of rows in random order, of which each occurs `views` times, rounded up or down."""
    order = random.permutation(len(views))
    ends = np.floor(np.concatenate([[0.0], np.cumsum(views[order])]) + random.random()).astype(np.int64)
    return np.repeat(order, np.diff(ends))


def label_weights(examples: Sequence[Example]) -> NDArray[np.float64]:
    """Probabilities of the examples, which are inverse to the square root of the number of examples
    with the same emotion.
    """
    labels = np.array([example.label for example in examples], np.int64)
    weights = np.asarray(np.bincount(labels, minlength=len(EMOTIONS))[labels], np.float64) ** -0.5
    return np.asarray(weights / weights.sum())


def pair_targets(pairs: Sequence[Pair], label_smoothing: float) -> NDArray[np.float32]:
    """Targets [texts, labels + 1] of the first texts of the pairs, then of the second texts.

    The last column is 1 for copies.
    """
    shares = np.array([pair.first.target for pair in pairs] + [pair.second.target for pair in pairs], np.float32)
    shares = shares * (1 - label_smoothing) + label_smoothing / len(EMOTIONS)
    return np.column_stack([shares, np.array([pair.copies for pair in pairs] * 2, np.float32)])


def pair_batches(
    ids: Sequence[Sequence[int]], targets: NDArray[np.float32], tokens_per_batch: int, random: np.random.Generator
) -> Iterator[TrainingBatch]:
    """Batches of all pairs in random order, with at most about `tokens_per_batch` tokens.

    `ids` has the tokens of the first texts of the pairs, then those of the second texts. The second
    half of the rows of a batch are the partners of the first half.
    """
    pairs = len(ids) // 2
    longest = [max(pair, key=len) for pair in zip(ids[:pairs], ids[pairs:], strict=True)]
    for batch in make_batches(longest, tokens_per_batch // 2, None, random):
        rows = np.concatenate([batch.rows, batch.rows + pairs])
        yield TrainingBatch(pad_batch(ids, rows.tolist()), targets[rows])


def pair_loss(scores: tf.Tensor, targets: tf.Tensor, consistency: float) -> tf.Tensor:
    """Mean cross-entropy of all rows, and `consistency` times the mean divergence of the copies.

    The divergence is the mean of the Kullback-Leibler divergences in both directions. `targets` are
    those of `pair_targets`.
    """
    first, second = (tf.nn.log_softmax(half) for half in tf.split(scores, 2))
    divergence = tf.reduce_sum((tf.exp(first) - tf.exp(second)) * (first - second), axis=-1) / 2
    copies = tf.split(targets[:, -1], 2)[0]
    return cross_entropy(scores, targets[:, :-1]) + consistency * tf.reduce_mean(divergence * copies)
