"""Deadlines of requests, alone and in the batcher."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_sidecar.batching import MicroBatcher, Scored
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.deadlines import Deadlines
from undertone_sidecar.errors import OverloadedError
from undertone_sidecar.events import Event, ParagraphShed, RequestDropped
from undertone_sidecar.testing import FakeBackend, FakeClock

from tests.unit.support.batcher import first_ids, make_batcher, request, submit


async def measured_batcher(clock: FakeClock, events: list[Event] | None = None) -> tuple[FakeBackend, MicroBatcher]:
    """A batcher that has measured ten calls of 2 s."""
    backend = FakeBackend(clock=clock, seconds=2.0)
    batcher = make_batcher(backend, clock, events=events)
    for _ in range(10):
        await submit(batcher, request(500))
    return backend, batcher


@given(st.floats(0, 10), st.integers(1, 512))
def test_a_batch_within_the_token_limit_ends_before_the_deadline(remaining: float, tokens: int) -> None:
    cost = CostModel()
    for observed in (64, 512, 2048) * 4:
        cost.observe(observed, 0.01 + 1e-3 * observed)
    deadlines, urgent = Deadlines(cost, 0.5), request(tokens, deadline=100.5 + remaining)
    limit = deadlines.token_limit(urgent, start=100.0, at_once=1)
    assert limit >= urgent.padded_length
    assert limit == urgent.padded_length or cost.cautious_seconds(limit) == pytest.approx(remaining)
    assert deadlines.token_limit(request(tokens), start=100.0, at_once=1) == float("inf")


async def test_a_request_is_refused_only_if_its_deadline_cannot_be_met() -> None:
    clock, events = FakeClock(), list[Event]()
    backend, batcher = await measured_batcher(clock, events)
    backend.hold()
    accepted = [submit(batcher, request(500))]
    await backend.wait_for_calls(11)
    accepted.append(submit(batcher, request(500)))
    with pytest.raises(OverloadedError, match="but the deadline is in 3 s: retry later") as refusal:
        batcher.submit([request(500, deadline=clock() + 3.01)])
    assert refusal.value.retry_after == pytest.approx(3.0, abs=0.5)
    assert events[-1] == ParagraphShed("online", "deadline", 1, 512)
    accepted.append(submit(batcher, request(500, deadline=clock() + 7)))
    backend.release()
    assert all(isinstance(scored, Scored) for scored in await asyncio.gather(*accepted))
    await batcher.close()


async def test_an_idle_batcher_refuses_a_request_that_is_too_late_but_tries_again_after_a_while() -> None:
    """Without the retry, a forecast that is too long would never be corrected."""
    clock = FakeClock()
    _, batcher = await measured_batcher(clock)
    with pytest.raises(OverloadedError, match=r"but the deadline is in 1\.5 s"):
        batcher.submit([request(500, deadline=clock() + 1.51)])
    clock.advance(21)
    assert isinstance(await submit(batcher, request(500, deadline=clock() + 1.51)), Scored)
    with pytest.raises(OverloadedError):
        batcher.submit([request(500, deadline=clock() + 1.51)])
    await batcher.close()


async def test_a_request_that_became_too_late_in_the_queue_is_answered_without_a_call() -> None:
    clock, events = FakeClock(), list[Event]()
    backend, batcher = await measured_batcher(clock, events)
    backend.hold()
    running = submit(batcher, request(500))
    await backend.wait_for_calls(11)
    late, patient = submit(batcher, request(500, first=7, deadline=clock() + 5.0)), submit(batcher, request(500, first=8))
    clock.advance(1.5)  # The call takes longer than usual.
    backend.release()
    await running
    with pytest.raises(OverloadedError, match=r"needs about 2 s, but the deadline is in 1\.5 s") as dropped:
        await late
    assert dropped.value.retry_after == pytest.approx(2.0, rel=0.1)
    await patient
    assert first_ids(backend.batches)[-1] == 8
    assert RequestDropped("online", "late", 3.5, None) in events
    await batcher.close()
