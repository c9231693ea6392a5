from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.progress import CALLER_SHARE, LANE_FULL, Progress, ProgressLimitError


def admitted(stack: ExitStack, progress: Progress, caller: str, paragraphs: int = 1) -> bool:
    """Counts paragraphs until the stack closes. Returns whether they fitted."""
    try:
        stack.enter_context(progress.count(caller, paragraphs))
    except ProgressLimitError:
        return False
    return True


@given(st.integers(1, 8), st.integers(200, 400))
@settings(max_examples=20, deadline=None)
def test_greedy_callers_get_equal_shares_and_leave_room_for_another(callers: int, limit: int) -> None:
    progress, counts = Progress("online", limit), [0] * callers
    with ExitStack() as stack:
        for _ in range(limit):
            for caller in range(callers):
                counts[caller] += admitted(stack, progress, str(caller))
        assert max(counts) - min(counts) <= 1
        assert limit * 7 * callers / (7 * callers + 1) - callers <= sum(counts) < limit
        assert admitted(stack, progress, "another")
    with ExitStack() as stack:  # Everything is released.
        assert sum(admitted(stack, progress, "alone") for _ in range(limit)) == 7 * (limit + 1) // 8


def test_a_call_alone_in_the_lane_always_fits_and_refusals_have_a_reason() -> None:
    progress = Progress("batch", 16)
    with ExitStack() as stack:
        assert admitted(stack, progress, "a", 14)
        with pytest.raises(
            ProgressLimitError, match="14 paragraphs of the lane batch are in progress; the limit is 16"
        ) as full:
            stack.enter_context(progress.count("b", 3))
        assert full.value.reason == LANE_FULL
        with pytest.raises(ProgressLimitError, match=r"14 paragraphs of this caller are in progress.* 2 of 16 places") as share:
            stack.enter_context(progress.count("a", 1))
        assert share.value.reason == CALLER_SHARE
        assert admitted(stack, progress, "b", 1)
