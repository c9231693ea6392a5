"""The batcher's public behaviour: results, deadlines, errors, and Predict calls."""

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.batching import Lane, MicroBatcher, Scored
from undertone_sidecar.errors import DeadlineError, ModelServerError, OverloadedError, UnavailableError
from undertone_sidecar.events import BatchAnswered, BatchSent, Event, ParagraphShed, RequestDropped
from undertone_sidecar.testing import FakeBackend, FakeClock, probabilities

from tests.unit.support.batcher import LENGTHS, first_ids, limits, make_batcher, request, submit

arrivals = st.lists(
    st.tuples(
        st.integers(1, 512), st.sampled_from(["wanted", "cancelled", "expired"]), st.integers(1, 2), st.sampled_from(Lane)
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize("slots", [1, 3])
@given(arrivals=arrivals, budget=st.integers(512, 4096))
@settings(max_examples=25, deadline=None)
async def test_every_request_gets_its_own_result_exactly_once(
    slots: int, arrivals: list[tuple[int, str, int, Lane]], budget: int
) -> None:
    backend, clock = FakeBackend(), FakeClock(100.0)
    batch_limits = limits(budget, slots=slots, queue_tokens=10**6)
    batcher = MicroBatcher(backend, batch_limits, call_seconds=30, margin_seconds=0.01, clock=clock)
    futures: list[asyncio.Future[Scored]] = []
    for number, (tokens, state, version, lane) in enumerate(arrivals):
        deadline = 100.005 if state == "expired" else math.inf
        new = request(tokens, first=1000 * (number + 1), version=version, deadline=deadline, lane=lane)
        futures.append(submit(batcher, new))
        if state == "cancelled":
            futures[-1].cancel()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    await batcher.close()

    for number, ((tokens, state, _, _), outcome) in enumerate(zip(arrivals, outcomes, strict=True)):
        if state == "wanted":
            assert isinstance(outcome, Scored)
            alone = np.arange(1000 * (number + 1), 1000 * (number + 1) + tokens, dtype=np.int32)[None, :]
            expected = probabilities(alone, np.ones_like(alone), labels=9)[0]
            np.testing.assert_allclose(outcome.probabilities, expected, atol=1e-5)
        else:
            assert isinstance(outcome, asyncio.CancelledError if state == "cancelled" else DeadlineError)
    wanted = [1000 * (number + 1) for number, (_, state, _, _) in enumerate(arrivals) if state == "wanted"]
    assert sorted(first_ids(backend.batches)) == wanted
    assert all(batch.input_ids.size <= budget for batch in backend.batches)
    assert all(batch.input_ids.shape[1] in LENGTHS.values for batch in backend.batches)
    assert backend.max_in_flight <= slots


async def test_requests_that_arrive_during_a_call_share_the_next_batch() -> None:
    backend = FakeBackend()
    backend.hold()
    batcher = make_batcher(backend)
    futures = [submit(batcher, request(10))]
    await backend.wait_for_calls()
    futures += [submit(batcher, request(10, first=number)) for number in range(2, 7)]
    backend.release()
    await asyncio.gather(*futures)
    assert [len(batch.input_ids) for batch in backend.batches] == [1, 5]
    await batcher.close()


async def test_a_finished_batch_gets_its_results_even_if_the_next_batch_cannot_be_sent() -> None:
    backend, events = FakeBackend(), list[Event]()

    def failing_listener(event: Event) -> None:
        events.append(event)
        if isinstance(event, BatchSent) and len(events) > 1:
            raise RuntimeError("as the test asked")

    batcher = MicroBatcher(
        backend, limits(), call_seconds=30, margin_seconds=0.01, clock=FakeClock(), listener=failing_listener
    )
    backend.hold()
    first = submit(batcher, request(10))
    await backend.wait_for_calls()
    submit(batcher, request(10))
    backend.release()
    assert isinstance(await first, Scored)
    await batcher.close()


async def test_a_full_batch_is_prefetched_during_a_call() -> None:
    backend, events = FakeBackend(), list[Event]()
    backend.hold()
    batcher = make_batcher(backend, events=events)
    futures = [submit(batcher, request(64))]
    await backend.wait_for_calls()
    futures += [submit(batcher, request(64)) for _ in range(20)]
    await asyncio.sleep(0)
    backend.release()
    await asyncio.gather(*futures)
    sent = [event for event in events if isinstance(event, BatchSent)]
    # The last batch is not full, so more requests could have joined it until it was sent.
    assert [(batch.items, batch.prefetched) for batch in sent] == [(1, False), (8, True), (8, True), (4, False)]
    await batcher.close()


@pytest.mark.parametrize("change", ["cancelled", "expired", "online"])
async def test_an_outdated_prefetched_batch_is_selected_again(change: str) -> None:
    backend, clock, events = FakeBackend(), FakeClock(), list[Event]()
    backend.hold()
    batcher = make_batcher(backend, clock, events=events)
    futures = [submit(batcher, request(64))]
    await backend.wait_for_calls()
    lane = Lane.BATCH if change == "online" else Lane.ONLINE
    futures += [submit(batcher, request(64, first=100 * number, deadline=5.0, lane=lane)) for number in range(1, 11)]
    await asyncio.sleep(0)
    if change == "cancelled":
        futures[1].cancel()
    elif change == "expired":
        clock.advance(6.0)
    else:
        futures.append(submit(batcher, request(64, first=9000)))
    backend.release()
    await asyncio.gather(*futures, return_exceptions=True)
    expected = {"cancelled": [*range(200, 1100, 100)], "expired": [], "online": [9000, *range(100, 1100, 100)]}
    assert first_ids(backend.batches[1:]) == expected[change]
    sent = [event for event in events if isinstance(event, BatchSent)]
    assert not any(batch.prefetched for batch in sent[:2])
    dropped = [(event.lane, event.reason) for event in events if isinstance(event, RequestDropped)]
    counts = {"cancelled": 1, "expired": 10, "online": 0}
    assert dropped == [("online", change)] * counts[change]
    await batcher.close()


async def test_a_request_cancelled_during_its_call_does_not_affect_its_batch() -> None:
    backend = FakeBackend()
    backend.hold()
    batcher = make_batcher(backend)
    cancelled, other = submit(batcher, request(10)), submit(batcher, request(12))
    await backend.wait_for_calls()
    cancelled.cancel()
    backend.release()
    assert isinstance(await other, Scored)
    await batcher.close()


@pytest.mark.parametrize("error", [ModelServerError("no"), ZeroDivisionError()])
async def test_a_failed_call_fails_only_the_requests_of_its_batch(error: Exception) -> None:
    backend = FakeBackend()
    backend.fails = lambda batch: error if batch.version == 1 else None
    batcher = make_batcher(backend)
    first, second = submit(batcher, request(10, version=1)), submit(batcher, request(10, version=2))
    with pytest.raises(type(error)):
        await first
    assert isinstance(await second, Scored)
    await batcher.close()


async def test_a_full_queue_refuses_requests_but_does_not_count_cancelled_ones() -> None:
    backend, events = FakeBackend(), list[Event]()
    backend.hold()
    batcher = make_batcher(backend, queue_tokens=40, events=events)
    running = submit(batcher, request(10))
    await backend.wait_for_calls()
    queued = [submit(batcher, request(10)) for _ in range(2)]
    with pytest.raises(OverloadedError, match="the queue is full") as refusal:
        batcher.submit([request(10)])
    assert refusal.value.retry_after > 0
    assert events[-1] == ParagraphShed("online", "queue_full", 1, 16)
    # The other lane has its own queue.
    queued.append(submit(batcher, request(10, lane=Lane.BATCH)))
    backend.release()
    await running
    backend.hold()
    queued += [submit(batcher, request(10)) for _ in range(2)]
    queued[-1].cancel()
    queued.append(submit(batcher, request(10)))
    backend.release()
    await asyncio.gather(*queued, return_exceptions=True)
    await batcher.close()


async def test_results_and_events_distinguish_queue_time_from_predict_time() -> None:
    clock, events = FakeClock(), list[Event]()
    batcher = make_batcher(FakeBackend(clock=clock, seconds=2.0), clock, events=events)
    first, second = submit(batcher, request(400)), submit(batcher, request(401, lane=Lane.BATCH))
    assert ((await first).queue_seconds, (await first).predict_seconds) == (0.0, 2.0)
    assert ((await second).queue_seconds, (await second).predict_seconds) == (2.0, 2.0)
    assert events == [
        BatchSent(1, 400, 416, (0.0,), lane="online", prefetched=False, version=1),
        BatchAnswered("OK", 2.0),
        BatchSent(1, 401, 416, (2.0,), lane="batch", prefetched=False, version=1),
        BatchAnswered("OK", 2.0),
    ]
    await batcher.close()


async def test_close_fails_all_requests_and_refuses_new_ones() -> None:
    backend = FakeBackend()
    backend.hold()
    batcher = make_batcher(backend)
    futures = [submit(batcher, request(512)) for _ in range(3)]
    await backend.wait_for_calls()
    assert backend.in_flight == 1
    await batcher.close()
    assert backend.in_flight == 0
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
    with pytest.raises(UnavailableError):
        submit(batcher, request(10))
