"""Training of the upper layers of a large encoder, whose lower layers stay as they are.

The lower layers are computed once for each text. Their output is kept in memory, and every epoch
trains the upper layers with it: adapters, biases and layer norms, and the head. Some texts have a
changed copy (`augmentation`), as in the second stage of the small model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tokenizers import Tokenizer

from undertone_model import encoder
from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.batches import encode, make_batches
from undertone_model.data import Example
from undertone_model.optimization import Progress, make_optimizer, optimize, split_weights
from undertone_model.second_stage import mixed_dense
from undertone_model.text_pairs import make_pairs, pair_batches, pair_loss, pair_targets
from undertone_model.training import initial_tensors


@dataclass(frozen=True, slots=True)
class UpperLayers:
    """Hyperparameters. The defaults take about 45 minutes of one core with AVX512-BF16.

    The `layers` uppermost layers are trained, at most all. `goemotions` to `subtitles` are the
    shares of the examples of a data set that are used; the same texts are used in each epoch.
    `copies` is the share of the texts of COPIED that have a changed copy. The other fields are
    those of the stages of the small model.
    """

    seed: int = 20211
    layers: int = 6
    rank: int = 32
    epochs: int = 3
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup: float = 0.06
    dropout: float = 0.1
    label_smoothing: float = 0.05
    consistency: float = 1.0
    tokens_per_batch: int = 512
    max_tokens: int = 192
    copies: float = 0.3
    goemotions: float = 0.1
    stories: float = 1.0
    fiction: float = 1.0
    short_texts: float = 1.0
    sentences: float = 1.0
    passages: float = 0.5
    subtitles: float = 0.25


def train(
    base: Mapping[str, NDArray[np.float32]],
    architecture: Architecture,
    tokenizer: Tokenizer,
    datasets: Mapping[str, Sequence[Example]],
    recipe: UpperLayers,
    report: Callable[[Progress], None],
    checkpoint: Callable[[NamedArrays], None] = lambda tensors: None,
    checkpoint_steps: int = 200,
) -> NamedArrays:
    """Trains and returns the trained tensors by name.

    `checkpoint` receives the tensors after every `checkpoint_steps` steps.
    """
    tf.random.set_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    first_layer = max(0, architecture.num_hidden_layers - recipe.layers)
    pairs = [
        pair
        for name, examples in datasets.items()
        for pair in make_pairs(name, examples, getattr(recipe, name), recipe.copies, random)
    ]
    texts = [pair.first for pair in pairs] + [pair.second for pair in pairs]
    ids = encode(tokenizer, [example.text for example in texts], recipe.max_tokens)
    frozen, trainable = split_weights(base, upper_tensors(initial_tensors(base, recipe.rank, random), first_layer))
    frozen = {
        name: tf.cast(tensor, tf.bfloat16) if name.startswith("encoder.") and len(tensor.shape) == 2 else tensor
        for name, tensor in frozen.items()
    }
    states, positions = lower_states(frozen | trainable, architecture, first_layer, ids)
    frozen = {name: tensor for name, tensor in frozen.items() if is_upper(name, first_layer) or "relative" in name}
    targets = pair_targets(pairs, recipe.label_smoothing)
    epochs = [list(pair_batches(positions, targets, recipe.tokens_per_batch, random)) for _ in range(recipe.epochs)]
    steps = sum(len(batches) for batches in epochs)

    def logits(token_positions: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        return encoder.upper_logits(
            frozen | trainable,
            architecture,
            first_layer,
            tf.cast(tf.gather(states, tf.reshape(token_positions, [-1])), tf.float32),
            attention_mask,
            lambda x: tf.nn.dropout(x, recipe.dropout),
            linear=mixed_dense,
        )

    return optimize(
        trainable,
        make_optimizer(recipe.learning_rate, recipe.weight_decay, recipe.warmup, steps, list(trainable.values())),
        epochs,
        logits,
        lambda scores, values: pair_loss(scores, values, recipe.consistency),
        report,
        checkpoint,
        checkpoint_steps,
    )


def lower_states(
    weights: encoder.Weights,
    architecture: Architecture,
    layers: int,
    ids: Sequence[Sequence[int]],
    max_padded_tokens: int = 2048,
) -> tuple[tf.Tensor, list[list[int]]]:
    """Output [tokens, hidden] of the first `layers` layers for all tokens of all texts, in float16.

    Also returns the rows of the tokens of each text.
    """

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False, input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)]
    )
    def run(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
        hidden = encoder.lower_states(weights, architecture, layers, input_ids, attention_mask, linear=mixed_dense)
        return tf.cast(tf.boolean_mask(hidden, tf.reshape(attention_mask, [-1]) > 0), tf.float16)

    ends = np.cumsum([len(row) for row in ids])
    positions = [list(range(end - len(row), end)) for row, end in zip(ids, ends.tolist(), strict=True)]
    states = np.empty((int(ends[-1]), architecture.hidden_size), np.float16)
    for batch in make_batches(ids, max_padded_tokens):
        rows = [position for row in batch.rows.tolist() for position in positions[row]]
        states[rows] = run(batch.input_ids, batch.attention_mask).numpy()
    return tf.constant(states), positions


def upper_tensors(tensors: NamedArrays, first_layer: int) -> NamedArrays:
    """The tensors of the head and of the layers from `first_layer`."""
    return {name: array for name, array in tensors.items() if is_upper(name, first_layer)}


def is_upper(name: str, first_layer: int) -> bool:
    """Whether a tensor belongs to the head or to one of the layers from `first_layer`."""
    if name.startswith("encoder.layer."):
        return int(name.split(".")[2]) >= first_layer
    return name.startswith(("pooler.", "classifier."))
