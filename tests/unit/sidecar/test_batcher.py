import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.backend import Batch
from undertone_sidecar.batcher import Encoded, Scored, TokenBudgetBatcher
from undertone_sidecar.errors import DeadlineError, ModelServerError, OverloadedError, UnavailableError
from undertone_sidecar.events import BatchSent, Event
from undertone_sidecar.shapes import Lengths
from undertone_sidecar.testing import FakeBackend, FakeClock, probabilities

LENGTHS = Lengths.up_to(512)


def encoded(tokens: int, *, first: int = 1, version: int = 1, deadline: float = math.inf) -> Encoded:
    ids = np.arange(first, first + tokens, dtype=np.int32)
    return Encoded(ids, LENGTHS.fit(tokens), version, deadline)


def batcher(
    backend: FakeBackend, clock: FakeClock | None = None, *, budget: int = 512, waiting: int = 100
) -> TokenBudgetBatcher:
    return TokenBudgetBatcher(
        backend, budget=budget, max_waiting=waiting, call_seconds=30, margin_seconds=0.01, clock=clock or FakeClock()
    )


def first_ids(batches: Sequence[Batch]) -> list[int]:
    return [int(row[0]) for batch in batches for row in batch.input_ids]


arrivals = st.lists(
    st.tuples(st.integers(1, 512), st.sampled_from(["stays", "cancelled", "expired"]), st.integers(1, 2)),
    min_size=1,
    max_size=60,
)


@given(arrivals, st.integers(512, 4096))
@settings(max_examples=60, deadline=None)
async def test_everyone_is_answered_once_in_order_within_the_budget(arrivals: list[tuple[int, str, int]], budget: int) -> None:
    backend, clock = FakeBackend(), FakeClock(100.0)
    subject = batcher(backend, clock, budget=budget)
    futures: list[asyncio.Future[Scored]] = []
    for number, (tokens, fate, version) in enumerate(arrivals):
        deadline = 100.005 if fate == "expired" else math.inf
        futures.append(subject.submit(encoded(tokens, first=1000 * (number + 1), version=version, deadline=deadline)))
        if fate == "cancelled":
            futures[-1].cancel()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    await subject.close()

    for number, ((tokens, fate, _), outcome) in enumerate(zip(arrivals, outcomes, strict=True)):
        if fate == "stays":
            assert isinstance(outcome, Scored)
            alone = np.arange(1000 * (number + 1), 1000 * (number + 1) + tokens, dtype=np.int32)[None, :]
            expected = probabilities(alone, np.ones_like(alone), labels=9)[0]
            np.testing.assert_allclose(outcome.probabilities, expected, atol=1e-5)
        else:
            assert isinstance(outcome, asyncio.CancelledError if fate == "cancelled" else DeadlineError)
    staying = [1000 * (number + 1) for number, (_, fate, _) in enumerate(arrivals) if fate == "stays"]
    assert first_ids(backend.batches) == staying
    assert all(batch.input_ids.size <= budget for batch in backend.batches)
    assert backend.most_running <= 1


async def test_who_comes_during_a_call_shares_the_next_one() -> None:
    backend = FakeBackend()
    backend.hold()
    subject = batcher(backend)
    futures = [subject.submit(encoded(10))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    futures += [subject.submit(encoded(10, first=number)) for number in range(2, 7)]
    backend.release()
    await asyncio.gather(*futures)
    assert [len(batch.input_ids) for batch in backend.batches] == [1, 5]
    await subject.close()


async def test_a_caller_who_leaves_during_a_call_does_not_disturb_it() -> None:
    backend = FakeBackend()
    backend.hold()
    subject = batcher(backend)
    gone, stays = subject.submit(encoded(10)), subject.submit(encoded(12))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(backend.batches) == 1
    gone.cancel()
    backend.release()
    assert isinstance(await stays, Scored)
    await subject.close()


async def test_a_failed_call_fails_its_own_callers_only() -> None:
    backend = FakeBackend()
    backend.fails = lambda batch: ModelServerError("no") if batch.version == 1 else None
    subject = batcher(backend)
    first, second = subject.submit(encoded(10, version=1)), subject.submit(encoded(10, version=2))
    with pytest.raises(ModelServerError):
        await first
    assert isinstance(await second, Scored)
    await subject.close()


async def test_an_unexpected_error_does_not_stop_the_work() -> None:
    backend = FakeBackend()
    backend.fails = lambda batch: ZeroDivisionError() if batch.version == 1 else None
    subject = batcher(backend)
    with pytest.raises(ZeroDivisionError):
        await subject.submit(encoded(10, version=1))
    assert isinstance(await subject.submit(encoded(10, version=2)), Scored)
    await subject.close()


async def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    subject = batcher(FakeBackend(), waiting=2)
    waiting = [subject.submit(encoded(10)) for _ in range(2)]
    with pytest.raises(OverloadedError, match="2 sequences are waiting and the limit is 2") as refusal:
        subject.submit(encoded(10))
    assert refusal.value.retry_after > 0
    waiting[0].cancel()
    waiting.append(subject.submit(encoded(10)))
    await asyncio.gather(*waiting, return_exceptions=True)
    await subject.close()


async def test_a_call_may_last_until_shortly_before_its_latest_deadline() -> None:
    backend, clock = FakeBackend(), FakeClock(5.0)
    subject = batcher(backend, clock)
    await asyncio.gather(subject.submit(encoded(10, deadline=6.0)), subject.submit(encoded(10, deadline=7.0)))
    await asyncio.gather(subject.submit(encoded(10)), subject.submit(encoded(10, deadline=6.0)))
    assert backend.timeouts == pytest.approx([1.99, 30.0])
    await subject.close()


async def test_waiting_and_computing_are_told_apart() -> None:
    clock = FakeClock()
    events: list[Event] = []
    subject = TokenBudgetBatcher(
        FakeBackend(clock=clock, seconds=2.0),
        budget=512,
        max_waiting=10,
        call_seconds=30,
        margin_seconds=0,
        clock=clock,
        listener=events.append,
    )
    first, second = subject.submit(encoded(400)), subject.submit(encoded(400))
    assert ((await first).queue_seconds, (await first).predict_seconds) == (0.0, 2.0)
    assert ((await second).queue_seconds, (await second).predict_seconds) == (2.0, 2.0)
    assert events == [BatchSent(1, 400, 448, (0.0,)), BatchSent(1, 400, 448, (2.0,))]
    await subject.close()


async def test_closing_answers_everyone_and_refuses_newcomers() -> None:
    backend = FakeBackend()
    backend.hold()
    subject = batcher(backend)
    futures = [subject.submit(encoded(512)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert backend.running == 1
    await subject.close()
    assert backend.running == 0
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
    with pytest.raises(UnavailableError):
        subject.submit(encoded(10))
