"""A service that goes away, over real sockets: who waits, who is told at once, and what it costs."""

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

from tests.unit.support.faults import BATCH, EXHAUSTED, INTERNAL, SOON, UNAVAILABLE, at_once, until


async def test_a_deadline_holds_while_waiting_for_the_breaker(service: FakeClassifier) -> None:
    await service.stop()
    settings = replace(BATCH, deadline_seconds=0.3, retry=SOON, breaker=BreakerSettings(consecutive_failures=2))
    async with Client(service.target, settings=settings) as client:
        with pytest.raises(DeadlineExceededError, match=r"deadline_seconds 0\.3"):
            await client.classify("text")
        assert client.state().breaker is BreakerState.OPEN


async def test_online_calls_fail_at_once_while_the_breaker_is_open(service: FakeClassifier) -> None:
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


async def test_calls_that_were_not_sent_cost_no_retry_budget(service: FakeClassifier) -> None:
    now = 0.0
    settings = Settings(
        budget=BudgetSettings(tokens=10), retry=RetryPolicy(attempts=2), breaker=BreakerSettings(consecutive_failures=2)
    )
    async with Client(service.target, settings=settings, clock=lambda: now, sleep=at_once) as client:
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
async def test_errors_of_a_service_that_works_do_not_open_the_breaker(service: FakeClassifier, status: grpc.StatusCode) -> None:
    service.faults.extend([Fault(status)] * 20)
    settings = Settings(retry=RetryPolicy(attempts=1), breaker=BreakerSettings(consecutive_failures=2))
    async with Client(service.target, settings=settings) as client:
        for _ in range(4):
            with pytest.raises(Exception, match="scripted"):
                await client.classify("text")
        assert client.state().breaker is BreakerState.CLOSED


async def test_a_restart_of_the_service_loses_nothing(service: FakeClassifier) -> None:
    settings = Settings(
        batch_items=2,
        timeout_seconds=5,
        retry=replace(SOON, attempts=2),
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


async def test_a_job_whose_service_has_gone_for_good_comes_to_an_end(service: FakeClassifier) -> None:
    breaker = BreakerSettings(consecutive_failures=2, open_seconds=0.02, max_open_seconds=0.02, patience_seconds=0.1)
    async with Client(service.target, settings=Settings(retry=SOON, breaker=breaker, batch_items=1)) as client:
        await service.stop()
        outcomes = await asyncio.gather(*(client.classify_batch([f"paragraph {index}"]) for index in range(5)))
        assert all(isinstance(outcome, Failure) and outcome.status is UNAVAILABLE for [outcome] in outcomes)
        assert client.state().counts.skipped == {"UNAVAILABLE": 5}


async def test_a_broken_connection_is_made_again(service: FakeClassifier) -> None:
    async with Relay(service.port) as relay, Client(relay.target, settings=replace(BATCH, retry=SOON)) as client:
        assert (await client.classify("before")).tokens == 3
        service.gate.clear()
        calls = [asyncio.create_task(client.classify(f"paragraph {index}")) for index in range(3)]
        await service.until_in_flight(3)
        relay.reset()
        service.gate.set()
        assert [score.tokens for score in await asyncio.gather(*calls)] == [4, 4, 4]
        assert client.state().counts.recovered >= 3
        assert relay.connections >= 2
