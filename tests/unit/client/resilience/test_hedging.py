"""Hedged calls, over real sockets."""

from collections.abc import AsyncIterator

import grpc
import pytest
from undertone_client import (
    BudgetSettings,
    Client,
    HedgingSettings,
    InvalidParagraphError,
    RetryPolicy,
    Settings,
    UnavailableError,
)
from undertone_client.resilience import CallCounts, Event, HedgeSent
from undertone_client.testing import FakeClassifier, Fault

from tests.unit.support.faults import FAST_RETRIES, HANG, OK, UNAVAILABLE, until


@pytest.fixture
async def hedging(service: FakeClassifier) -> AsyncIterator[Client]:
    settings = Settings(hedging=HedgingSettings(delay_seconds=0.05), timeout_seconds=20)
    async with Client(service.target, settings=settings) as client:
        yield client


async def test_a_slow_call_is_hedged_and_its_slower_attempt_cancelled(service: FakeClassifier, hedging: Client) -> None:
    service.faults.append(HANG)
    assert (await hedging.classify("text")).tokens == 3
    await until(lambda: service.in_flight == 0)
    assert len(service.calls) == 2
    assert (hedging.state().in_flight, hedging.state().counts) == (0, CallCounts({"OK": 1}, hedged=1))


async def test_fast_calls_and_batches_are_not_hedged(service: FakeClassifier, hedging: Client) -> None:
    await hedging.classify("text")
    service.faults.append(Fault(OK, delay_seconds=0.2))
    await hedging.classify_batch(["text"])
    assert len(service.calls) == 2
    assert hedging.state().counts.hedged == 0


async def test_a_final_failure_cancels_the_hedges(service: FakeClassifier, hedging: Client) -> None:
    service.faults.append(Fault(grpc.StatusCode.INVALID_ARGUMENT, delay_seconds=0.2))
    service.faults.append(HANG)
    with pytest.raises(InvalidParagraphError):
        await hedging.classify("text")
    await until(lambda: service.in_flight == 0)


async def test_a_retryable_failure_waits_for_the_hedge(service: FakeClassifier, hedging: Client) -> None:
    service.faults.append(Fault(UNAVAILABLE, delay_seconds=0.2))
    service.faults.append(Fault(OK, delay_seconds=0.3))
    assert (await hedging.classify("text")).tokens == 3
    assert hedging.state().counts == CallCounts({"UNAVAILABLE": 1, "OK": 1}, hedged=1, recovered=1)


async def test_a_call_is_retried_when_all_its_hedges_failed(service: FakeClassifier) -> None:
    service.faults.extend([Fault(UNAVAILABLE)] * 2)
    settings = Settings(hedging=HedgingSettings(delay_seconds=5), retry=FAST_RETRIES)
    async with Client(service.target, settings=settings) as client:
        assert (await client.classify("text")).tokens == 3
        assert client.state().counts == CallCounts({"UNAVAILABLE": 2, "OK": 1}, retried=2, recovered=2)


async def test_no_hedge_is_sent_while_the_budget_is_spent(service: FakeClassifier) -> None:
    events: list[Event] = []
    # The delay is long enough for the first failure on a busy machine, which no hedge may precede.
    service.faults.extend([Fault(UNAVAILABLE), Fault(OK, delay_seconds=1)])
    settings = Settings(
        hedging=HedgingSettings(delay_seconds=0.5), budget=BudgetSettings(tokens=1), retry=RetryPolicy(attempts=1)
    )
    async with Client(service.target, settings=settings, listener=events.append) as client:
        with pytest.raises(UnavailableError):
            await client.classify("text")
        assert (await client.classify("text")).tokens == 3
    assert not any(isinstance(event, HedgeSent) for event in events)
