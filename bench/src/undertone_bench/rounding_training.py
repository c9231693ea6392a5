"""Quantization-aware training of the emotion model's adapters.

The rounded model learns to give the logits of the packaged adapters in fp32. Gradients pass through
the rounding unchanged (straight-through estimator, Bengio et al., 2013).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from undertone_model import encoder
from undertone_model.adapters import load_adapters, merge_adapters
from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.batches import encode, make_batches
from undertone_model.checkpoint import find_base, load_checkpoint
from undertone_model.data import PACKAGED_STORIES, load_stories
from undertone_model.optimization import TrainingBatch, make_optimizer, optimize, split_weights
from undertone_model.sources import Source
from undertone_model.training import predict_logits

from undertone_bench.calibrated_rounding import STEPS, RoundedLayer


@dataclass(frozen=True, slots=True)
class RoundingTraining:
    """Hyperparameters. `tokens_per_batch` includes padding."""

    seed: int = 3
    steps: int = 100
    learning_rate: float = 5e-6
    warmup: float = 0.1
    tokens_per_batch: int = 1024


RECIPE: Final = RoundingTraining()


def train(
    source: Source, base: str | None, layers: Mapping[str, RoundedLayer], recipe: RoundingTraining = RECIPE
) -> tuple[Source, dict[str, RoundedLayer]]:
    """The source with trained adapters, and its rounded layers.

    The texts are story paragraphs of the train split.
    """
    weights, checkpoint = load_checkpoint(find_base(base)).weights, source.checkpoint
    texts = [example.text for example in load_stories(PACKAGED_STORIES, "train").examples]
    ids = encode(checkpoint.tokenizer, texts, checkpoint.architecture.max_tokens)
    trained = train_adapters(weights, load_adapters().tensors, checkpoint.architecture, ids, layers, recipe)
    merged = merge_adapters(weights, trained)
    rounded = {
        name: changed_layer(layer, merged[f"{name}.weight"] - checkpoint.weights[f"{name}.weight"])
        for name, layer in layers.items()
    }
    return replace(source, checkpoint=replace(checkpoint, weights=merged)), rounded


def train_adapters(
    base: NamedArrays,
    adapters: NamedArrays,
    architecture: Architecture,
    ids: list[list[int]],
    layers: Mapping[str, RoundedLayer],
    recipe: RoundingTraining = RECIPE,
) -> NamedArrays:
    """The adapters after training on the token ids of texts, which is at most one epoch.

    The targets are the logits of `adapters` in fp32. `layers` are their rounded layers.
    """
    batches = list(make_batches(ids, recipe.tokens_per_batch, random=np.random.default_rng(recipe.seed)))[: recipe.steps]
    used = np.concatenate([batch.rows for batch in batches])
    merged = merge_adapters(base, adapters)
    targets = np.zeros((len(ids), len(merged["classifier.bias"])), np.float32)
    targets[used] = predict_logits(merged, architecture, [ids[row] for row in used.tolist()])
    frozen, trainable = split_weights(base, adapters)
    linear = training_linear(layers, merged)
    return optimize(
        trainable,
        make_optimizer(recipe.learning_rate, 0.0, recipe.warmup, len(batches), list(trainable.values())),
        [[TrainingBatch(batch, targets[batch.rows]) for batch in batches]],
        lambda tokens, mask: encoder.logits(frozen | trainable, architecture, tokens, mask, linear=linear),
        squared_difference,
        lambda progress: None,
    )


def squared_difference(scores: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Mean square of the difference of centred logits: a softmax ignores their mean."""
    difference = scores - targets
    return tf.reduce_mean((difference - tf.reduce_mean(difference, axis=-1, keepdims=True)) ** 2)


def changed_layer(layer: RoundedLayer, change: NDArray[np.float32]) -> RoundedLayer:
    """The layer after a `change` [out, in] of its weights in fp32. The steps stay the same."""
    counts = np.clip(np.round((layer.matrix + change * layer.factors) / layer.steps), -STEPS, STEPS)
    return replace(layer, matrix=(counts * layer.steps).astype(np.float32))


def training_linear(layers: Mapping[str, RoundedLayer], start: NamedArrays) -> encoder.Linear:
    """As `rounded_linear`, with weights that change with the adapters.

    `layers` are the rounded layers of the weights `start`.
    """

    def linear(weights: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
        if name not in layers:
            return encoder.dense(weights, name, x)
        layer, weight = layers[name], weights[f"{name}.weight"]
        if f"{name}.lora_A" in weights:
            weight += tf.matmul(weights[f"{name}.lora_B"], weights[f"{name}.lora_A"])
        matrix = layer.matrix + (weight - start[f"{name}.weight"]) * layer.factors
        counts = tf.clip_by_value(tf.round(matrix / layer.steps), -STEPS, STEPS)
        inputs = x / layer.factors
        rounded = {
            f"{name}.weight": straight_through(matrix, counts * layer.steps),
            f"{name}.bias": weights[f"{name}.bias"],
        }
        return encoder.dense(rounded, name, straight_through(inputs, layer.inputs(inputs)))

    return linear


def straight_through(x: tf.Tensor, rounded: tf.Tensor) -> tf.Tensor:
    """`rounded`, with the gradient of `x`."""
    return x + tf.stop_gradient(rounded - x)
