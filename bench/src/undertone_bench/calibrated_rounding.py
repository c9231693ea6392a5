"""Rounding to int8 with weights that are adjusted to the inputs of their layers.

Smoothing (SmoothQuant, Xiao et al., 2022) divides each input channel by a factor and multiplies its
column of the weights by the same factor, so that inputs have fewer outliers. Error compensation
(GPTQ, Frantar et al., 2022) rounds one column of the weights after the other, and changes the
columns that follow so that the outputs of typical inputs stay the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from undertone_model import encoder
from undertone_model.batches import TokenBatch, encode, make_batches
from undertone_model.data import PACKAGED_STORIES, load_stories
from undertone_model.sources import Source

CALIBRATION_STRIDE: Final = 4
"""Every fourth story paragraph of the train split is a calibration text: 347 texts."""
STEPS: Final = 127
"""Steps of int8 on each side of zero."""
DAMPING: Final = 0.01
"""Share of the mean of the diagonal that is added to the products of channels, which makes the
matrix invertible.
"""

Rounding = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True, slots=True)
class InputStatistics:
    """Inputs of a linear layer: the largest absolute value of each channel [in], and the mean of
    the product of each two channels [in, in].
    """

    maxima: NDArray[np.float64]
    products: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RoundedLayer:
    """A linear layer in int8: rounded weights `matrix` [out, in], which are multiples of `steps`
    [out, 1], and inputs that are divided by `factors` [in] and rounded by `inputs`.
    """

    matrix: NDArray[np.float32]
    steps: NDArray[np.float32]
    factors: NDArray[np.float32]
    inputs: Rounding


@dataclass(frozen=True, slots=True)
class CalibratedRounding:
    """How to round a linear layer.

    `inputs` rounds the smoothed inputs. `second_product_inputs` does so in the second product of a
    feed-forward network. `smoothing` is the exponent of the largest inputs in the factors of
    channels; 0 is no smoothing. With `compensated`, weights are rounded with error compensation.
    """

    inputs: Rounding
    second_product_inputs: Rounding
    smoothing: float = 0.5
    compensated: bool = True

    def layers(
        self, weights: Mapping[str, NDArray[np.float32]], statistics: Mapping[str, InputStatistics]
    ) -> dict[str, RoundedLayer]:
        """The layers that have statistics, rounded, by name."""
        layers: dict[str, RoundedLayer] = {}
        for name, found in statistics.items():
            weight = weights[f"{name}.weight"].astype(np.float64)
            factors = smoothing_factors(found.maxima, weight, self.smoothing)
            if self.compensated:
                matrix = round_with_compensation(weight * factors, found.products / np.outer(factors, factors))
            else:
                matrix = round_rows(weight * factors)
            second = name.endswith(".output.dense") and not name.endswith(".attention.output.dense")
            layers[name] = RoundedLayer(
                matrix.astype(np.float32),
                row_steps(weight * factors).astype(np.float32),
                factors.astype(np.float32),
                self.second_product_inputs if second else self.inputs,
            )
        return layers


def rounded_linear(layers: Mapping[str, RoundedLayer]) -> encoder.Linear:
    """Linear layers that are rounded if they are in `layers`, and else in fp32."""

    def linear(weights: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
        if name not in layers:
            return encoder.dense(weights, name, x)
        layer = layers[name]
        tensors = {f"{name}.weight": tf.constant(layer.matrix), f"{name}.bias": weights[f"{name}.bias"]}
        return encoder.dense(tensors, name, layer.inputs(x / layer.factors))

    return linear


def smoothing_factors(maxima: NDArray[np.float64], weight: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Factors [in] by which inputs are divided and columns of `weight` [out, in] multiplied.

    Their geometric mean is 1.
    """
    if not strength:
        return np.ones_like(maxima)
    smallest = 1e-6
    factors = np.maximum(maxima, smallest) ** strength / np.maximum(np.abs(weight).max(axis=0), smallest) ** (1 - strength)
    return np.asarray(factors / np.exp(np.log(factors).mean()))


def round_rows(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """`weight` [out, in], rounded to STEPS steps on each side of zero with a scale for each row."""
    step = row_steps(weight)
    return np.asarray(np.round(weight / step) * step)


def row_steps(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The size of a step [out, 1] in each row. It is 1 in a row of zeros."""
    largest = np.abs(weight).max(axis=1, keepdims=True)
    return np.asarray(np.where(largest > 0, largest / STEPS, 1.0))


def round_with_compensation(weight: NDArray[np.float64], products: NDArray[np.float64], block: int = 64) -> NDArray[np.float64]:
    """`weight` [out, in], rounded as by `round_rows`, with a small error of the outputs.

    `products` [in, in] are the mean products of input channels. The channels with the largest
    squares are rounded first. The error of `block` columns is added to the columns that follow in
    one product of matrices.
    """
    step, count = row_steps(weight), len(products)
    order = np.argsort(-np.diag(products), kind="stable")
    rest = weight[:, order].copy()
    damped = products[np.ix_(order, order)] + np.eye(count) * (DAMPING * np.trace(products) / count)
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    rounded = np.empty_like(rest)
    for start in range(0, count, block):
        end = min(start + block, count)
        errors = np.empty((len(rest), end - start))
        for column in range(start, end):
            rounded[:, column] = np.clip(np.round(rest[:, column] / step[:, 0]), -STEPS, STEPS) * step[:, 0]
            errors[:, column - start] = (rest[:, column] - rounded[:, column]) / upper[column, column]
            rest[:, column:end] -= np.outer(errors[:, column - start], upper[column, column:end])
        rest[:, end:] -= errors @ upper[start:end, end:]
    original = np.empty_like(rounded)
    original[:, order] = rounded
    return original


def calibrate(source: Source, weights: Mapping[str, NDArray[np.float32]]) -> dict[str, InputStatistics]:
    """Statistics of the encoder's and the pooler's linear layers, by name of the layer."""
    texts = [example.text for example in load_stories(PACKAGED_STORIES, "train").examples[::CALIBRATION_STRIDE]]
    ids = encode(source.checkpoint.tokenizer, texts, source.checkpoint.architecture.max_tokens)
    return collect(source, weights, make_batches(ids, max_padded_tokens=4096))


def collect(
    source: Source, weights: Mapping[str, NDArray[np.float32]], batches: Iterable[TokenBatch]
) -> dict[str, InputStatistics]:
    """As `calibrate`, of the tokens in `batches`. Padding is left out."""
    maxima: dict[str, NDArray[np.float64]] = {}
    sums: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, int] = {}
    tensors = {name: tf.constant(array) for name, array in weights.items()}
    for batch in batches:
        tokens = batch.attention_mask.astype(bool).reshape(-1)

        def record(given: encoder.Weights, name: str, x: tf.Tensor, tokens: NDArray[np.bool_] = tokens) -> tf.Tensor:
            if not name.startswith("classifier"):
                rows = x.numpy()
                rows = rows[tokens] if len(rows) == len(tokens) else rows
                maxima[name] = np.maximum(maxima.get(name, 0.0), np.abs(rows).max(axis=0).astype(np.float64))
                sums[name] = sums.get(name, 0.0) + (rows.T @ rows).astype(np.float64)
                counts[name] = counts.get(name, 0) + len(rows)
            return encoder.dense(given, name, x)

        encoder.logits(
            tensors,
            source.checkpoint.architecture,
            tf.constant(batch.input_ids),
            tf.constant(batch.attention_mask),
            linear=record,
        )
    return {name: InputStatistics(maxima[name], sums[name] / counts[name]) for name in maxima}
