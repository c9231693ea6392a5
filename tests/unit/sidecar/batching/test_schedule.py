"""The decisions of the schedule: sizes of batches, and their distribution over slots."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_sidecar.batching import BatchLimits, Lane, Request
from undertone_sidecar.batching.schedule import Schedule, stagger
from undertone_sidecar.batching.selection import BatchSelection

BUDGET, LENGTH = 2048, 64


def make_schedule(slots: int) -> Schedule:
    return Schedule(BatchLimits(budget=BUDGET, slots=slots, queue_tokens=10**6, batch_share=0.1))


def add(schedule: Schedule, lane: Lane, count: int = 1) -> None:
    for _ in range(count):
        schedule.add([Request(np.zeros(LENGTH, dtype=np.int32), LENGTH, 1, math.inf, lane)])


def start_next(
    schedule: Schedule, *, free_slots: int = 1, remaining_seconds: list[float] | None = None
) -> BatchSelection | None:
    selection = schedule.next_batch(lambda _: True, free_slots=free_slots, remaining_seconds=(remaining_seconds or []).copy)
    if selection:
        schedule.start(selection)
    return selection


def test_batch_lane_batches_are_short_while_the_online_lane_is_active_and_full_afterwards() -> None:
    schedule = make_schedule(1)
    add(schedule, Lane.BATCH, 4000)

    def next_batch() -> tuple[Lane, int]:
        selection = start_next(schedule)
        assert selection is not None
        return selection.lane, len(selection.requests)

    assert next_batch() == (Lane.BATCH, 32)
    add(schedule, Lane.ONLINE)
    assert next_batch() == (Lane.ONLINE, 1)
    rows = [next_batch()[1] for _ in range(120)]
    assert rows[0] < 20
    assert rows[-1] == 32
    assert all(earlier <= later for earlier, later in pairwise(rows))


@given(st.floats(0.001, 100), st.lists(st.floats(0, 300), max_size=7), st.integers(0, 3))
def test_a_staggered_call_ends_at_a_distance_from_the_others(
    seconds: float, remaining_seconds: list[float], free_slots: int
) -> None:
    slots = len(remaining_seconds) + 1 + free_slots
    duration = stagger(seconds, remaining_seconds, slots=slots)
    assert duration >= seconds / 2
    assert all(abs(duration - end) >= 0.98 * seconds / slots for end in remaining_seconds)
    assert not all(abs(seconds - end) >= seconds / slots for end in remaining_seconds) or duration == seconds


@pytest.mark.parametrize("slots", [2, 3, 8])
def test_calls_that_start_together_are_staggered_later(slots: int) -> None:
    """An online request then never waits much longer than the duration of a call divided by the
    slots.
    """
    schedule = make_schedule(slots)
    for _ in range(50):
        schedule.cost.observe(64, 0.114)
        schedule.cost.observe(640, 0.69)
    add(schedule, Lane.ONLINE)
    assert start_next(schedule) is not None
    add(schedule, Lane.BATCH, 20 * 16 * slots)
    ends, ended = [0.0] * slots, list[float]()
    for _ in range(4 * slots):
        now, *others = sorted(ends)
        selection = start_next(schedule, remaining_seconds=[end - now for end in others])
        assert selection is not None
        assert selection.lane is Lane.BATCH
        ended.append(now)
        ends = [*others, now + schedule.cost.seconds(selection.padded_tokens)]
    longest = schedule.cost.seconds(schedule.cost.overhead_tokens * 0.93 / 0.07)
    intervals = [later - earlier for earlier, later in pairwise(ended[2 * slots :])]
    assert max(intervals) < 1.5 * longest / slots


@pytest.mark.parametrize(
    ("queued", "free_slots", "rows"),
    [
        (24, 1, [24]),
        (24, 2, [12, 12]),
        (25, 3, [8, 8, 9]),
        (1, 2, [1]),
        (200, 2, [32, 32]),  # A full batch for each slot.
        (2, 2, [2]),  # Less than the overhead of a call is not divided.
    ],
)
def test_free_slots_share_the_queued_requests(queued: int, free_slots: int, rows: list[int]) -> None:
    schedule = make_schedule(free_slots)
    for _ in range(50):
        schedule.cost.observe(64, 0.214)
        schedule.cost.observe(640, 0.79)
    assert 128 < schedule.cost.overhead_tokens < 160
    add(schedule, Lane.ONLINE, queued)
    found = []
    while free_slots and (selection := start_next(schedule, free_slots=free_slots)):
        found.append(len(selection.requests))
        free_slots -= 1
    assert found == rows


def test_a_batch_is_only_as_large_as_the_deadlines_of_its_requests_allow() -> None:
    schedule = make_schedule(1)
    urgent = Request(np.zeros(LENGTH, dtype=np.int32), LENGTH, 1, 1.0)
    add(schedule, Lane.ONLINE, 2)
    schedule.add([urgent])
    add(schedule, Lane.ONLINE, 20)

    def next_requests() -> list[Request]:
        # The deadline of the urgent request allows five rows.
        limit = lambda request: 5 * LENGTH if request is urgent else math.inf  # noqa: E731
        selection = schedule.next_batch(lambda _: True, token_limit=limit)
        assert selection is not None
        schedule.start(selection)
        return list(selection.requests)

    first = next_requests()
    assert urgent in first
    assert len(first) == 5
    assert len(next_requests()) == 18


def test_a_request_stays_in_the_queue_if_its_deadline_does_not_allow_the_batch() -> None:
    schedule = make_schedule(1)
    urgent = Request(np.zeros(LENGTH, dtype=np.int32), LENGTH, 1, 1.0)
    add(schedule, Lane.ONLINE, 4)
    schedule.add([urgent])
    limit = lambda request: 2 * LENGTH if request is urgent else math.inf  # noqa: E731
    selection = schedule.next_batch(lambda _: True, token_limit=limit)
    assert selection is not None
    assert len(selection.requests) == 4
    assert urgent not in selection.requests
