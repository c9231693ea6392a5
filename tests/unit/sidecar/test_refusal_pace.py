"""Delays of refusals."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_sidecar.refusal_pace import MAX_DELAY_SECONDS, REFUSALS_PER_SECOND, RefusalPace

RETRY_SECONDS = 0.01


def refusals_in_ten_seconds(callers: int) -> int:
    """Refusals of callers who retry 10 ms after each refusal."""
    pace, refused = RefusalPace(), 0
    calls = [(0.0, number) for number in range(callers)]
    while calls[0][0] < 10:
        now, caller = heapq.heappop(calls)
        refused += 1
        heapq.heappush(calls, (now + pace.delay(now, 1e9) + RETRY_SECONDS, caller))
    return refused


@pytest.mark.parametrize("callers", [4, 10, 16])
def test_callers_who_retry_at_once_are_refused_at_the_planned_rate(callers: int) -> None:
    assert refusals_in_ten_seconds(callers) <= 1.3 * max(REFUSALS_PER_SECOND, callers / MAX_DELAY_SECONDS) * 10


@given(
    arrivals=st.lists(st.tuples(st.floats(0, 0.1), st.floats(0, 10)), max_size=200),
)
def test_no_refusal_is_delayed_beyond_the_maximum_or_half_of_its_deadline(arrivals: list[tuple[float, float]]) -> None:
    pace, now = RefusalPace(), 0.0
    for gap, remaining in arrivals:
        now += gap
        assert 0 <= pace.delay(now, remaining) <= min(MAX_DELAY_SECONDS, remaining / 2)


def test_rare_refusals_are_not_delayed() -> None:
    pace = RefusalPace()
    assert [pace.delay(number / REFUSALS_PER_SECOND * 1.01, 1.0) for number in range(100)] == [0.0] * 100


def test_the_delay_ends_once_the_refusals_become_rare() -> None:
    pace = RefusalPace()
    for _ in range(1000):
        pace.delay(0.0, 1.0)
    assert pace.delay(MAX_DELAY_SECONDS + 2 / REFUSALS_PER_SECOND, 1.0) == 0.0
