"""Disentangled attention (He et al., 2021): scores with terms for the distance of two tokens.

The score of the query of token i and the key of token j is the sum of three products, scaled by the
root of (size of a head x number of products): query i x key j, query i x key of the distance i - j
("content to position"), and query of the distance i - j x key j ("position to content").

The keys and queries of distances depend on weights only. `fold_distances` computes them at export.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model.architecture import Architecture, DisentangledPositions
from undertone_model.arrays import NamedArrays
from undertone_model.encoder.layers import Linear, Tensor, Weights, dense, layer_norm

KEYS, QUERIES = "distance_keys", "distance_queries"


class DisentangledScores:
    """Attention scores with the distances of the tokens.

    The products with the distances are a matrix in each layer. It has a row for each token, and a
    column for each distance from length - 1 down to -length. The terms of all pairs of tokens are
    diagonals of this matrix.
    """

    def __init__(
        self, weights: Weights, architecture: Architecture, positions: DisentangledPositions, length: Tensor, linear: Linear
    ) -> None:
        self._weights, self._architecture, self._positions = weights, architecture, positions
        self._length, self._linear = length, linear
        self._scale = score_scale(architecture, positions)
        # The rows of the distances maximum - 1 to -maximum. A slice of another size is an error of
        # the reshapes below: the sequence is longer than the model's maximum.
        maximum = architecture.max_tokens
        rows = tf.constant(embedding_rows(positions, np.arange(maximum - 1, -maximum - 1, -1)))
        self._rows = rows[maximum - length : maximum + length]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        # TensorFlow fuses product, scale and padding in this form only.
        scores = tf.matmul(queries, keys, transpose_b=True) * self._scale + padding
        tables = self._tables(layer)
        if self._architecture.reads_first_token_only(layer):
            return scores + self._of_first_token(tables, queries, keys)
        if KEYS in tables:
            scores += self._diagonals(tf.matmul(queries, tables[KEYS], transpose_b=True))
        if QUERIES in tables:
            scores += self._transposed_diagonals(tf.matmul(keys, tables[QUERIES], transpose_b=True))
        return scores

    def _tables(self, layer: int) -> dict[str, Tensor]:
        """Scaled keys and queries [heads, 2 x length, size] of the distances that occur."""
        prefix = f"encoder.layer.{layer}.attention.self."
        tables = {name: self._weights[prefix + name] for name in (KEYS, QUERIES) if prefix + name in self._weights}
        if not tables:
            tables = distance_tables(self._weights, self._architecture, self._positions, layer, self._linear)
        return {name: tf.gather(table, self._rows, axis=1) for name, table in tables.items()}

    def _of_first_token(self, tables: Mapping[str, Tensor], queries: Tensor, keys: Tensor) -> Tensor:
        """The terms [batch, heads, 1, length] of the first token, whose distances are 0 to
        1 - length.
        """
        terms = tf.zeros([], queries.dtype)
        tables = {name: table[:, self._length - 1 : 2 * self._length - 1] for name, table in tables.items()}
        if KEYS in tables:
            terms += tf.matmul(queries, tables[KEYS], transpose_b=True)
        if QUERIES in tables:
            terms += tf.reduce_sum(keys * tables[QUERIES], axis=-1)[:, :, tf.newaxis]
        return terms

    def _diagonals(self, products: Tensor) -> Tensor:
        """The element [i, length - 1 - (i - j)] of the products of token i, for all tokens i and j.

        In a matrix with one column less, they are in the column of token j.
        """
        heads, length, batch = self._architecture.num_attention_heads, self._length, tf.shape(products)[0]
        elements = tf.reshape(products, [batch * heads, 2 * length * length])[:, : length * (2 * length - 1)]
        shorter = tf.reshape(elements, [batch * heads, length, 2 * length - 1])
        return tf.reshape(shorter[:, :, length - 1 :], [batch, heads, length, length])

    def _transposed_diagonals(self, products: Tensor) -> Tensor:
        """The element [j, length - 1 - (i - j)] of the products of token j, for all tokens i and j.

        For one token i, they are a diagonal, and the diagonals are in the order of i.
        """
        heads, length, batch = self._architecture.num_attention_heads, self._length, tf.shape(products)[0]
        every = tf.stack([0, length - 1])
        diagonals = tf.raw_ops.MatrixDiagPartV3(input=products, k=every, padding_value=tf.zeros([], products.dtype))
        # A single diagonal has no dimension of diagonals.
        return tf.reshape(diagonals, [batch, heads, length, length])


def score_scale(architecture: Architecture, positions: DisentangledPositions) -> float:
    """The factor of all products."""
    products = 1 + positions.content_to_position + positions.position_to_content
    return float((architecture.hidden_size // architecture.num_attention_heads * products) ** -0.5)


def embedding_rows(positions: DisentangledPositions, distances: NDArray[np.int64]) -> NDArray[np.int32]:
    """Rows of `encoder.rel_embeddings` of these distances."""
    if positions.max_distance is not None:
        middle = positions.span // 2
        far = np.maximum(np.abs(distances), middle).astype(np.float32)
        # In float32, as the original computes it. The borders of buckets depend on the rounding.
        share = np.log(far / np.float32(middle)) / np.log(np.float32((positions.max_distance - 1) / middle))
        bucket = np.ceil(share * np.float32(middle - 1)).astype(np.int64) + middle
        distances = np.where(np.abs(distances) <= middle, distances, np.sign(distances) * bucket)
    return np.clip(distances + positions.span, 0, 2 * positions.span - 1).astype(np.int32)


def distance_tables(
    weights: Weights, architecture: Architecture, positions: DisentangledPositions, layer: int, linear: Linear
) -> dict[str, Tensor]:
    """Scaled keys and queries [heads, 2 x span, size] of the distances in one layer."""
    heads = architecture.num_attention_heads
    embeddings = weights["encoder.rel_embeddings.weight"]
    if positions.normalized:
        embeddings = layer_norm(weights, architecture, "encoder.LayerNorm", embeddings)
    tables = {}
    for name, kind, exists in (
        (KEYS, "key", positions.content_to_position),
        (QUERIES, "query", positions.position_to_content),
    ):
        if exists:
            own = kind if positions.shared else f"distance_{kind}"
            rows = tf.cast(linear(weights, f"encoder.layer.{layer}.attention.self.{own}", embeddings), tf.float32)
            split = tf.reshape(rows, [-1, heads, architecture.hidden_size // heads])
            tables[name] = tf.transpose(split, [1, 0, 2]) * score_scale(architecture, positions)
    return tables


def fold_distances(weights: Mapping[str, NDArray[np.float32]], architecture: Architecture) -> NamedArrays:
    """The weights with the keys and queries of distances of each layer instead of the embeddings.

    Weights of other architectures are returned unchanged.
    """
    positions = architecture.positions
    if not isinstance(positions, DisentangledPositions):
        return dict(weights)
    folded = {
        name: array
        for name, array in weights.items()
        if not name.startswith(("encoder.rel_embeddings.", "encoder.LayerNorm.")) and ".distance_" not in name
    }
    for layer in range(architecture.num_hidden_layers):
        tables = distance_tables(weights, architecture, positions, layer, dense)
        folded |= {f"encoder.layer.{layer}.attention.self.{name}": table.numpy() for name, table in tables.items()}
    return folded
