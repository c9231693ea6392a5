"""Outages of the service, over real sockets."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import grpc
import pytest
from undertone_client import (
    BreakerSettings,
    BreakerState,
    BudgetSettings,
    Client,
    DeadlineExceededError,
    Failure,
    RetryPolicy,
    Score,
    Settings,
    UnavailableError,
)
from undertone_client.resilience import AttemptShed, Event, ParagraphsFailed
from undertone_client.testing import FakeClassifier, Fault, Relay

from tests.unit.support.faults import BATCH_MODE, EXHAUSTED, FAST_RETRIES, INTERNAL, UNAVAILABLE, no_sleep, until


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
    assert counts.skipped == {}
    assert counts.errors > 2


async def test_calls_fail_when_the_service_does_not_return(service: FakeClassifier) -> None:
    breaker = BreakerSettings(consecutive_failures=2, open_seconds=0.02, max_open_seconds=0.02, patience_seconds=0.1)
    async with Client(service.target, settings=Settings(retry=FAST_RETRIES, breaker=breaker, batch_items=1)) as client:
        await service.stop()
        outcomes = await asyncio.gather(*(client.classify_batch([f"paragraph {index}"]) for index in range(5)))
        assert all(isinstance(outcome, Failure) and outcome.status is UNAVAILABLE for [outcome] in outcomes)
        assert client.state().counts.skipped == {"UNAVAILABLE": 5}


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
