"""Rounding to int8 for the inputs of each layer, and what TensorFlow's operation fuses."""

from collections.abc import Callable
from math import erf
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from undertone_bench import rounding
from undertone_bench.calibrated_rounding import (
    CalibratedRounding,
    collect,
    round_rows,
    round_with_compensation,
    rounded_linear,
    smoothing_factors,
)
from undertone_bench.graph_variants import quantized_product
from undertone_model import encoder, sources
from undertone_model.batches import make_batches
from undertone_model.serving import calibrated_weights
from undertone_model.sources import Source
from undertone_model.testing import tiny_checkpoint

Floats = NDArray[Any]
SEEDS = st.integers(0, 2**32 - 1)


def correlated_inputs(random: np.random.Generator, rows: int = 400, channels: int = 24) -> NDArray[np.float64]:
    """Inputs whose channels are correlated and have different sizes, as in an encoder."""
    return random.normal(size=(rows, channels // 3)) @ random.normal(size=(channels // 3, channels)) * random.uniform(
        0.1, 3, channels
    ) + 0.1 * random.normal(size=(rows, channels))


@given(SEEDS)
def test_compensation_reduces_the_error_of_outputs_with_the_same_steps(seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs, weight = correlated_inputs(random), random.normal(size=(16, 24))
    compensated = round_with_compensation(weight, inputs.T @ inputs / len(inputs), block=7)
    steps = compensated / (np.abs(weight).max(axis=1, keepdims=True) / 127)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    assert np.abs(steps).max() <= 127 + 1e-6

    def error(rounded: NDArray[np.float64]) -> float:
        return float(((inputs @ (rounded - weight).T) ** 2).mean())

    assert error(compensated) < error(round_rows(weight))


@given(SEEDS)
def test_size_of_blocks_does_not_change_the_rounding(seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs, weight = correlated_inputs(random), random.normal(size=(5, 24))
    products = inputs.T @ inputs / len(inputs)
    results = [round_with_compensation(weight, products, block) for block in (1, 7, 64)]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-9)


def test_row_of_zeros_stays_zero() -> None:
    weight = np.array([[0.0, 0.0], [1.0, -0.3]])
    assert not round_rows(weight)[0].any()
    assert not round_with_compensation(weight, np.eye(2))[0].any()


@given(SEEDS, st.floats(0, 1))
def test_smoothing_leaves_products_and_the_mean_size_unchanged(seed: int, strength: float) -> None:
    random = np.random.default_rng(seed)
    inputs, weight = correlated_inputs(random), random.normal(size=(16, 24))
    factors = smoothing_factors(np.abs(inputs).max(axis=0), weight, strength)
    np.testing.assert_allclose((inputs / factors) @ (weight * factors).T, inputs @ weight.T, atol=1e-9)
    assert np.log(factors).mean() == pytest.approx(0, abs=1e-9)


@given(SEEDS)
def test_two_parts_have_an_error_of_a_fraction_of_one_part(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(8, 32)).astype(np.float32)
    step = np.abs(x).max(axis=1, keepdims=True) / 127
    error = np.abs(rounding.to_int8_in_two_parts(tf.constant(x)).numpy() - x)
    assert (error <= step / 254 * 0.51 + 1e-6).all()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return sources.from_checkpoint(tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny"))


def test_statistics_leave_out_padding(source: Source) -> None:
    weights = calibrated_weights(source)
    texts = [[2, 7, 8, 9, 3], [2, 7, 3]]
    together = collect(source, weights, make_batches(texts, 64))
    alone = collect(source, weights, [batch for text in texts for batch in make_batches([text], 64)])
    assert together.keys() == alone.keys() == {name.removesuffix(".weight") for name in weights if is_rounded(name)}
    for name, found in together.items():
        np.testing.assert_allclose(found.maxima, alone[name].maxima, rtol=1e-4)
        np.testing.assert_allclose(found.products, alone[name].products, rtol=1e-3, atol=1e-5)


def is_rounded(name: str) -> bool:
    return name.startswith(("encoder.", "pooler.")) and name.endswith(".weight") and "LayerNorm" not in name


def test_only_the_second_product_of_feed_forward_has_its_own_rounding(source: Source) -> None:
    weights = calibrated_weights(source)
    statistics = collect(source, weights, make_batches([[2, 7, 8, 9, 3]], 64))
    linear = rounded_linear(CalibratedRounding(tf.zeros_like, tf.identity).layers(weights, statistics))
    tensors = {name: tf.constant(array) for name, array in weights.items()}
    for layer, inputs in (("attention.output.dense", 32), ("intermediate.dense", 32), ("output.dense", 64)):
        name = f"encoder.layer.0.{layer}"
        x = tf.ones([2, inputs])
        difference = linear(tensors, name, x) - tensors[f"{name}.bias"]
        assert bool(tf.reduce_any(difference != 0)) == (layer == "output.dense")
    head = tf.ones([2, 32])
    np.testing.assert_array_equal(linear(tensors, "classifier", head), encoder.dense(tensors, "classifier", head))


GELU = np.vectorize(lambda x: x * (1 + erf(x / 2**0.5)) / 2)


@pytest.mark.parametrize(
    ("fused", "expected"),
    [
        (("BiasAdd", "Dequantize"), lambda y, _: y),
        (("BiasAdd", "GeluExact", "Dequantize"), lambda y, _: GELU(y)),
        (("BiasAdd", "Add", "Dequantize"), lambda y, added: y + added),
    ],
)
def test_stock_operation_fuses_gelu_and_sum_and_answers_alone_as_in_a_batch(
    fused: tuple[str, ...], expected: Callable[[Floats, Floats], Floats]
) -> None:
    random = np.random.default_rng(0)
    x, weight = random.integers(-127, 128, (16, 64), np.int8), random.integers(-127, 128, (64, 48), np.int8)
    bias, added = random.normal(size=48).astype(np.float32), random.normal(size=(16, 48)).astype(np.float32)
    maxima = random.uniform(0.1, 0.3, 48).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        rows, sums = tf.compat.v1.placeholder(tf.int8, [None, 64]), tf.compat.v1.placeholder(tf.float32, [None, 48])
        operands = [tf.bitcast(rows, tf.qint8), tf.bitcast(tf.constant(weight), tf.qint8), tf.constant(bias)]
        bounds = [tf.constant(-2.0), tf.constant(2.0), tf.constant(-maxima), tf.constant(maxima)]
        product = quantized_product([*operands, *([sums] if "Add" in fused else []), *bounds], fused)
        together = session.run(product, {rows: x, sums: added})
        alone = session.run(product, {rows: x[5:6], sums: added[5:6]})
    np.testing.assert_array_equal(alone[0], together[5])
    exact = (x * (2 / 127)) @ (weight * (maxima / 127)) + bias
    np.testing.assert_allclose(together, expected(exact, added), atol=1e-4)
