"""The selection of a batch from a queue, tested with generated arrivals."""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from undertone_sidecar.batching import Request
from undertone_sidecar.batching.lane_queue import LaneQueue
from undertone_sidecar.batching.selection import BatchSelection, pad_batch, select_batch
from undertone_sidecar.chunks import sliding_chunks
from undertone_sidecar.lengths import PaddedLengths

LENGTHS = PaddedLengths.up_to(512)

MEDIAN_TOKENS, P95_TOKENS, MAX_TOKENS = 91, 340, 1031
"""Published quantiles of the tokens of a paragraph."""

SIGMA = math.log(P95_TOKENS / MEDIAN_TOKENS) / 1.645


def request(tokens: int, *, version: int = 1, caller: str = "") -> Request:
    return Request(np.zeros(tokens, dtype=np.int32), LENGTHS.fit(tokens), version, math.inf, caller=caller)


def select(queue: LaneQueue, *, budget: int = 2048, max_padding: float = 0) -> BatchSelection | None:
    return select_batch(queue, budget=budget, max_padding=max_padding, is_wanted=lambda _: True)


def running_maxima(requests: Sequence[Request]) -> Iterator[int]:
    return accumulate((each.padded_length for each in requests), max)


def paragraph_tokens(rng: random.Random) -> int:
    """Tokens of a paragraph of a library: log-normal, with the published quantiles."""
    return min(MAX_TOKENS, max(3, round(rng.lognormvariate(math.log(MEDIAN_TOKENS), SIGMA))))


def sequence_tokens(rng: random.Random) -> list[int]:
    """Tokens of the sequences of one paragraph, split at 512 tokens as in the pipeline."""
    chunks = sliding_chunks(paragraph_tokens(rng) - 2, width=510, overlap=64)
    return [chunk.stop - chunk.start + 2 for chunk in chunks]


def test_the_generated_paragraphs_have_the_published_quantiles() -> None:
    rng = random.Random(0)
    sizes = sorted(paragraph_tokens(rng) for _ in range(20_000))
    assert sum(sizes) / len(sizes) == pytest.approx(125, rel=0.03)
    assert sizes[len(sizes) // 2] == pytest.approx(MEDIAN_TOKENS, rel=0.03)
    assert sizes[len(sizes) * 95 // 100] == pytest.approx(P95_TOKENS, rel=0.03)


@pytest.mark.parametrize(("overhead_tokens", "callers"), [(0.0, 1), (64.0, 1), (128.0, 1), (64.0, 8), (64.0, 64)])
def test_a_saturated_queue_needs_at_most_eight_percent_of_padding(overhead_tokens: float, callers: int) -> None:
    rng, queue = random.Random(1), LaneQueue(16 * 2048)
    tokens = padded = 0
    for number in range(400):
        while queue.tokens < 16 * 2048:
            caller = str(rng.randrange(callers))
            queue.add([request(size, caller=caller) for size in sequence_tokens(rng)])
        selection = select(queue, max_padding=overhead_tokens)
        assert selection is not None
        assert selection.padded_tokens <= 2048
        queue.serve(selection.requests)
        if number >= 50:
            tokens += sum(len(selected.token_ids) for selected in selection.requests)
            padded += selection.padded_tokens
    assert padded / tokens <= 1.08


arrivals = st.lists(st.lists(st.tuples(st.sampled_from(LENGTHS.values), st.integers(1, 2)), max_size=20), max_size=30)


OVERDUE_OF_MANY_LENGTHS = [[256, 64, 176, 24, 320, 128], [24, 176, 144, 64, 72], [64, 48]]
"""An overdue request does not fit. Those behind it do, and fill the batch in order of length."""


@given(arrivals, st.integers(16, 2048), st.floats(0, 200), st.integers(0, 3000))
@example([[(length, 1) for length in lengths] for lengths in OVERDUE_OF_MANY_LENGTHS], 296, 190.7, 10)
@settings(max_examples=60, deadline=None)
def test_every_request_is_selected_once_within_the_limits_and_the_oldest_first(
    arrivals: list[list[tuple[int, int]]], budget: int, max_padding: float, starvation_limit: int
) -> None:
    queue = LaneQueue(starvation_limit)
    added: list[Request] = []
    sent: list[Request] = []
    pending = list(arrivals)
    while pending or len(queue):
        for length, version in pending.pop(0) if pending else ():
            added.append(request(length, version=version))
            queue.add(added[-1:])
        queued = list(queue)
        before = accumulate((each.padded_length for each in queued), initial=0)
        overdue = [each for each, tokens in zip(queued, before, strict=False) if queue.is_overdue(tokens)]
        selection = select(queue, budget=budget, max_padding=max_padding)
        if selection is None:
            assert not queued
            continue
        requests = selection.requests
        assert selection.length == max(each.padded_length for each in requests)
        assert len(requests) == 1 or selection.padded_tokens <= budget
        assert len({each.version for each in requests}) == 1
        # The oldest request is always selected. The overdue requests follow it in order of arrival,
        # up to the first one that does not fit. Smaller requests, overdue or not, fill the rest.
        assert requests[0] is queued[0]
        assert overdue == queued[: len(overdue)]
        same_version = [each for each in overdue if each.version == requests[0].version]
        fitting = [longest for number, longest in enumerate(running_maxima(same_version), 1) if number * longest <= budget]
        first = same_version[: max(1, len(fitting))]
        assert list(requests[: len(first)]) == first
        if not overdue:
            assert sum(selection.length - each.padded_length for each in requests) <= max_padding
        queue.serve(requests)
        sent += requests
    assert sorted(sent, key=added.index) == added
    assert queue.tokens == 0


def test_overdue_requests_keep_their_order_across_versions() -> None:
    queue = LaneQueue(0)
    first = request(64)
    queue.add([first])
    others = [request(length, version=version) for length, version in [(24, 2), (16, 1), (16, 2), (24, 2)]]
    for other in others:
        queue.add([other])
    queue.serve([first])
    while not queue.is_overdue(sum(other.padded_length for other in others)):
        younger = request(64)
        queue.add([younger])
        queue.serve([younger])
    selection = select(queue, budget=48, max_padding=16)
    assert selection is not None
    assert selection.requests == (others[0], others[2])


def test_a_long_request_is_overtaken_by_no_more_than_the_starvation_limit() -> None:
    """A long request is queued behind short ones, while more short ones arrive that fit together
    better.
    """
    queue = LaneQueue(1000)
    for _ in range(3):
        queue.add([request(16)])
    long = request(512)
    queue.add([long])
    overtaken = 0
    while True:
        while queue.tokens < 2000:
            queue.add([request(16)])
        selection = select(queue, budget=256)
        assert selection is not None
        queue.serve(selection.requests)
        if long in selection.requests:
            break
        younger = [selected for selected in selection.requests if selected.position > long.position]
        overtaken += sum(selected.padded_length for selected in younger)
    assert overtaken <= 1000 + 256


def test_unwanted_requests_are_removed_and_leave_room_for_others() -> None:
    queue = LaneQueue(10_000)
    requests = [request(64) for _ in range(20)]
    for each in requests:
        queue.add([each])
    wanted = requests[1::2]
    selection = select_batch(queue, budget=640, max_padding=0, is_wanted=lambda each: each in wanted)
    assert selection is not None
    assert list(selection.requests) == wanted


@pytest.mark.parametrize(("max_padding", "expected"), [(0, [32]), (64, [32, 96]), (700, [32, 96, 352])])
def test_lengths_are_combined_only_within_the_maximum_padding(max_padding: float, expected: list[int]) -> None:
    queue = LaneQueue(10_000)
    for length in (32, 96, 352):
        queue.add([request(length)])
    selection = select(queue, max_padding=max_padding)
    assert selection is not None
    assert sorted(each.padded_length for each in selection.requests) == expected


def test_a_padded_batch_has_zeros_and_a_mask_after_the_tokens() -> None:
    requests = tuple(Request(np.array(ids, dtype=np.int32), 4, 7, math.inf) for ids in ([5, 6], [8, 9, 10]))
    batch = pad_batch(BatchSelection(requests, 4, 4))
    assert batch.version == 7
    assert batch.input_ids.tolist() == [[5, 6, 0, 0], [8, 9, 10, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
