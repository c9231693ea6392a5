"""Rotary positions (Su et al., 2021)."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model.architecture import Architecture, RotaryPositions
from undertone_model.encoder.layers import Tensor


class Rotation:
    """Rotates queries and keys of one call. Layers with the same angles share them."""

    def __init__(self, architecture: Architecture, positions: RotaryPositions, batch: Tensor, length: Tensor) -> None:
        self._layers = positions.layers
        self._shape = [batch, length, architecture.hidden_size // 2, 2]
        thetas = {layer.theta for layer in positions.layers}
        self._turns = {theta: turns(architecture, theta, length) for theta in thetas}

    def reach(self, layer: int) -> int | None:
        """Largest distance of the tokens that a layer attends to. None means all tokens."""
        return self._layers[layer].reach

    def __call__(self, layer: int, rows: Tensor) -> Tensor:
        """The rows [batch x length, hidden] of all tokens, rotated, in float32."""
        pairs = tf.reshape(tf.cast(rows, tf.float32), self._shape)
        return tf.reshape(rotate(pairs, self._turns[self._layers[layer].theta]), tf.shape(rows))


def turns(architecture: Architecture, theta: float, length: Tensor) -> Tensor:
    """Rotations [length, hidden / 2] of each position, as complex numbers. They are equal in all
    heads.
    """
    heads = architecture.num_attention_heads
    size = architecture.hidden_size // heads
    angles = tf.range(tf.cast(length, tf.float32))[:, tf.newaxis] * frequencies(theta, size)
    return tf.tile(tf.complex(tf.cos(angles), tf.sin(angles)), [1, heads])


def frequencies(theta: float, size: int) -> NDArray[np.float32]:
    """Angles [size / 2] between two positions.

    They are rounded where PyTorch's original rounds them. With exact frequencies, logits of 8192
    tokens differ from the original by 7e-4.
    """
    exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
    wavelengths = (theta ** exponents.astype(np.float64)).astype(np.float32)
    rounded: NDArray[np.float32] = np.float32(1) / wavelengths
    return rounded


@tf.custom_gradient  # type: ignore[untyped-decorator]
def rotate(pairs: Tensor, by: Tensor) -> tuple[Tensor, Any]:
    """Rotates `pairs` [batch, length, n, 2] by complex numbers [length, n] of the absolute value 1.

    A bit cast makes it one multiplication. TensorFlow has no gradient of a bit cast.
    """

    def gradient(upstream: Tensor) -> tuple[Tensor, None]:
        return _multiply(upstream, tf.math.conj(by)), None

    return _multiply(pairs, by), gradient


def _multiply(pairs: Tensor, by: Tensor) -> Tensor:
    return tf.bitcast(tf.bitcast(pairs, tf.complex64) * by, tf.float32)
