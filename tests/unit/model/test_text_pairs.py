"""Pairs of training texts."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from undertone_model import text_pairs
from undertone_model.data import Example
from undertone_model.emotions import EMOTIONS
from undertone_model.text_pairs import Pair


def example(text: str, emotion: str) -> Example:
    return Example(text, tuple(float(name == emotion) for name in EMOTIONS))


@given(st.floats(0, 2.5), st.floats(0, 1), st.sampled_from(["stories", "goemotions"]), st.integers(0, 99))
def test_pairs_have_the_views_of_the_examples_and_copies_have_equal_targets(
    views: float, copies: float, name: str, seed: int
) -> None:
    examples = [example(f"{'long ' * (number % 5)}text {number}", EMOTIONS[number % 3]) for number in range(20)]
    pairs = list(text_pairs.make_pairs(name, examples, views, copies, np.random.default_rng(seed)))
    copied = [pair for pair in pairs if pair.copies]
    used = [pair.first.text for pair in copied] + [
        one.text for pair in pairs if not pair.copies for one in (pair.first, pair.second)
    ]
    assert all(pair.first.target == pair.second.target for pair in copied)
    # One example can be left without a partner.
    assert 20 * views - 2 < len(used) < 20 * views + 1 + 1e-6
    assert abs(len(copied) - (copies * len(used) if name == "stories" else 0)) <= 1.5


def test_a_data_set_without_examples_has_no_pairs() -> None:
    assert not list(text_pairs.make_pairs("goemotions", [], 1.0, 0.5, np.random.default_rng(1)))


@given(st.lists(st.floats(0, 3), max_size=30), st.integers(0, 99))
def test_every_row_is_drawn_as_often_as_its_views_up_to_one(views: list[float], seed: int) -> None:
    drawn = text_pairs.draw(np.array(views, np.float64), np.random.default_rng(seed))
    counts = np.bincount(drawn, minlength=len(views))
    assert np.all(abs(counts - np.array(views)) < 1 + 1e-6)
    assert abs(len(drawn) - sum(views)) < 1 + 1e-6


def test_rare_emotions_are_drawn_more_often() -> None:
    weights = text_pairs.label_weights([example("a", "joy")] * 4 + [example("b", "fear")])
    assert weights.sum() == pytest.approx(1)
    assert weights[4] == pytest.approx(2 * weights[0])


def test_targets_mark_copies_and_keep_their_sum() -> None:
    joy, fear = example("a", "joy"), example("b", "fear")
    targets = text_pairs.pair_targets([Pair(joy, joy, copies=True), Pair(joy, fear, copies=False)], 0.09)
    np.testing.assert_allclose(targets[:, :-1].sum(axis=1), 1, rtol=1e-6)
    assert targets[:, -1].tolist() == [1, 0, 1, 0]
    assert targets[:, :-1].argmax(axis=1).tolist() == [EMOTIONS.index(name) for name in ("joy", "joy", "joy", "fear")]


def test_batches_have_all_pairs_with_their_partners() -> None:
    random = np.random.default_rng(1)
    ids = [[pair] * length for length in (3, 5) for pair in range(7)]
    targets = np.arange(14, dtype=np.float32)[:, np.newaxis] % 7
    seen = []
    for batch in text_pairs.pair_batches(ids, targets, 40, random):
        half = len(batch.targets) // 2
        assert batch.tokens.input_ids.size <= 40
        np.testing.assert_array_equal(batch.targets[:half], batch.targets[half:])
        np.testing.assert_array_equal(batch.tokens.input_ids[:, 0], batch.targets[:, 0])
        seen += batch.targets[:half, 0].tolist()
    assert sorted(seen) == list(range(7))


def test_loss_has_the_divergence_of_copies_only() -> None:
    scores = tf.constant([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    p = 1 / (1 + np.exp(-2.0))

    def loss(copies: list[float], consistency: float) -> float:
        targets = tf.constant([[0.5, 0.5, copy] for copy in copies * 2])
        return float(text_pairs.pair_loss(scores, targets, consistency))

    assert loss([0, 0], 5) == pytest.approx(loss([1, 1], 0), abs=1e-6)
    assert loss([1, 0], 1.5) - loss([0, 0], 1.5) == pytest.approx(1.5 * (2 * p - 1) * 2.0 / 2, abs=1e-5)
