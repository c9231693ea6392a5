"""Attention in blocks against attention with a mask."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from undertone_model.encoder.local_blocks import EXCLUDED, LocalBlocks

COLUMNS = 4


def attention_with_mask(queries: NDArray[np.float32], keys: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Attention of one sequence [tokens, columns]. The values are the keys."""
    positions = np.arange(len(queries))
    excluded = np.abs(positions[:, None] - positions) > reach
    weighting: NDArray[np.float32] = softmax(np.where(excluded, -np.inf, queries @ keys.T), axis=1)
    return weighting @ keys


@settings(max_examples=40, deadline=None)
@given(reach=st.integers(0, 6), length=st.integers(1, 40), data=st.data())
def test_blocks_and_mask_give_the_same_attention(reach: int, length: int, data: st.DataObject) -> None:
    tokens = np.array(data.draw(st.lists(st.integers(1, length), min_size=1, max_size=3)))
    queries, keys = np.random.default_rng(length).normal(size=(2, len(tokens), length, COLUMNS)).astype(np.float32)
    padding = np.where(np.arange(length) < tokens[:, None], 0, EXCLUDED).astype(np.float32)
    blocks = LocalBlocks(reach, padding.reshape(-1, 1, 1, length), tf.constant(len(tokens)), tf.constant(length))

    of_queries, of_keys = (
        tf.reshape(rows, [blocks.batch, 1, -1, COLUMNS])
        for rows in (blocks.queries(tf.reshape(queries, [-1, COLUMNS])), blocks.keys(tf.reshape(keys, [-1, COLUMNS])))
    )
    weighting = tf.nn.softmax(tf.matmul(of_queries, of_keys, transpose_b=True) + blocks.mask)
    answers = blocks.tokens(tf.matmul(weighting, of_keys), COLUMNS).numpy()
    for row, count in enumerate(tokens):
        expected = attention_with_mask(queries[row, :count], keys[row, :count], reach)
        assert answers[row, :count] == pytest.approx(expected, abs=1e-5)
