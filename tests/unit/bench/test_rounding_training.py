"""Quantization-aware training of adapters, with a tiny model."""

from pathlib import Path
from typing import Final

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from undertone_bench.calibrated_rounding import RoundedLayer, round_rows, rounded_linear, row_steps
from undertone_bench.rounding import to_int8
from undertone_bench.rounding_training import (
    RoundingTraining,
    changed_layer,
    straight_through,
    train_adapters,
    training_linear,
)
from undertone_model import encoder
from undertone_model.adapters import merge_adapters
from undertone_model.batches import make_batches
from undertone_model.checkpoint import Checkpoint, load_checkpoint
from undertone_model.testing import tiny_checkpoint
from undertone_model.training import predict_logits

NAME: Final = "encoder.layer.0.intermediate.dense"
TEXTS: Final = [[2, *range(7, 7 + length), 3] for length in range(1, 20)]

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder: Path = tmp_path_factory.mktemp("checkpoint") / "tiny"
    return load_checkpoint(tiny_checkpoint(folder), classifier=True)


@pytest.fixture(scope="module")
def layer(checkpoint: Checkpoint) -> RoundedLayer:
    weight = checkpoint.weights[f"{NAME}.weight"]
    factors = np.linspace(0.5, 2, 32, dtype=np.float32)
    scaled = (weight * factors).astype(np.float64)
    return RoundedLayer(round_rows(scaled).astype(np.float32), row_steps(scaled).astype(np.float32), factors, to_int8)


@pytest.fixture(scope="module")
def adapters(checkpoint: Checkpoint) -> dict[str, Floats]:
    """Adapters of one layer that change nothing."""
    rows, columns = checkpoint.weights[f"{NAME}.weight"].shape
    down = np.random.default_rng(0).normal(size=(4, columns)).astype(np.float32)
    return {f"{NAME}.lora_A": down, f"{NAME}.lora_B": np.zeros((rows, 4), np.float32)}


def test_gradient_passes_through_rounding() -> None:
    x = tf.Variable([0.2, 0.7, 1.4])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(straight_through(x, tf.round(x)) * [1.0, 2.0, 3.0])
    assert float(y) == pytest.approx(1 * 2 + 1 * 3)
    np.testing.assert_array_equal(tape.gradient(y, x), [1, 2, 3])


def test_training_computes_what_the_trained_layer_computes(
    checkpoint: Checkpoint, layer: RoundedLayer, adapters: dict[str, Floats]
) -> None:
    start = checkpoint.weights
    trained = adapters | {f"{NAME}.lora_B": np.random.default_rng(1).normal(0, 0.02, (64, 4)).astype(np.float32)}
    changed = changed_layer(layer, merge_adapters(start, trained)[f"{NAME}.weight"] - start[f"{NAME}.weight"])
    tensors = {name: tf.constant(array) for name, array in (start | trained).items()}
    x = np.random.default_rng(2).normal(size=(5, 32)).astype(np.float32)
    in_training = training_linear({NAME: layer}, start)(tensors, NAME, x)
    np.testing.assert_allclose(in_training, rounded_linear({NAME: changed})(tensors, NAME, x), atol=1e-5)
    assert np.abs(changed.matrix - layer.matrix).max() > layer.steps.max()


def test_changed_layer_has_at_most_127_steps(layer: RoundedLayer) -> None:
    counts = changed_layer(layer, 100 * layer.steps / layer.factors).matrix / layer.steps
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-3)
    assert counts.max() == pytest.approx(127)
    assert counts.min() >= -27.001


def test_training_reduces_the_difference_from_fp32(
    checkpoint: Checkpoint, layer: RoundedLayer, adapters: dict[str, Floats]
) -> None:
    start, architecture = checkpoint.weights, checkpoint.architecture
    layers = {NAME: changed_layer(layer, 60 * layer.steps / layer.factors)}
    recipe = RoundingTraining(steps=40, learning_rate=1e-2, tokens_per_batch=64)
    trained = train_adapters(start, adapters, architecture, TEXTS * 8, layers, recipe)
    expected = predict_logits(start, architecture, TEXTS)
    batch = next(make_batches(TEXTS, 512))

    def error(tensors: dict[str, Floats]) -> float:
        weights = {name: tf.constant(array) for name, array in (start | tensors).items()}
        linear = training_linear(layers, start)
        found = encoder.logits(weights, architecture, batch.input_ids, batch.attention_mask, linear=linear)
        return float(tf.reduce_mean((found - expected[batch.rows]) ** 2))

    assert error(dict(trained)) < error(adapters) / 2
