"""Fine-tuning with low-rank adapters (LoRA, Hu et al., 2021).

Training changes adapters of every linear layer, all biases and layer norms, the pooler and the
head. These are small enough for the repository; the base comes from its package. Every epoch mixes
GoEmotions and the story paragraphs. It repeats the stories, because they are few.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tokenizers import Tokenizer

from undertone_model import encoder
from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.batches import TokenBatch, encode, make_batches
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS
from undertone_model.kept_steps import KeptSteps
from undertone_model.optimization import Progress, TrainingBatch, make_optimizer, optimize, split_weights


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters. The defaults are those of the packaged adapters.

    `neutral_share` is the share of the neutral comments in an epoch, drawn again for each epoch:
    they are half of all comments and teach the least. `stories_repeat` is the number of times that
    an epoch contains each story paragraph. `tokens_per_batch` includes padding. `learning_rate` is
    the maximum; it is reached after `warmup` (a share of all steps) and decays linearly to zero.
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


def train(
    base: Mapping[str, NDArray[np.float32]],
    architecture: Architecture,
    tokenizer: Tokenizer,
    comments: tuple[Example, ...],
    stories: tuple[Example, ...],
    recipe: Recipe,
    report: Callable[[Progress], None],
    kept: KeptSteps | None = None,
) -> NamedArrays:
    """Trains and returns the trained tensors by name. `kept` is that of `optimize`."""
    tf.random.set_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    examples = comments + stories
    ids = encode(tokenizer, [example.text for example in examples], recipe.max_tokens)
    targets = np.array([example.target for example in examples], np.float32)
    targets = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / len(EMOTIONS)
    epochs = [
        [
            TrainingBatch(batch, targets[batch.rows])
            for batch in make_batches(ids, recipe.tokens_per_batch, _epoch_rows(comments, stories, recipe, random), random)
        ]
        for _ in range(recipe.epochs)
    ]
    steps = sum(len(batches) for batches in epochs)
    frozen, trainable = split_weights(base, initial_tensors(base, recipe.rank, random))

    def logits(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        return encoder.logits(
            frozen | trainable, architecture, input_ids, attention_mask, lambda x: tf.nn.dropout(x, recipe.dropout)
        )

    optimizer = make_optimizer(recipe.learning_rate, recipe.weight_decay, recipe.warmup, steps, list(trainable.values()))
    return optimize(trainable, optimizer, epochs, logits, cross_entropy, report, kept=kept)


def cross_entropy(scores: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of the logits `scores` with the shares `target`, both [rows, labels]."""
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, scores))


def predict_logits(
    weights: Mapping[str, NDArray[np.float32]], architecture: Architecture, ids: list[list[int]], max_padded_tokens: int = 4096
) -> NDArray[np.float32]:
    """Logits [rows, labels] of token ids, in their order."""
    return predictor(weights, architecture, max_padded_tokens)(ids)


def predictor(
    weights: Mapping[str, NDArray[np.float32]], architecture: Architecture, max_padded_tokens: int = 4096
) -> Callable[[Sequence[Sequence[int]]], NDArray[np.float32]]:
    """A function from the token ids of rows to their logits [rows, labels]."""
    tensors = {name: tf.constant(array) for name, array in weights.items()}
    run = _graph(architecture, tuple((name, tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()))

    def predict(ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        logits = np.zeros((len(ids), weights["classifier.bias"].shape[0]), np.float32)
        batch: TokenBatch
        for batch in make_batches(ids, max_padded_tokens):
            logits[batch.rows] = run(tensors, batch.input_ids, batch.attention_mask).numpy()
        return logits

    return predict


@functools.lru_cache(maxsize=8)
def _graph(architecture: Architecture, weights: tuple[tuple[str, tuple[int, ...], tf.DType], ...]) -> Callable[..., tf.Tensor]:
    """The logits of an encoder as a graph, for weights of these names, shapes and dtypes.

    The weights are arguments, because tracing a graph takes longer than a small data set.
    """
    specs = {name: tf.TensorSpec(shape, dtype) for name, shape, dtype in weights}
    tokens = tf.TensorSpec([None, None], tf.int32)

    @tf.function(autograph=False, input_signature=[specs, tokens, tokens])  # type: ignore[untyped-decorator]
    def run(tensors: encoder.Weights, input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        return encoder.logits(tensors, architecture, input_ids, attention_mask)

    return run  # type: ignore[no-any-return]


def _epoch_rows(
    comments: tuple[Example, ...], stories: tuple[Example, ...], recipe: Recipe, random: np.random.Generator
) -> NDArray[np.int64]:
    """Indices in comments + stories of the examples in one epoch."""
    neutral = np.array([example.target[EMOTIONS.index("neutral")] == 1.0 for example in comments])
    selected = ~neutral | (random.random(len(comments)) < recipe.neutral_share)
    return np.concatenate([np.flatnonzero(selected), np.tile(len(comments) + np.arange(len(stories)), recipe.stories_repeat)])


def initial_tensors(base: Mapping[str, NDArray[np.float32]], rank: int, random: np.random.Generator) -> NamedArrays:
    """Tensors to train: adapters (A random, B zero), a random head, and weights of the base."""
    initial: NamedArrays = {
        "classifier.weight": random.normal(0, 0.02, (len(EMOTIONS), base["pooler.dense.bias"].shape[0])).astype(np.float32),
        "classifier.bias": np.zeros(len(EMOTIONS), np.float32),
    }
    for name, array in base.items():
        if name.startswith("pooler.") or name.endswith(".bias") or "LayerNorm" in name:
            initial[name] = array
        if name.startswith("encoder.") and name.endswith(".weight") and array.ndim == 2:
            rows, columns = array.shape
            layer = name.removesuffix(".weight")
            initial[f"{layer}.lora_A"] = random.normal(0, columns**-0.5, (rank, columns)).astype(np.float32)
            initial[f"{layer}.lora_B"] = np.zeros((rows, rank), np.float32)
    return initial
