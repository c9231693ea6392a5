"""Scaled dot-product attention."""

import tensorflow as tf

from undertone_model.architecture import Architecture, RotaryPositions
from undertone_model.encoder.layers import Linear, Tensor, Weights
from undertone_model.encoder.local_blocks import EXCLUDED, LocalBlocks
from undertone_model.encoder.positions import attention_scores
from undertone_model.encoder.rotary import Rotation


class Attention:
    """The attention of one call. Holds what its layers share."""

    def __init__(self, weights: Weights, architecture: Architecture, attention_mask: Tensor, linear: Linear) -> None:
        """`attention_mask` [batch, length] is 1 for tokens and 0 for padding."""
        self._weights, self._architecture, self._linear = weights, architecture, linear
        self._batch, self._length = tf.shape(attention_mask)[0], tf.shape(attention_mask)[1]
        # The bias of the attention scores: 0 for tokens, a very large negative number for padding.
        # It is reshaped and not sliced, because TensorFlow fuses only this form with the product of
        # queries and keys.
        self._padding = tf.reshape((1.0 - tf.cast(attention_mask, tf.float32)) * EXCLUDED, [-1, 1, 1, self._length])
        self._scores = attention_scores(weights, architecture, self._length, linear)
        self._rotation: Rotation | None = None
        self._blocks: dict[int, LocalBlocks] = {}
        if isinstance(architecture.positions, RotaryPositions):
            self._rotation = Rotation(architecture, architecture.positions, self._batch, self._length)
            for reach in {layer.reach for layer in architecture.positions.layers if layer.reach is not None}:
                self._blocks[reach] = LocalBlocks(reach, self._padding, self._batch, self._length)

    def __call__(self, layer: int, query_rows: Tensor, rows: Tensor) -> Tensor:
        """Attention of `query_rows` [batch x n, hidden] over `rows` [batch x length, hidden].

        Returns the concatenated heads [batch x n, hidden]. n is the length, or 1 if the output of
        the layer is needed for the first token only.
        """
        inputs = {"query": query_rows, "key": rows, "value": rows}
        queries, keys, values = (
            self._linear(self._weights, f"encoder.layer.{layer}.attention.self.{name}", x) for name, x in inputs.items()
        )
        if self._rotation:
            context = self._rotary(self._rotation, layer, queries, keys, values)
        else:
            context = self._attend(layer, queries, keys, values, self._padding, self._batch)
        # The shape is that of `query_rows`, because TensorFlow fuses the sum that follows only if
        # it knows that both shapes are equal.
        return tf.reshape(context, tf.shape(query_rows))

    def _rotary(self, rotation: Rotation, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        reach, first_only = rotation.reach(layer), self._architecture.reads_first_token_only(layer)
        keys = rotation(layer, keys)
        if first_only:  # The angle of the first token is 0.
            padding = self._padding if reach is None else self._padding + distant_from_first(reach, self._length)
            return self._attend(layer, queries, keys, values, padding, self._batch)
        queries = rotation(layer, queries)
        if reach is None:
            return self._attend(layer, queries, keys, values, self._padding, self._batch)
        blocks = self._blocks[reach]
        context = self._attend(
            layer, blocks.queries(queries), blocks.keys(keys), blocks.keys(values), blocks.mask, blocks.batch
        )
        return blocks.tokens(context, self._architecture.hidden_size)

    def _attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, padding: Tensor, batch: Tensor) -> Tensor:
        """Context [batch, n, heads, size] of the queries of each of `batch` sequences."""
        heads = self._architecture.num_attention_heads
        size = self._architecture.hidden_size // heads

        def split(rows: Tensor) -> Tensor:
            return tf.transpose(tf.reshape(rows, [batch, -1, heads, size]), [0, 2, 1, 3])

        queries, keys = (tf.cast(split(x), padding.dtype) for x in (queries, keys))
        values = split(values)
        weighting = tf.nn.softmax(self._scores(layer, queries, keys, padding))
        context = tf.matmul(tf.cast(weighting, values.dtype), values)
        return tf.transpose(context, [0, 2, 1, 3])


def distant_from_first(reach: int, length: Tensor) -> Tensor:
    """Bias [1, 1, 1, length] of the scores of the first token: a very large negative number for
    tokens at a distance of more than `reach`.
    """
    return tf.reshape(tf.cast(tf.range(length) > reach, tf.float32) * EXCLUDED, [1, 1, 1, length])
