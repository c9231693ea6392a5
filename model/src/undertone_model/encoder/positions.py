"""Attention scores, which depend on how an encoder represents the order of the tokens."""

from typing import Protocol

import tensorflow as tf

from undertone_model.architecture import AbsolutePositions, Architecture
from undertone_model.encoder.layers import Linear, Tensor, Weights


class AttentionScores(Protocol):
    """Computes the attention scores of one call. Holds what its layers share."""

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        """Scores [batch, heads, n, length] before the softmax.

        `queries` [batch, heads, n, size] belong to the first n tokens: n is the length, or 1 in the
        last layer if the head reads only the first token. `keys` [batch, heads, length, size]
        belong to all tokens. `padding` [batch, 1, 1, length] is 0 for tokens and a very large
        negative number for padding; it is added to the scores.
        """


def attention_scores(weights: Weights, architecture: Architecture, length: Tensor, linear: Linear) -> AttentionScores:
    """The attention scores of an architecture for sequences of `length` tokens."""
    match architecture.positions:
        case AbsolutePositions():
            return ScaledProduct(architecture)


class ScaledProduct:
    """Products of queries and keys, scaled by the root of their size.

    TensorFlow fuses product, scale and padding in this form only.
    """

    def __init__(self, architecture: Architecture) -> None:
        self._scale = (architecture.hidden_size // architecture.num_attention_heads) ** -0.5

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        return tf.matmul(queries, keys, transpose_b=True) * self._scale + padding
