"""Refusals by gRPC's own server, before a call reaches the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from undertone_client import BreakerSettings, Client, Failure, LimitSettings, RetryPolicy, Score, Settings
from undertone_client.resilience import BreakerChanged, Event
from undertone_client.testing import FakeClassifier
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

CALLS = 300


@asynccontextmanager
async def serving(service: FakeClassifier, **options: int) -> AsyncIterator[str]:
    """Serve with options of gRPC's server. The address of the server."""
    named = [(f"grpc.{name}", value) for name, value in {"so_reuseport": 0, **options}.items()]
    server = grpc.aio.server(options=named)
    pb_grpc.add_ClassifierServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def test_calls_that_a_full_queue_cancels_are_overload_and_do_not_open_the_breaker() -> None:
    service, events = FakeClassifier(delay_seconds=0.05), list[Event]()
    options = {"server.max_pending_requests": 4, "server.max_pending_requests_hard_limit": 8}
    settings = Settings(
        limit=LimitSettings.fixed(CALLS),
        retry=RetryPolicy(attempts=5, initial_seconds=0.05, max_seconds=0.5),
        breaker=BreakerSettings(open_seconds=1000, max_open_seconds=1000),
    )
    async with serving(service, **options) as target, Client(target, settings=settings, listener=events.append) as client:
        outcomes = await asyncio.gather(*(client.classify_batch([f"text {index}"]) for index in range(CALLS)))
        counts = client.state().counts
    assert all(isinstance(outcome, Score) for (outcome,) in outcomes)
    assert counts.attempts["RESOURCE_EXHAUSTED"] > 50  # the server did cancel calls
    assert "CANCELLED" not in counts.attempts
    assert [event for event in events if isinstance(event, BreakerChanged)] == []


async def test_a_server_that_shuts_down_is_not_taken_for_an_overloaded_one() -> None:
    service = FakeClassifier()
    service.gate.clear()
    settings = Settings(
        retry=RetryPolicy(attempts=1), limit=LimitSettings.fixed(CALLS), breaker=BreakerSettings(patience_seconds=0)
    )
    server = serving(service)
    target = await server.__aenter__()
    async with Client(target, settings=settings) as client:
        calls = [asyncio.create_task(client.classify_batch([f"text {index}"])) for index in range(20)]
        await service.until_in_flight(20)
        await server.__aexit__(None, None, None)
        outcomes = await asyncio.gather(*calls)
        assert {outcome.status for (outcome,) in outcomes if isinstance(outcome, Failure)} <= {
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.CANCELLED,
        }
        assert client.state().breaker == "open"


@pytest.mark.parametrize("large", [0, 2])
async def test_a_message_that_is_too_large_for_the_server_is_split_and_not_waited_for(large: int) -> None:
    service = FakeClassifier()
    texts = [f"text {index} " + "x" * 900 for index in range(8)]
    for index in range(large):
        texts[index * 3] += "y" * 5000
    async with serving(service, max_receive_message_length=4000) as target, Client(target) as client:
        outcomes = await client.classify_batch(texts)
    failed = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Failure)]
    assert failed == [index * 3 for index in range(large)]
    for index in failed:
        outcome = outcomes[index]
        assert isinstance(outcome, Failure)
        assert outcome.status is grpc.StatusCode.INVALID_ARGUMENT
        assert "too large" in outcome.reason
