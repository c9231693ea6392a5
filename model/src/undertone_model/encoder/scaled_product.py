"""Attention scores of encoders whose embeddings represent the order of the tokens."""

import tensorflow as tf

from undertone_model.architecture import Architecture
from undertone_model.encoder.layers import Tensor


class ScaledProduct:
    """Products of queries and keys, scaled by the root of their size.

    TensorFlow fuses product, scale and padding in this form only.
    """

    def __init__(self, architecture: Architecture) -> None:
        self._scale = (architecture.hidden_size // architecture.num_attention_heads) ** -0.5

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        return tf.matmul(queries, keys, transpose_b=True) * self._scale + padding
