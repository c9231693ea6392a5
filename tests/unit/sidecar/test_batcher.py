"""The batcher as its callers see it: futures, deadlines, errors, and what reaches the model server."""

import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.backend import Batch
from undertone_sidecar.batching import Bounds, Encoded, Lane, MicroBatcher, Scored
from undertone_sidecar.errors import DeadlineError, ModelServerError, OverloadedError, UnavailableError
from undertone_sidecar.events import BatchAnswered, BatchSent, Event, WorkDropped, WorkShed
from undertone_sidecar.shapes import Lengths
from undertone_sidecar.testing import FakeBackend, FakeClock, probabilities

LENGTHS = Lengths.up_to(512)


def encoded(tokens: int, *, first: int = 1, version: int = 1, deadline: float = math.inf, lane: Lane = Lane.ONLINE) -> Encoded:
    ids = np.arange(first, first + tokens, dtype=np.int32)
    return Encoded(ids, LENGTHS.fit(tokens), version, deadline, lane)


def batcher(
    backend: FakeBackend,
    clock: FakeClock | None = None,
    *,
    budget: int = 512,
    waiting: int = 100_000,
    events: list[Event] | None = None,
) -> MicroBatcher:
    return MicroBatcher(
        backend,
        Bounds.token_budget(budget, calls=1, waiting=waiting, batch_share=0.1),
        call_seconds=30,
        margin_seconds=0.01,
        clock=clock or FakeClock(),
        listener=(lambda _: None) if events is None else events.append,
    )


def submit(subject: MicroBatcher, item: Encoded) -> asyncio.Future[Scored]:
    (answer,) = subject.submit([item])
    return answer


def first_ids(batches: Sequence[Batch]) -> list[int]:
    return [int(row[0]) for batch in batches for row in batch.input_ids]


arrivals = st.lists(
    st.tuples(
        st.integers(1, 512), st.sampled_from(["stays", "cancelled", "expired"]), st.integers(1, 2), st.sampled_from(Lane)
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize(("passthrough", "calls"), [(False, 1), (False, 3), (True, 4)])
@given(arrivals=arrivals, budget=st.integers(512, 4096))
@settings(max_examples=25, deadline=None)
async def test_everyone_is_answered_once_and_rightly(
    passthrough: bool, calls: int, arrivals: list[tuple[int, str, int, Lane]], budget: int
) -> None:
    backend, clock = FakeBackend(), FakeClock(100.0)
    kind = Bounds.passthrough if passthrough else Bounds.token_budget
    bounds = kind(budget, calls=calls, waiting=10**6, batch_share=0.2)
    subject = MicroBatcher(backend, bounds, call_seconds=30, margin_seconds=0.01, clock=clock)
    futures: list[asyncio.Future[Scored]] = []
    for number, (tokens, fate, version, lane) in enumerate(arrivals):
        deadline = 100.005 if fate == "expired" else math.inf
        item = encoded(tokens, first=1000 * (number + 1), version=version, deadline=deadline, lane=lane)
        futures.append(submit(subject, item))
        if fate == "cancelled":
            futures[-1].cancel()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    await subject.close()

    for number, ((tokens, fate, _, _), outcome) in enumerate(zip(arrivals, outcomes, strict=True)):
        if fate == "stays":
            assert isinstance(outcome, Scored)
            alone = np.arange(1000 * (number + 1), 1000 * (number + 1) + tokens, dtype=np.int32)[None, :]
            expected = probabilities(alone, np.ones_like(alone), labels=9)[0]
            np.testing.assert_allclose(outcome.probabilities, expected, atol=1e-5)
        else:
            assert isinstance(outcome, asyncio.CancelledError if fate == "cancelled" else DeadlineError)
    staying = [1000 * (number + 1) for number, (_, fate, _, _) in enumerate(arrivals) if fate == "stays"]
    assert sorted(first_ids(backend.batches)) == staying
    assert all(batch.input_ids.size <= budget for batch in backend.batches)
    assert all(batch.input_ids.shape[1] in LENGTHS.steps for batch in backend.batches)
    if passthrough:
        assert all(len(batch.input_ids) == 1 for batch in backend.batches)
    assert backend.most_running <= bounds.slots


async def test_who_comes_during_a_call_shares_the_next_one() -> None:
    backend = FakeBackend()
    backend.hold()
    subject = batcher(backend)
    futures = [submit(subject, encoded(10))]
    await backend.until_asked()
    futures += [submit(subject, encoded(10, first=number)) for number in range(2, 7)]
    backend.release()
    await asyncio.gather(*futures)
    assert [len(batch.input_ids) for batch in backend.batches] == [1, 5]
    await subject.close()


async def test_who_was_computed_is_answered_even_if_the_next_call_cannot_be_made() -> None:
    backend, sent = FakeBackend(), list[Event]()

    def broken(event: Event) -> None:
        sent.append(event)
        if isinstance(event, BatchSent) and len(sent) > 1:
            raise RuntimeError("a defect")

    bounds = Bounds.token_budget(512, calls=1, waiting=100_000, batch_share=0.1)
    subject = MicroBatcher(backend, bounds, call_seconds=30, margin_seconds=0.01, clock=FakeClock(), listener=broken)
    backend.hold()
    first = submit(subject, encoded(10))
    await backend.until_asked()
    submit(subject, encoded(10))
    backend.release()
    assert isinstance(await first, Scored)
    await subject.close()


async def test_a_full_batch_is_ready_before_the_running_one_ends() -> None:
    backend, events = FakeBackend(), list[Event]()
    backend.hold()
    subject = batcher(backend, events=events)
    futures = [submit(subject, encoded(64))]
    await backend.until_asked()
    futures += [submit(subject, encoded(64)) for _ in range(20)]
    await asyncio.sleep(0)
    backend.release()
    await asyncio.gather(*futures)
    sent = [event for event in events if isinstance(event, BatchSent)]
    # The last call is not a full one: until it began, a newcomer could have joined it.
    assert [(batch.items, batch.prefetched) for batch in sent] == [(1, False), (8, True), (8, True), (4, False)]
    await subject.close()


@pytest.mark.parametrize("change", ["cancelled", "expired", "online"])
async def test_what_was_prefetched_is_made_anew_when_it_is_no_longer_right(change: str) -> None:
    backend, clock, events = FakeBackend(), FakeClock(), list[Event]()
    backend.hold()
    subject = batcher(backend, clock, events=events)
    futures = [submit(subject, encoded(64))]
    await backend.until_asked()
    lane = Lane.BATCH if change == "online" else Lane.ONLINE
    futures += [submit(subject, encoded(64, first=100 * number, deadline=5.0, lane=lane)) for number in range(1, 11)]
    await asyncio.sleep(0)
    if change == "cancelled":
        futures[1].cancel()
    elif change == "expired":
        clock.advance(6.0)
    else:
        futures.append(submit(subject, encoded(64, first=9000)))
    backend.release()
    await asyncio.gather(*futures, return_exceptions=True)
    reached = first_ids(backend.batches[1:])
    expected = {"cancelled": [*range(200, 1100, 100)], "expired": [], "online": [9000, *range(100, 1100, 100)]}
    assert reached == expected[change]
    sent = [event for event in events if isinstance(event, BatchSent)]
    assert not any(batch.prefetched for batch in sent[:2])
    dropped = [(event.lane, event.reason) for event in events if isinstance(event, WorkDropped)]
    counts = {"cancelled": 1, "expired": 10, "online": 0}
    assert dropped == [("online", change)] * counts[change]
    await subject.close()


async def test_a_caller_who_leaves_during_a_call_does_not_disturb_it() -> None:
    backend = FakeBackend()
    backend.hold()
    subject = batcher(backend)
    gone, stays = submit(subject, encoded(10)), submit(subject, encoded(12))
    await backend.until_asked()
    gone.cancel()
    backend.release()
    assert isinstance(await stays, Scored)
    await subject.close()


@pytest.mark.parametrize("error", [ModelServerError("no"), ZeroDivisionError()])
async def test_a_failed_call_fails_its_own_callers_only(error: Exception) -> None:
    backend = FakeBackend()
    backend.fails = lambda batch: error if batch.version == 1 else None
    subject = batcher(backend)
    first, second = submit(subject, encoded(10, version=1)), submit(subject, encoded(10, version=2))
    with pytest.raises(type(error)):
        await first
    assert isinstance(await second, Scored)
    await subject.close()


async def test_a_full_queue_refuses_and_forgets_who_has_left() -> None:
    backend, events = FakeBackend(), list[Event]()
    backend.hold()
    subject = batcher(backend, waiting=40, events=events)
    running = submit(subject, encoded(10))
    await backend.until_asked()
    waiting = [submit(subject, encoded(10)) for _ in range(2)]
    with pytest.raises(OverloadedError, match="the queue is full") as refusal:
        subject.submit([encoded(10)])
    assert refusal.value.retry_after > 0
    assert events[-1] == WorkShed("online", "queue_full", 1, 16)
    # The other lane has room of its own, and who asks for nothing new finds room where somebody left.
    waiting.append(submit(subject, encoded(10, lane=Lane.BATCH)))
    backend.release()
    await running
    backend.hold()
    waiting += [submit(subject, encoded(10)) for _ in range(2)]
    waiting[-1].cancel()
    waiting.append(submit(subject, encoded(10)))
    backend.release()
    await asyncio.gather(*waiting, return_exceptions=True)
    await subject.close()


async def test_what_cannot_be_met_is_refused_at_once_and_who_has_time_is_not() -> None:
    clock, events = FakeClock(), list[Event]()
    backend = FakeBackend(clock=clock, seconds=2.0)
    subject = batcher(backend, clock, events=events)
    for _ in range(10):
        await submit(subject, encoded(500))
    backend.hold()
    patient = [submit(subject, encoded(500))]
    await backend.until_asked(11)
    patient.append(submit(subject, encoded(500)))
    with pytest.raises(OverloadedError, match="the call's deadline is in 3 s") as refusal:
        subject.submit([encoded(500, deadline=clock() + 3.01)])
    assert refusal.value.retry_after == pytest.approx(3.0, abs=0.5)
    assert events[-1] == WorkShed("online", "deadline", 1, 512)
    patient.append(submit(subject, encoded(500, deadline=clock() + 7)))
    backend.release()
    assert all(isinstance(scored, Scored) for scored in await asyncio.gather(*patient))
    # Nobody is in front: tried, whatever the forecast says.
    assert isinstance(await submit(subject, encoded(500, deadline=clock() + 1.5)), Scored)
    await subject.close()


async def test_a_call_may_last_until_shortly_before_its_latest_deadline() -> None:
    backend, clock = FakeBackend(), FakeClock(5.0)
    subject = batcher(backend, clock)
    await asyncio.gather(submit(subject, encoded(10, deadline=6.0)), submit(subject, encoded(10, deadline=7.0)))
    await asyncio.gather(submit(subject, encoded(10)), submit(subject, encoded(10, deadline=6.0)))
    assert backend.timeouts == pytest.approx([1.99, 30.0])
    await subject.close()


async def test_waiting_and_computing_are_told_apart() -> None:
    clock, events = FakeClock(), list[Event]()
    subject = batcher(FakeBackend(clock=clock, seconds=2.0), clock, events=events)
    first, second = submit(subject, encoded(400)), submit(subject, encoded(401, lane=Lane.BATCH))
    assert ((await first).queue_seconds, (await first).predict_seconds) == (0.0, 2.0)
    assert ((await second).queue_seconds, (await second).predict_seconds) == (2.0, 2.0)
    assert events == [
        BatchSent(1, 400, 416, (0.0,), lane="online", prefetched=False, version=1),
        BatchAnswered("OK", 2.0),
        BatchSent(1, 401, 416, (2.0,), lane="batch", prefetched=False, version=1),
        BatchAnswered("OK", 2.0),
    ]
    await subject.close()


async def test_closing_answers_everyone_and_refuses_newcomers() -> None:
    backend = FakeBackend()
    backend.hold()
    subject = batcher(backend)
    futures = [submit(subject, encoded(512)) for _ in range(3)]
    await backend.until_asked()
    assert backend.running == 1
    await subject.close()
    assert backend.running == 0
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
    with pytest.raises(UnavailableError):
        submit(subject, encoded(10))
