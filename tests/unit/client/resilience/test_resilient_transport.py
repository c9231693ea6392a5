"""All layers of a call, and outages of the service, over real sockets."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import grpc
import pytest
from undertone_client import (
    BreakerSettings,
    BreakerState,
    BudgetSettings,
    CallCounts,
    Client,
    DeadlineExceededError,
    Failure,
    LimitSettings,
    Mode,
    RetryPolicy,
    Score,
    Settings,
    UnavailableError,
)
from undertone_client.resilience import (
    AttemptFinished,
    AttemptShed,
    CallRecovered,
    Event,
    LimitChanged,
    ParagraphsFailed,
    ParagraphsScored,
    RetryScheduled,
)
from undertone_client.testing import FakeClassifier, Fault, ItemFault, Relay

from tests.unit.support.faults import (
    BATCH_MODE,
    CANCELLED,
    EXHAUSTED,
    FAST_RETRIES,
    HANG,
    INTERNAL,
    NO_PATIENCE,
    OK,
    UNAVAILABLE,
    Sleeper,
    no_sleep,
    until,
)


@pytest.mark.parametrize("mode", list(Mode))
async def test_cancelled_by_a_draining_server_is_retried(service: FakeClassifier, mode: Mode) -> None:
    service.faults.append(Fault(CANCELLED, "draining"))
    async with Client(service.target, settings=Settings(mode=mode), sleep=no_sleep) as client:
        assert (await client.classify("text")).tokens == 3
        assert client.state().counts == CallCounts({"OK": 1, "CANCELLED": 1}, retried=1, recovered=1)


async def test_a_cancellation_by_the_caller_ends_the_call_and_does_not_count(service: FakeClassifier) -> None:
    settings = Settings(breaker=BreakerSettings(consecutive_failures=1), limit=LimitSettings.fixed(1))
    async with Client(service.target, settings=settings) as client:
        service.faults.append(HANG)
        call = asyncio.create_task(client.classify("text"))
        await service.until_in_flight(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: service.in_flight == 0)
        state = client.state()
        assert (state.in_flight, state.breaker, state.counts) == (0, BreakerState.CLOSED, CallCounts())
        assert (await client.classify("text")).tokens == 3


async def test_a_call_in_backoff_holds_no_slot(service: FakeClassifier) -> None:
    sleeper = Sleeper()
    service.faults.append(Fault(UNAVAILABLE))
    async with Client(service.target, settings=Settings(limit=LimitSettings.fixed(1)), sleep=sleeper) as client:
        first = asyncio.create_task(client.classify("first"))
        await until(lambda: client.state().backing_off == 1)
        assert (await client.classify("second")).tokens == 3
        assert client.state().in_flight == 0
        sleeper.awake.set()
        assert (await first).tokens == 3


async def test_slots_limit_the_calls_of_all_callers_and_pass_to_waiting_calls(service: FakeClassifier) -> None:
    service.gate.clear()
    async with Client(service.target, settings=Settings(limit=LimitSettings.fixed(2))) as client:
        calls = [asyncio.create_task(client.classify(f"paragraph {index}")) for index in range(6)]
        await service.until_in_flight(2)
        await until(lambda: client.state().waiting == 4)
        calls[3].cancel()  # while it waits
        await until(lambda: client.state().waiting == 3)
        service.gate.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert service.most_in_flight == 2
    assert [isinstance(end, Score) for end in ends] == [True, True, True, False, True, True]
    assert len(service.calls) == 5


async def test_every_attempt_emits_events(service: FakeClassifier) -> None:
    events: list[Event] = []
    service.faults.extend([Fault(UNAVAILABLE), Fault(EXHAUSTED, pushback_ms=20)])
    async with Client(service.target, listener=events.append, random=lambda: 0.25, sleep=no_sleep) as client:
        await client.classify("text")
    finished = [event for event in events if isinstance(event, AttemptFinished)]
    assert [event.status for event in finished] == [UNAVAILABLE, EXHAUSTED, OK]
    assert {event.method for event in finished} == {"Classify"}
    assert [event for event in events if isinstance(event, RetryScheduled)] == [
        RetryScheduled("Classify", UNAVAILABLE, 2, 0.25 * 0.2),
        RetryScheduled("Classify", EXHAUSTED, 3, 0.02 + 0.25 * 0.4),
    ]
    assert events[-2:] == [CallRecovered("Classify", 2), ParagraphsScored(1)]


async def test_deadline_exceeded_is_retried_for_a_batch(service: FakeClassifier) -> None:
    service.faults.append(HANG)
    async with Client(service.target, settings=Settings(timeout_seconds=0.2), sleep=no_sleep) as client:
        [score] = await client.classify_batch(["text"])
        assert isinstance(score, Score)
        assert client.state().counts.attempts == {"DEADLINE_EXCEEDED": 1, "OK": 1}


async def test_the_deadline_of_a_call_includes_its_retries_and_reaches_the_service(service: FakeClassifier) -> None:
    service.faults.append(Fault(UNAVAILABLE))
    service.faults.append(HANG)
    settings = Settings(mode=Mode.BATCH, timeout_seconds=20, deadline_seconds=0.5)
    async with Client(service.target, settings=settings, random=lambda: 0.0) as client:
        with pytest.raises(DeadlineExceededError) as caught:
            await client.classify("text")
        assert caught.value.attempts == 2
        assert client.state().in_flight == 0
    assert all(call.seconds_left is not None and call.seconds_left < 1 for call in service.calls)


@pytest.mark.parametrize("algorithm", ["adaptive", "aimd"])
async def test_refused_paragraphs_lower_the_limit(service: FakeClassifier, algorithm: str) -> None:
    events: list[Event] = []
    service.item_faults = {"full": ItemFault(EXHAUSTED, pushback_ms=1)}
    limit = replace(LimitSettings.parse(algorithm), initial=16)
    async with Client(
        service.target, settings=replace(NO_PATIENCE, limit=limit), listener=events.append, sleep=no_sleep
    ) as client:
        for _ in range(12):
            await client.classify_batch(["one", "full"])
        state = client.state()
    assert state.limit < 16
    assert state.breaker is BreakerState.CLOSED
    assert min(event.value for event in events if isinstance(event, LimitChanged)) == state.limit
    assert state.counts.refused == {"RESOURCE_EXHAUSTED": 60}
    assert state.counts.failed_paragraphs == {"RESOURCE_EXHAUSTED": 12}


async def test_a_stream_raises_the_limit(service: FakeClassifier) -> None:
    service.delay_seconds = 0.02
    async with Client(service.target, settings=Settings(batch_items=1)) as client:
        outcomes = [outcome async for outcome in client.score(f"paragraph {index}" for index in range(500))]
        assert client.state().limit > 8
    assert len(outcomes) == 500
    assert service.most_in_flight > 8


async def test_the_deadline_of_a_call_includes_its_wait_for_the_breaker(service: FakeClassifier) -> None:
    await service.stop()
    settings = replace(BATCH_MODE, deadline_seconds=0.3, retry=FAST_RETRIES, breaker=BreakerSettings(consecutive_failures=2))
    async with Client(service.target, settings=settings) as client:
        with pytest.raises(DeadlineExceededError, match=r"deadline_seconds 0\.3"):
            await client.classify("text")
        assert client.state().breaker is BreakerState.OPEN


async def test_online_calls_fail_while_the_breaker_is_open(service: FakeClassifier) -> None:
    events: list[Event] = []
    service.faults.extend([Fault(UNAVAILABLE)] * 3)
    settings = Settings(retry=RetryPolicy(attempts=1), breaker=BreakerSettings(consecutive_failures=3))
    async with Client(service.target, settings=settings, listener=events.append) as client:
        for _ in range(3):
            with pytest.raises(UnavailableError, match="scripted"):
                await client.classify("text")
        with pytest.raises(UnavailableError, match="circuit breaker is open") as caught:
            await client.classify("text")
        assert caught.value.attempts == 0
        assert client.state().breaker is BreakerState.OPEN
    assert len(service.calls) == 3
    assert events[-2:] == [AttemptShed("Classify"), ParagraphsFailed(UNAVAILABLE, 1)]


async def test_calls_that_are_not_sent_use_no_retry_budget(service: FakeClassifier) -> None:
    now = 0.0
    settings = Settings(
        budget=BudgetSettings(tokens=10), retry=RetryPolicy(attempts=2), breaker=BreakerSettings(consecutive_failures=2)
    )
    async with Client(service.target, settings=settings, clock=lambda: now, sleep=no_sleep) as client:
        service.faults.extend([Fault(UNAVAILABLE)] * 2)
        for _ in range(50):
            with pytest.raises(UnavailableError):
                await client.classify("text")
        now = 1.0
        assert (await client.classify("text")).tokens == 3
        service.faults.append(Fault(UNAVAILABLE))
        assert (await client.classify("text")).tokens == 3
        assert client.state().counts.shed == 49


@pytest.mark.parametrize("status", [EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT, INTERNAL, grpc.StatusCode.PERMISSION_DENIED])
async def test_errors_that_prove_the_service_alive_do_not_open_the_breaker(
    service: FakeClassifier, status: grpc.StatusCode
) -> None:
    service.faults.extend([Fault(status)] * 20)
    settings = Settings(retry=RetryPolicy(attempts=1), breaker=BreakerSettings(consecutive_failures=2))
    async with Client(service.target, settings=settings) as client:
        for _ in range(4):
            with pytest.raises(Exception, match="scripted"):
                await client.classify("text")
        assert client.state().breaker is BreakerState.CLOSED


async def test_no_paragraph_is_lost_when_the_service_restarts(service: FakeClassifier) -> None:
    settings = Settings(
        batch_items=2,
        timeout_seconds=5,
        retry=replace(FAST_RETRIES, attempts=2),
        breaker=BreakerSettings(consecutive_failures=2, open_seconds=0.02, max_open_seconds=0.05),
    )
    texts = [f"paragraph {index}" for index in range(120)]
    async with (
        Client(service.target, settings=settings) as client,
        aclosing(client.score(texts, ordered=False)) as outcomes,
    ):
        found = []
        async for outcome in outcomes:
            assert isinstance(outcome, Score), outcome
            found.append(outcome.paragraph.text)
            if len(found) in (20, 60):
                await service.stop()
                await until(lambda: client.state().breaker is not BreakerState.CLOSED)
                await service.__aenter__()
        counts = client.state().counts
    assert sorted(found) == sorted(texts)
    assert counts.failed_paragraphs == {}
    assert counts.errors > 2


async def test_calls_fail_when_the_service_does_not_return(service: FakeClassifier) -> None:
    breaker = BreakerSettings(consecutive_failures=2, open_seconds=0.02, max_open_seconds=0.02, patience_seconds=0.1)
    async with Client(service.target, settings=Settings(retry=FAST_RETRIES, breaker=breaker, batch_items=1)) as client:
        await service.stop()
        outcomes = await asyncio.gather(*(client.classify_batch([f"paragraph {index}"]) for index in range(5)))
        assert all(isinstance(outcome, Failure) and outcome.status is UNAVAILABLE for [outcome] in outcomes)
        assert client.state().counts.failed_paragraphs == {"UNAVAILABLE": 5}


async def test_a_broken_connection_is_replaced(service: FakeClassifier) -> None:
    async with Relay(service.port) as relay, Client(relay.target, settings=replace(BATCH_MODE, retry=FAST_RETRIES)) as client:
        assert (await client.classify("before")).tokens == 3
        service.gate.clear()
        calls = [asyncio.create_task(client.classify(f"paragraph {index}")) for index in range(3)]
        await service.until_in_flight(3)
        relay.reset()
        service.gate.set()
        assert [score.tokens for score in await asyncio.gather(*calls)] == [4, 4, 4]
        assert client.state().counts.recovered >= 3
        assert relay.connections >= 2
