"""Errors of the batcher itself: every request gets one result, and no slot is lost."""

import asyncio
import logging
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from undertone_sidecar.backend import Batch
from undertone_sidecar.batching import BatchLimits, Lane, MicroBatcher, Request, Scored
from undertone_sidecar.events import BatchAnswered, BatchSent, Event, RequestDropped
from undertone_sidecar.testing import FakeBackend, FakeClock

SLOTS = 2
LIMITS = BatchLimits(budget=64, slots=SLOTS, queue_tokens=10**6, batch_share=0.1)


def request(tokens: int = 16, *, deadline: float = math.inf, lane: Lane = Lane.ONLINE) -> Request:
    return Request(np.ones(tokens, dtype=np.int32), tokens, 1, deadline, lane)


class FailingClock:
    """A clock that raises when it is read for the `fails_at`-th time."""

    def __init__(self, fails_at: int) -> None:
        self._reads_left = fails_at

    def __call__(self) -> float:
        self._reads_left -= 1
        if self._reads_left == 0:
            raise ZeroDivisionError
        return 100.0


async def result_of(future: "asyncio.Future[Scored]") -> Scored | BaseException:
    # Generous: a test that fails would otherwise wait forever.
    async with asyncio.timeout(30):
        return (await asyncio.gather(future, return_exceptions=True))[0]


async def assert_all_slots_work(batcher: MicroBatcher, backend: FakeBackend) -> None:
    """Two requests that cannot share a batch must be in flight at the same time."""
    calls = len(backend.batches)
    backend.hold()
    futures = [batcher.submit([request(64)])[0] for _ in range(SLOTS)]
    async with asyncio.timeout(30):
        await backend.wait_for_calls(calls + SLOTS)
    backend.release()
    for future in futures:
        assert isinstance(await result_of(future), Scored)
    assert backend.max_in_flight <= SLOTS


@example(fails_at=2, requests=1, tokens=16, cancelled=False)  # while it decides whether to leave a slot empty
@given(fails_at=st.integers(1, 60), requests=st.integers(1, 24), tokens=st.sampled_from([16, 64]), cancelled=st.booleans())
@settings(max_examples=60, deadline=None)
async def test_an_error_at_any_point_leaves_no_request_without_a_result(
    fails_at: int, requests: int, tokens: int, cancelled: bool
) -> None:
    """Every step of the batcher reads the clock, so that a clock that fails interrupts any step."""
    backend = FakeBackend()
    clock = FailingClock(fails_at)
    batcher = MicroBatcher(backend, LIMITS, call_seconds=30, margin_seconds=0.01, clock=clock)
    futures = []
    for number in range(requests):
        try:
            lane = Lane.BATCH if number % 3 else Lane.ONLINE
            futures += batcher.submit([request(tokens, deadline=200.0 if number % 2 else math.inf, lane=lane)])
        except ZeroDivisionError:
            continue
        if cancelled and number % 4 == 3:
            futures[-1].cancel()
        if number % 5 == 4:
            await asyncio.sleep(0)
    for future in futures:
        assert isinstance(await result_of(future), Scored | ZeroDivisionError | asyncio.CancelledError)
    # Reads that are left would fail later.
    for _ in range(fails_at):
        try:
            clock()
        except ZeroDivisionError:
            break
    await assert_all_slots_work(batcher, backend)
    await batcher.close()


@pytest.mark.parametrize("kind", [BatchSent, BatchAnswered, RequestDropped])
async def test_a_listener_that_fails_is_logged_and_affects_no_later_request(
    kind: type[Event], caplog: pytest.LogCaptureFixture
) -> None:
    backend, failures = FakeBackend(), 0

    def listener(event: Event) -> None:
        nonlocal failures
        if isinstance(event, kind) and not failures:
            failures += 1
            raise ZeroDivisionError

    clock = FakeClock()
    batcher = MicroBatcher(backend, LIMITS, call_seconds=30, margin_seconds=0.01, clock=clock, listener=listener)
    with caplog.at_level(logging.ERROR):
        futures = [batcher.submit([request(deadline=5.0)])[0] for _ in range(8)]
        futures[0].cancel()
        for future in futures:
            assert isinstance(await result_of(future), Scored | ZeroDivisionError | asyncio.CancelledError)
    assert failures == 1
    # A constant message, so that RepetitionLimit bounds its rate.
    assert [record.exc_info is not None and not record.args for record in caplog.records] == [True]
    await assert_all_slots_work(batcher, backend)
    await batcher.close()


async def test_scores_with_too_few_rows_leave_no_request_without_a_result() -> None:
    class ShortBackend(FakeBackend):
        async def predict(self, batch: Batch, *, timeout: float | None) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":  # noqa: ASYNC109
            return (await super().predict(batch, timeout=timeout))[: len(batch.input_ids) - 1]

    batcher = MicroBatcher(ShortBackend(), LIMITS, call_seconds=30, margin_seconds=0.01, clock=FakeClock())
    futures = [batcher.submit([request()])[0] for _ in range(4)]
    outcomes = [await result_of(future) for future in futures]
    assert [type(outcome) for outcome in outcomes] == [Scored] * 3 + [IndexError]
    await batcher.close()
