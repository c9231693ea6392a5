"""Attention scores, which depend on how an encoder represents the order of the tokens."""

from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from undertone_model.architecture import AbsolutePositions, Architecture, DisentangledPositions, RotaryPositions
from undertone_model.encoder.disentangled import DisentangledScores
from undertone_model.encoder.layers import Linear, Tensor, Weights
from undertone_model.encoder.relative_bias import BiasedProduct
from undertone_model.encoder.scaled_product import ScaledProduct


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
        case AbsolutePositions(bias=bias):
            return BiasedProduct(weights, architecture, bias, length) if bias else ScaledProduct(architecture)
        case RotaryPositions() as positions:
            return RotaryProduct(architecture, positions, length)
        case DisentangledPositions() as positions:
            return DisentangledScores(weights, architecture, positions, length, linear)


class RotaryProduct:
    """Products of rotated queries and keys. The rotations and the masks of distant tokens are
    computed once for all layers that share them.
    """

    def __init__(self, architecture: Architecture, positions: RotaryPositions, length: Tensor) -> None:
        self._layers = positions.layers
        self._product = ScaledProduct(architecture)
        size = architecture.hidden_size // architecture.num_attention_heads
        self._phases = {theta: phases(theta, size, length) for theta in {layer.theta for layer in positions.layers}}
        reaches = {layer.reach for layer in positions.layers if layer.reach is not None}
        self._distant = {reach: distant(reach, length) for reach in reaches}

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        rotary = self._layers[layer]
        turns = self._phases[rotary.theta]
        count = tf.shape(queries)[2]
        if rotary.reach is not None:
            padding += self._distant[rotary.reach][:, :, :count]
        return self._product(layer, rotate(queries, turns[:count]), rotate(keys, turns), padding)


def phases(theta: float, size: int, length: Tensor) -> Tensor:
    """Rotations [length, size / 2] of each position, as complex numbers."""
    frequencies = theta ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    angles = tf.range(tf.cast(length, tf.float32))[:, tf.newaxis] * frequencies.astype(np.float32)
    return tf.complex(tf.cos(angles), tf.sin(angles))


def distant(reach: int, length: Tensor) -> Tensor:
    """Bias [1, 1, length, length] of the attention scores: 0 up to a distance of `reach` tokens,
    and a very large negative number beyond it.
    """
    positions = tf.range(length)
    distances = tf.abs(positions[:, tf.newaxis] - positions)
    return tf.reshape(tf.cast(distances > reach, tf.float32) * -1e9, [1, 1, length, length])


@tf.custom_gradient  # type: ignore[untyped-decorator]
def rotate(rows: Tensor, turns: Tensor) -> tuple[Tensor, Any]:
    """Rotates the pairs in the last dimension of `rows` by complex numbers of the absolute value 1.

    A bit cast makes it one multiplication. TensorFlow has no gradient of a bit cast.
    """

    def gradient(upstream: Tensor) -> tuple[Tensor, None]:
        return _turn(upstream, tf.math.conj(turns)), None

    return _turn(rows, turns), gradient


def _turn(rows: Tensor, turns: Tensor) -> Tensor:
    shape = tf.shape(rows)
    pairs = tf.bitcast(tf.reshape(rows, tf.concat([shape[:-1], [-1, 2]], axis=0)), tf.complex64)
    return tf.reshape(tf.bitcast(pairs * turns, tf.float32), shape)
