"""Bootstrap intervals: invariants, and agreement with scikit-learn and with theory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from undertone_model.evaluation.bootstrap import (
    estimate_difference,
    estimate_macro_f1,
    estimate_share,
    macro_f1,
    resample,
)

CLASSES = (0, 1, 2)
PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=40)


@settings(max_examples=25)
@given(PAIRS)
def test_macro_f1_of_every_resample_is_that_of_its_rows(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs).T
    counts = resample(len(pairs), 3)
    assert (counts.sum(axis=1) == len(pairs)).all()
    for value, weights in zip(macro_f1(labels, predicted, CLASSES, counts), counts, strict=True):
        rows = np.repeat(np.arange(len(pairs)), weights.astype(int))
        expected = f1_score(labels[rows], predicted[rows], labels=CLASSES, average="macro", zero_division=0)
        assert value == pytest.approx(expected, abs=1e-5)


@given(PAIRS)
def test_a_model_does_not_differ_from_itself(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs).T
    same = estimate_difference(labels, predicted, predicted, CLASSES, resample(len(pairs), 5))
    assert (same.value, same.low, same.high) == (0, 0, 0)


@given(PAIRS, st.randoms(use_true_random=False))
def test_differences_have_opposite_signs(pairs: list[tuple[int, int]], random: object) -> None:
    labels, one = np.array(pairs).T
    other = np.roll(one, 1)
    counts = resample(len(pairs), 20)
    forth, back = (estimate_difference(labels, *models, CLASSES, counts) for models in ((one, other), (other, one)))
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-5)


def test_a_paired_interval_is_narrower_than_the_intervals_of_both() -> None:
    random = np.random.default_rng(4)
    labels = random.integers(3, size=500)
    one = np.where(random.random(500) < 0.6, labels, random.integers(3, size=500))
    other = np.where(random.random(500) < 0.05, 0, one)
    counts = resample(500)
    difference = estimate_difference(labels, other, one, CLASSES, counts)
    alone = estimate_macro_f1(labels, one, CLASSES, counts)
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution() -> None:
    estimate = estimate_share(np.arange(400) < 100, resample(400))
    assert estimate.value == 0.25
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (estimate.low, estimate.high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.006)


def test_resamples_are_fixed_by_the_seed() -> None:
    assert (resample(30, 4) == resample(30, 4)).all()
    assert (resample(30, 4) != resample(30, 4, seed=1)).any()
