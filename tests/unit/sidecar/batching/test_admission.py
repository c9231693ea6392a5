"""Forecasts of admission control."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_sidecar.batching.admission import Refusal, RefusalReason, start_seconds
from undertone_sidecar.errors import DeadlineError, OverloadedError, SidecarError


@pytest.mark.parametrize(
    ("work", "slots", "expected"),
    [(0, [0, 5], 0), (0, [2, 5], 2), (2, [0, 5], 2), (3, [2, 5], 5), (6, [2, 4], 6), (10, [0, 0], 5)],
)
def test_work_fills_the_slots_evenly(work: float, slots: list[float], expected: float) -> None:
    assert start_seconds(work, slots) == pytest.approx(expected)


@given(st.floats(0, 1000), st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_the_slots_do_exactly_the_work(work: float, slots: list[float]) -> None:
    start = start_seconds(work, slots)
    assert sum(max(0.0, start - free) for free in slots) == pytest.approx(work, abs=1e-6)
    assert start >= min(slots)


@pytest.mark.parametrize(("remaining", "kind"), [(-0.005, DeadlineError), (0.0, DeadlineError), (0.001, OverloadedError)])
def test_a_deadline_that_has_passed_is_no_overload(remaining: float, kind: type[SidecarError]) -> None:
    assert type(Refusal(RefusalReason.DEADLINE, 0.004, remaining, retry_after=0.1).error(0.5)) is kind
    assert type(Refusal(RefusalReason.QUEUE_FULL, 0.004, remaining, retry_after=0.1).error(0.5)) is OverloadedError
