"""Answers to the calls of the public API by a simulated fleet, with injected faults."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import grpc
from undertone_client.testing import FakeClassifier

from undertone_planner.fleet.faults import FaultKind, FaultRates
from undertone_planner.fleet.work import LANE_KEY, CallError, Lane, Work

Metadata = Sequence[tuple[str, str]]

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Service(Protocol):
    """What a fleet needs to answer the public API. See `Fleet`."""

    fault_rates: FaultRates
    pushback_ms: int | None
    poison: Mapping[str, grpc.StatusCode]
    application: FakeClassifier
    random: random.Random

    @property
    def network_seconds(self) -> float: ...

    @property
    def is_available(self) -> bool: ...

    async def serve(self, work: Work, deadline: float = ...) -> None: ...


async def answer(fleet: Service, method: str, request: Any, metadata: Metadata, deadline: float) -> tuple[Any, Metadata]:
    """See `Fleet.answer`."""
    await asyncio.sleep(fleet.network_seconds)
    fault = fleet.fault_rates.draw(fleet.random)
    if fault is FaultKind.UNAVAILABLE:
        raise CallError(UNAVAILABLE, "injected: connection refused")
    if fault is FaultKind.EXHAUSTED:
        raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "injected: queue full", fleet.pushback_ms)
    if fault is FaultKind.LOST:
        await asyncio.Event().wait()
    texts = [paragraph.text for paragraph in getattr(request, "paragraphs", ())]
    if method == "GetModel":
        if not fleet.is_available:
            raise CallError(UNAVAILABLE, "no healthy upstream")
    else:
        texts = texts or [request.text]
        lane = next((Lane(value) for key, value in metadata if key == LANE_KEY), Lane.ONLINE)
        await fleet.serve(Work(sum(len(text.split()) + 2 for text in texts), len(texts), lane), deadline)
    if fault is FaultKind.RESET:
        raise CallError(UNAVAILABLE, "injected: connection reset after the work")
    if fault is FaultKind.CANCELLED:
        raise CallError(grpc.StatusCode.CANCELLED, "injected: cancelled by the server")
    if fleet.poison and (poisoned := next((text for text in texts if text in fleet.poison), None)) is not None:
        raise CallError(fleet.poison[poisoned], "injected: a paragraph of this call is poison")
    context = _Context(metadata)
    reply = await getattr(fleet.application, method)(request, context)
    fleet.application.calls.clear()
    if fault is FaultKind.REFUSED_ITEMS and method == "ClassifyBatch":
        for result in fleet.random.sample(list(reply.results), k=(len(reply.results) + 1) // 2):
            result.error.code, result.error.message = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "injected: queue full"
    await asyncio.sleep(fleet.network_seconds)
    return reply, context.trailers


class _Context:
    """The part of grpc.aio.ServicerContext that the application uses."""

    def __init__(self, metadata: Metadata) -> None:
        self.trailers: Metadata = ()
        self._metadata = metadata

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def time_remaining(self) -> None:
        return None

    def set_trailing_metadata(self, trailers: Metadata) -> None:
        self.trailers = trailers

    async def abort(self, status: grpc.StatusCode, reason: str, trailers: Metadata = ()) -> None:
        pushback = next((int(value) for _, value in trailers), None)
        raise CallError(status, reason, pushback)
