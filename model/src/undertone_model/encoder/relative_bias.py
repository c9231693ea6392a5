"""Attention scores with a bias for the distance of two tokens (Raffel et al., 2020)."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model.architecture import Architecture, RelativeBias
from undertone_model.encoder.layers import Tensor, Weights
from undertone_model.encoder.scaled_product import ScaledProduct


class BiasedProduct:
    """Scaled products of queries and keys, plus a bias for the distance between their tokens.

    Bias and padding are summed first, and TensorFlow computes the equal sums of the layers once. It
    fuses the product with a sum whose second dimension is 1, so heads become rows of the batch.
    """

    def __init__(self, weights: Weights, architecture: Architecture, bias: RelativeBias, length: Tensor) -> None:
        self._architecture = architecture
        self._product = ScaledProduct(architecture)
        maximum = architecture.max_tokens - 1
        by_distance = tf.gather(weights["embeddings.relative_bias.weight"], buckets(bias, np.arange(-maximum, maximum + 1)))
        positions = tf.range(length)
        distances = positions[tf.newaxis] - positions[:, tf.newaxis]
        self._bias = tf.transpose(tf.gather(by_distance, distances + maximum), [2, 0, 1])[tf.newaxis]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        last = layer == self._architecture.num_hidden_layers - 1
        first_token_only = last and self._architecture.head.pooling == "cls"
        added = (self._bias[:, :, :1] if first_token_only else self._bias) + padding
        shape = tf.shape(added)

        def fold(x: Tensor, columns: Tensor) -> Tensor:
            return tf.reshape(x, [shape[0] * shape[1], 1, -1, columns])

        size = self._architecture.hidden_size // self._architecture.num_attention_heads
        scores = self._product(layer, fold(queries, size), fold(keys, size), fold(added, shape[3]))
        return tf.reshape(scores, shape)


def buckets(bias: RelativeBias, distances: NDArray[np.int64]) -> NDArray[np.int32]:
    """The bucket of each distance, which is negative for keys before the query."""
    half = bias.buckets // 2
    exact = half // 2
    size = np.abs(distances)
    # The summand keeps distances at the border of two buckets in the upper one, whatever the
    # rounding of the logarithms.
    growth = np.log(np.maximum(size, exact) / exact) / np.log(bias.max_distance / exact) * (half - exact) + 1e-9
    bucket = np.where(size < exact, size, np.minimum(exact + growth.astype(np.int64), half - 1))
    return np.asarray(bucket + half * (distances > 0), np.int32)
