from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.chunks import Policy, Window, merge, plan, windows
from undertone_sidecar.errors import ParagraphError

sizes = st.tuples(st.integers(1, 400), st.integers(2, 60), st.integers(0, 59)).filter(lambda size: size[2] < size[1])


@given(sizes)
@settings(max_examples=200, deadline=None)
def test_windows_cover_every_token_and_their_weights_add_up(size: tuple[int, int, int]) -> None:
    tokens, width, overlap = size
    cut = windows(tokens, width=width, overlap=overlap)
    assert {token for window in cut for token in range(window.start, window.stop)} == set(range(tokens))
    assert sum(window.added for window in cut) == tokens
    assert all(window.added > 0 for window in cut)
    assert all(window.stop - window.start == min(width, tokens) for window in cut)
    assert all(later.start <= earlier.stop - overlap for earlier, later in pairwise(cut))


@given(sizes, st.integers(2, 9), st.sampled_from([Policy.CHUNK_MEAN, Policy.CHUNK_MAX]), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_a_merged_distribution_sums_to_one_and_stays_within_its_pieces(
    size: tuple[int, int, int], labels: int, policy: Policy, seed: int
) -> None:
    tokens, width, overlap = size
    cut = windows(tokens, width=width, overlap=overlap)
    pieces = np.random.default_rng(seed).dirichlet(np.ones(labels), size=len(cut)).astype(np.float32)
    merged = merge(list(pieces), cut, policy)
    assert merged.dtype == np.float32
    assert merged.sum() == pytest.approx(1, abs=1e-5)
    assert (merged <= pieces.max(axis=0) + 1e-6).all()
    if policy is Policy.CHUNK_MEAN:
        assert (merged >= pieces.min(axis=0) - 1e-6).all()


def test_mean_weighs_a_window_by_the_tokens_it_adds() -> None:
    cut = (Window(0, 10, 10), Window(5, 15, 5))
    pieces = [np.array([1, 0], np.float32), np.array([0, 1], np.float32)]
    assert merge(pieces, cut, Policy.CHUNK_MEAN) == pytest.approx([2 / 3, 1 / 3])


def test_max_takes_the_strongest_of_each_label() -> None:
    cut = (Window(0, 10, 10), Window(5, 15, 5))
    pieces = [np.array([0.8, 0.1, 0.1], np.float32), np.array([0.1, 0.8, 0.1], np.float32)]
    assert merge(pieces, cut, Policy.CHUNK_MAX) == pytest.approx([8 / 17, 8 / 17, 1 / 17])


def test_one_window_is_its_own_answer() -> None:
    piece = np.array([0.3, 0.7], np.float32)
    assert merge([piece], (Window(0, 4, 4),), Policy.CHUNK_MAX) is piece


@pytest.mark.parametrize("policy", Policy)
def test_what_fits_is_scored_whole_under_every_policy(policy: Policy) -> None:
    assert plan(30, width=30, overlap=8, policy=policy) == (Window(0, 30, 30),)


def test_truncate_keeps_the_beginning() -> None:
    assert plan(31, width=30, overlap=8, policy=Policy.TRUNCATE) == (Window(0, 30, 30),)


def test_reject_says_both_lengths_and_the_remedy() -> None:
    with pytest.raises(ParagraphError, match=r"31 tokens.*reads 30.*shorten"):
        plan(31, width=30, overlap=8, policy=Policy.REJECT)
