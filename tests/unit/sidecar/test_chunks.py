from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.chunks import Chunk, OverlengthPolicy, merge, sliding_chunks, split
from undertone_sidecar.errors import ParagraphError

sizes = st.tuples(st.integers(1, 400), st.integers(2, 60), st.integers(0, 59)).filter(lambda size: size[2] < size[1])


@given(sizes)
@settings(max_examples=200, deadline=None)
def test_chunks_cover_every_token_and_their_new_tokens_add_up(size: tuple[int, int, int]) -> None:
    tokens, width, overlap = size
    chunks = sliding_chunks(tokens, width=width, overlap=overlap)
    assert {token for chunk in chunks for token in range(chunk.start, chunk.stop)} == set(range(tokens))
    assert sum(chunk.new_tokens for chunk in chunks) == tokens
    assert all(chunk.new_tokens > 0 for chunk in chunks)
    assert all(chunk.stop - chunk.start == min(width, tokens) for chunk in chunks)
    assert all(later.start <= earlier.stop - overlap for earlier, later in pairwise(chunks))


@given(sizes, st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_a_paragraph_with_more_chunks_than_the_limit_is_refused_with_their_number(
    size: tuple[int, int, int], max_chunks: int
) -> None:
    tokens, width, overlap = size
    chunks = sliding_chunks(tokens, width=width, overlap=overlap)
    policy = OverlengthPolicy.CHUNK_MEAN
    if len(chunks) <= max_chunks:
        assert split(tokens, width=width, overlap=overlap, policy=policy, max_chunks=max_chunks) == chunks
    else:
        with pytest.raises(ParagraphError, match=f"{tokens} tokens .* {len(chunks)} chunks; the limit is {max_chunks} chunks"):
            split(tokens, width=width, overlap=overlap, policy=policy, max_chunks=max_chunks)


@given(
    sizes,
    st.integers(2, 9),
    st.sampled_from([OverlengthPolicy.CHUNK_MEAN, OverlengthPolicy.CHUNK_MAX]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_a_merged_distribution_sums_to_one_and_is_within_the_range_of_its_parts(
    size: tuple[int, int, int], labels: int, policy: OverlengthPolicy, seed: int
) -> None:
    tokens, width, overlap = size
    chunks = sliding_chunks(tokens, width=width, overlap=overlap)
    parts = np.random.default_rng(seed).dirichlet(np.ones(labels), size=len(chunks)).astype(np.float32)
    merged = merge(list(parts), chunks, policy, is_multi_label=False)
    assert merged.dtype == np.float32
    assert merged.sum() == pytest.approx(1, abs=1e-5)
    assert (merged <= parts.max(axis=0) + 1e-6).all()
    if policy is OverlengthPolicy.CHUNK_MEAN:
        assert (merged >= parts.min(axis=0) - 1e-6).all()


@given(sizes, st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_windows_cover_a_paragraph_that_does_not_fit_and_only_under_chunk_max(size: tuple[int, int, int], window: int) -> None:
    tokens, width, overlap = size
    window = min(window, width)

    def chunks(policy: OverlengthPolicy, window: int | None) -> tuple[Chunk, ...]:
        return split(tokens, width=width, overlap=overlap, policy=policy, max_chunks=1_000, window=window)

    windows = chunks(OverlengthPolicy.CHUNK_MAX, window)
    assert sum(chunk.new_tokens for chunk in windows) == tokens
    assert {chunk.stop - chunk.start for chunk in windows} == {tokens if tokens <= width else window}
    assert all(earlier.stop - later.start <= window // 4 for earlier, later in list(pairwise(windows))[:-1])
    assert chunks(OverlengthPolicy.CHUNK_MEAN, window) == chunks(OverlengthPolicy.CHUNK_MEAN, None)


def test_windows_do_not_change_how_long_a_paragraph_may_be() -> None:
    def windows(tokens: int) -> int:
        policy = OverlengthPolicy.CHUNK_MAX
        return len(split(tokens, width=100, overlap=20, policy=policy, max_chunks=3, window=20))

    assert windows(260) == 17
    with pytest.raises(ParagraphError, match=r"261 tokens .* the limit is 3 chunks, or 260 tokens"):
        windows(261)


def test_the_maximum_is_neutral_only_if_all_chunks_are() -> None:
    chunks = (Chunk(0, 10, 10), Chunk(5, 15, 5), Chunk(10, 20, 5))
    neutral, angry = np.array([0.05, 0.05, 0.9], np.float32), np.array([0.7, 0.1, 0.2], np.float32)

    def maximum(*parts: np.ndarray) -> list[float]:
        policy = OverlengthPolicy.CHUNK_MAX
        merged: list[float] = merge(list(parts), chunks, policy, is_multi_label=False, neutral=2).tolist()
        return merged

    assert maximum(neutral, angry, neutral) == pytest.approx([0.7, 0.1, 0.2])
    assert maximum(neutral, neutral, neutral) == pytest.approx([0.05, 0.05, 0.9])
    mean = merge([neutral, angry, neutral], chunks, OverlengthPolicy.CHUNK_MEAN, is_multi_label=False, neutral=2)
    assert mean.argmax() == 2


def test_the_mean_weights_a_chunk_by_its_new_tokens() -> None:
    chunks = (Chunk(0, 10, 10), Chunk(5, 15, 5))
    parts = [np.array([1, 0], np.float32), np.array([0, 1], np.float32)]
    assert merge(parts, chunks, OverlengthPolicy.CHUNK_MEAN, is_multi_label=False) == pytest.approx([2 / 3, 1 / 3])


def test_the_maximum_takes_the_highest_probability_of_each_label() -> None:
    chunks = (Chunk(0, 10, 10), Chunk(5, 15, 5))
    parts = [np.array([0.8, 0.1, 0.1], np.float32), np.array([0.1, 0.8, 0.1], np.float32)]
    merged = merge(parts, chunks, OverlengthPolicy.CHUNK_MAX, is_multi_label=False)
    assert merged == pytest.approx([8 / 17, 8 / 17, 1 / 17])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(OverlengthPolicy.CHUNK_MEAN, [17 / 30, 2 / 3, 0.1]), (OverlengthPolicy.CHUNK_MAX, [0.8, 0.8, 0.1])],
)
def test_the_probabilities_of_a_multi_label_model_are_not_scaled(policy: OverlengthPolicy, expected: list[float]) -> None:
    chunks = (Chunk(0, 10, 10), Chunk(5, 15, 5))
    parts = [np.array([0.8, 0.6, 0.1], np.float32), np.array([0.1, 0.8, 0.1], np.float32)]
    assert merge(parts, chunks, policy, is_multi_label=True) == pytest.approx(expected)


def test_the_result_of_one_chunk_is_returned_unchanged() -> None:
    part = np.array([0.3, 0.7], np.float32)
    assert merge([part], (Chunk(0, 4, 4),), OverlengthPolicy.CHUNK_MAX, is_multi_label=False) is part


@pytest.mark.parametrize("policy", OverlengthPolicy)
def test_a_paragraph_that_fits_is_one_chunk_under_every_policy(policy: OverlengthPolicy) -> None:
    assert split(30, width=30, overlap=8, policy=policy, max_chunks=100) == (Chunk(0, 30, 30),)


def test_truncation_keeps_the_beginning() -> None:
    assert split(31, width=30, overlap=8, policy=OverlengthPolicy.TRUNCATE, max_chunks=100) == (Chunk(0, 30, 30),)


def test_a_rejection_names_both_lengths_and_the_remedy() -> None:
    with pytest.raises(ParagraphError, match=r"31 tokens.*at most 30.*shorten"):
        split(31, width=30, overlap=8, policy=OverlengthPolicy.REJECT, max_chunks=100)
