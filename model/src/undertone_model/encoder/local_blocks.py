"""Attention within a window, in blocks of queries (Beltagy et al., 2020)."""

from typing import Final

import tensorflow as tf

from undertone_model.encoder.layers import Tensor

EXCLUDED: Final = -1e9
"""Bias of the attention scores of padding and of distant tokens."""


class LocalBlocks:
    """Divides the sequences of a call into blocks of queries, each with the keys within `reach`.

    Blocks take the place of sequences: the attention of a block is that of a sequence with a mask.
    A block has 2 * reach queries and 4 * reach keys, so that memory and time grow with the length
    and not with its square. A sequence of at most 4 * reach tokens is one block, which takes less
    time than several.
    """

    batch: Tensor
    """Number of blocks of all sequences."""
    mask: Tensor
    """Bias [batch, 1, queries, keys] of the attention scores: 0 for a token within reach, a very
    large negative number for any other token and for padding."""

    def __init__(self, reach: int, padding: Tensor, batch: Tensor, length: Tensor) -> None:
        """`padding` [batch, 1, 1, length] is the bias of the scores of padding."""
        is_short = length <= 4 * reach
        self._queries = tf.where(is_short, length, max(2 * reach, 1))
        margin = tf.where(is_short, 0, reach)
        keys = self._queries + 2 * margin
        blocks = (length + self._queries - 1) // self._queries
        self._sequences, self._length = batch, length
        self._padded = blocks * self._queries
        positions = tf.range(blocks)[:, tf.newaxis] * self._queries - margin + tf.range(keys)
        self._positions = tf.clip_by_value(positions, 0, length - 1)
        self.batch = batch * blocks
        outside = tf.cast(positions != self._positions, tf.float32) * EXCLUDED
        of_keys = tf.gather(tf.reshape(padding, [batch, length]), self._positions, axis=1) + outside
        distances = tf.abs(tf.range(keys) - margin - tf.range(self._queries)[:, tf.newaxis])
        distant = tf.cast(distances > reach, tf.float32) * EXCLUDED
        self.mask = tf.reshape(of_keys, [self.batch, 1, 1, keys]) + tf.reshape(distant, [1, 1, self._queries, keys])

    def queries(self, rows: Tensor) -> Tensor:
        """The rows of the queries of all blocks. `rows` are those of the tokens."""
        missing = self._padded - self._length
        return tf.pad(self._by_sequence(rows), [[0, 0], [0, missing], [0, 0]])

    def keys(self, rows: Tensor) -> Tensor:
        """The rows of the keys, or of the values, of all blocks."""
        return tf.gather(self._by_sequence(rows), self._positions, axis=1)

    def tokens(self, rows: Tensor, columns: int) -> Tensor:
        """The rows [sequences, length, columns] of the tokens. `rows` are those of the queries."""
        return tf.reshape(rows, [self._sequences, self._padded, columns])[:, : self._length]

    def _by_sequence(self, rows: Tensor) -> Tensor:
        return tf.reshape(rows, [self._sequences, self._length, rows.shape[-1]])
