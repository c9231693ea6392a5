"""Fair sharing of a lane's queue, tested with generated callers."""

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.batching import Request
from undertone_sidecar.batching.lane_queue import LaneQueue
from undertone_sidecar.batching.selection import select_batch
from undertone_sidecar.lengths import PaddedLengths

BUDGET = 2048
STARVATION_LIMIT = 4 * BUDGET
LENGTHS = PaddedLengths.up_to(512).values


def paragraph(caller: str, *lengths: int) -> list[Request]:
    """Requests of one paragraph with these padded lengths."""
    return [Request(np.zeros(length, dtype=np.int32), length, 1, math.inf, caller=caller) for length in lengths]


def add(queue: LaneQueue, caller: str, *lengths: int) -> list[Request]:
    requests = paragraph(caller, *lengths)
    queue.add(requests)
    return requests


def tokens(requests: list[Request]) -> int:
    return sum(request.padded_length for request in requests)


def serve_batch(queue: LaneQueue, max_padding: float = 64) -> list[Request]:
    """Serves the next batch. It is never empty if the queue is not."""
    selection = select_batch(queue, budget=BUDGET, max_padding=max_padding, is_wanted=lambda _: True)
    assert selection is not None
    queue.serve(selection.requests)
    return list(selection.requests)


paragraphs = st.tuples(st.sampled_from("abcdef"), st.lists(st.sampled_from(LENGTHS), min_size=1, max_size=8))
operations = st.lists(st.one_of(paragraphs, st.just("serve"), st.integers(0, 1000)), max_size=60)
"""A paragraph arrives, a batch is served, or the request with this number is cancelled."""


@given(operations, st.floats(0, 300))
@settings(max_examples=80, deadline=None)
def test_every_request_leaves_the_queue_exactly_once_whatever_leaves_before_it(
    operations: list[tuple[str, list[int]] | str | int], max_padding: float
) -> None:
    queue, waiting, left = LaneQueue(STARVATION_LIMIT), list[Request](), 0
    added = 0
    for operation in [*operations, *["serve"] * 500]:
        if isinstance(operation, tuple):
            waiting += add(queue, operation[0], *operation[1])
            added += len(operation[1])
        elif not waiting:
            continue
        elif isinstance(operation, int):
            queue.remove(waiting.pop(operation % len(waiting)))
            left += 1
        else:
            first = next(iter(queue))
            batch = serve_batch(queue, max_padding)
            assert batch[0] is first
            assert len(batch) == 1 or len(batch) * max(request.padded_length for request in batch) <= BUDGET
            for request in batch:
                waiting.remove(request)
            left += len(batch)
        backlogs = Counter[str]()
        for request in waiting:
            backlogs[request.caller] += request.padded_length
        assert sorted(queue, key=id) == sorted(waiting, key=id)
        assert queue.tokens == backlogs.total()
        assert {caller: size for size, caller in queue.backlogs.descending()} == backlogs
    assert (left, len(queue), queue.tokens, len(queue.backlogs)) == (added, 0, 0, 0)


@given(st.lists(st.tuples(st.sampled_from(LENGTHS), st.integers(1, 400)), min_size=1, max_size=8), st.sampled_from(LENGTHS))
@settings(max_examples=40, deadline=None)
def test_a_small_request_waits_at_most_one_batch_for_each_caller_whatever_their_backlogs(
    greedy: list[tuple[int, int]], length: int
) -> None:
    queue = LaneQueue(STARVATION_LIMIT)
    for number, (greedy_length, count) in enumerate(greedy):
        add(queue, f"greedy-{number}", *[greedy_length] * count)
    for _ in range(5):
        if len(queue):
            serve_batch(queue)
    (small,) = add(queue, "small", length)
    batches = 0
    while small in queue:
        batches += 1
        # The backlog of the other callers grows as fast as it is served.
        for request in serve_batch(queue):
            if request is not small:
                add(queue, request.caller, request.padded_length)
    assert batches <= len(greedy) + 1


@given(st.lists(st.lists(st.sampled_from(LENGTHS), min_size=1, max_size=5), min_size=2, max_size=5), st.floats(0, 128))
@settings(max_examples=20, deadline=None)
def test_callers_with_a_backlog_get_equal_shares_whatever_their_lengths(mixes: list[list[int]], max_padding: float) -> None:
    queue, served = LaneQueue(STARVATION_LIMIT), Counter[str]()
    for _ in range(240):
        for number, lengths in enumerate(mixes):
            while queue.backlogs[str(number)] < 2 * BUDGET:
                add(queue, str(number), *lengths)
        for request in serve_batch(queue, max_padding):
            served[request.caller] += request.padded_length
    shares = [served[str(number)] for number in range(len(mixes))]
    assert max(shares) - min(shares) <= 4 * STARVATION_LIMIT + 2 * BUDGET


def test_one_caller_alone_gets_full_batches() -> None:
    queue = LaneQueue(STARVATION_LIMIT)
    add(queue, "alone", *[64] * 1000)
    assert [len(serve_batch(queue)) for _ in range(31)] == [32] * 31


def test_a_caller_is_not_charged_for_requests_that_are_not_served() -> None:
    queue = LaneQueue(STARVATION_LIMIT)
    add(queue, "other", *[512] * 100)
    for request in add(queue, "crashed", *[512] * 100):
        queue.remove(request)
    (again,) = add(queue, "crashed", 512)
    assert again in serve_batch(queue)


def test_a_caller_that_was_served_before_its_turn_cannot_start_again_by_waiting_for_an_empty_backlog() -> None:
    queue = LaneQueue(STARVATION_LIMIT)
    add(queue, "other", 512, *[64] * 200)
    add(queue, "short", *[64] * 32)
    # A batch of the same length takes all requests of `short`, and then `short` sends more.
    queue.serve([request for request in queue if request.caller == "short"])
    (late,) = add(queue, "short", 64)
    before = list(queue).index(late)
    assert 20 <= before <= 32


arrivals = st.lists(
    st.tuples(st.sampled_from("abcde"), st.lists(st.sampled_from(LENGTHS), min_size=1, max_size=30)), min_size=1, max_size=80
)


@given(arrivals, st.integers(2, 8))
@settings(max_examples=60, deadline=None)
def test_a_full_queue_always_has_room_for_a_caller_below_its_equal_share(
    arrivals: list[tuple[str, list[int]]], batches: int
) -> None:
    queue, limit = LaneQueue(STARVATION_LIMIT), batches * BUDGET
    for caller, lengths in arrivals:
        new = paragraph(caller, *lengths)
        excess = queue.tokens + tokens(new) - limit
        removed = queue.room_for(caller, tokens(new), excess)
        own, callers = queue.backlogs[caller] + tokens(new), len(queue.backlogs) + (queue.backlogs[caller] == 0)
        if removed is None:
            assert own > limit / callers
            continue
        assert tokens(list(removed)) >= excess
        before = {each.caller: queue.backlogs[each.caller] for each in removed}
        assert all(backlog > own for backlog in before.values())
        for each in removed:
            queue.remove(each)
        for each in removed:  # The newest paragraphs, and all requests of each.
            assert all(other.paragraph != each.paragraph for other in queue)
            assert all(other.paragraph < each.paragraph for other in queue if other.caller == each.caller)
        queue.add(new)
        assert queue.tokens <= limit


def test_an_equal_caller_does_not_push_out_paragraphs() -> None:
    queue = LaneQueue(STARVATION_LIMIT)
    add(queue, "a", 512)
    add(queue, "b", 496)
    assert queue.room_for("b", 16, 16) is None
    assert queue.room_for("c", 16, 16) == [request for request in queue if request.caller == "a"]


def test_new_callers_do_not_starve_the_second_request_of_a_caller() -> None:
    queue = LaneQueue(STARVATION_LIMIT)
    _, second = add(queue, "other", 512, 512)
    for number in range(200):
        add(queue, f"new-{number}", 512)
    batches = 0
    while second in queue:
        batches += 1
        served = serve_batch(queue)
        for number in range(len(served)):
            add(queue, f"new-{batches}-{number}", 512)
    assert batches <= 5 * 201 * 512 / BUDGET


def test_callers_that_come_once_are_forgotten() -> None:
    queue = LaneQueue(STARVATION_LIMIT)
    most = 0
    for number in range(2000):
        add(queue, f"new-{number}", LENGTHS[number % len(LENGTHS)])
        if queue.tokens > 16 * BUDGET:
            serve_batch(queue)
        most = max(most, queue.callers - len(queue.backlogs))
    assert most < 500
