"""The load generator with deadlines, against a service in this process."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from undertone_bench.deadline_load import NEVER, DeadlineLoad, server_rate
from undertone_bench.load_generator import CallResult
from undertone_bench.workload import Paragraph
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc


class Service(classifier_pb2_grpc.ClassifierServicer):
    """Answers every second call, and refuses the others.

    It never answers calls with a deadline below 0.2 s.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.ended_calls: asyncio.Queue[None] = asyncio.Queue()

    async def Classify(  # noqa: N802
        self, request: classifier_pb2.ClassifyRequest, context: "grpc.aio.ServicerContext[object, object]"
    ) -> classifier_pb2.ClassifyResponse:
        try:
            # The stub of gRPC lacks None, for calls without a deadline.
            if (context.time_remaining() or 1.0) < 0.2:
                await asyncio.Event().wait()
            self.calls += 1
            if self.calls % 2:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
            return classifier_pb2.ClassifyResponse(label="joy")
        finally:
            self.ended_calls.put_nowait(None)

    async def ClassifyBatch(self, request: object, context: object) -> classifier_pb2.ClassifyBatchResponse:  # noqa: N802
        raise NotImplementedError

    async def GetModel(self, request: object, context: object) -> classifier_pb2.GetModelResponse:  # noqa: N802
        raise NotImplementedError


class Health(health.aio.HealthServicer):  # type: ignore[misc] # the package has no types
    """Answers a check after six calls, so that a measurement has calls on a slow machine, too.

    A measurement ends with its first check if its duration is 0.
    """

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service

    async def Check(self, request: object, context: object) -> health_pb2.HealthCheckResponse:  # noqa: N802
        for _ in range(self._service.ended_calls.qsize()):
            self._service.ended_calls.get_nowait()
        for _ in range(6):
            await self._service.ended_calls.get()
        reply: health_pb2.HealthCheckResponse = await super().Check(request, context)
        return reply


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undertone_bench.deadline_load.LEAD_IN_SECONDS", 0.0)
    monkeypatch.setattr("undertone_bench.deadline_load._SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("undertone_bench.deadline_load._HEALTH_TIMEOUT_SECONDS", 60.0)


@asynccontextmanager
async def running_load(*, serving: bool) -> AsyncIterator[DeadlineLoad]:
    server, service = grpc.aio.server(), Service()
    servicer = Health(service)
    status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
    await servicer.set("", status)
    classifier_pb2_grpc.add_ClassifierServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    load = DeadlineLoad(f"localhost:{port}", [Paragraph("rain", 3)], {"service": os.getpid()})
    yield load
    await load.close()
    await server.stop(None)


async def test_codes_latencies_cpu_time_and_health_are_measured() -> None:
    async with running_load(serving=True) as load:
        closed = await load.closed_loop(2, [NEVER], 0.0)
        opened = await load.open_loop(50, [0.15], 0.0)
        complete = await load.complete_open_loop(100, 0.2)
    assert set(closed.codes) == {"OK", "RESOURCE_EXHAUSTED"}
    assert closed.codes["OK"] == len(closed.latencies) > 0
    assert closed.goodput == pytest.approx(len(closed.latencies) / closed.seconds)
    assert closed.cpu_seconds.keys() == {"service"}
    assert set(opened.codes) == {"DEADLINE_EXCEEDED"}
    assert opened.goodput == 0
    assert {result.ok for result in complete} == {True, False}
    assert (closed.healthy, opened.healthy) == (1.0, 1.0)


async def test_a_service_that_is_not_serving_is_unhealthy() -> None:
    async with running_load(serving=False) as load:
        assert (await load.closed_loop(2, [NEVER], 0.0)).healthy == 0


class SlowAbove(DeadlineLoad):
    """A service that answers in time up to a rate of calls."""

    def __init__(self, limit: float) -> None:
        self._limit = limit

    async def complete_open_loop(self, rate: float, seconds: float) -> Sequence[CallResult[float]]:
        return [CallResult(NEVER, 0.1 if rate <= self._limit else 1.0, ok=True)]


@pytest.mark.parametrize(("limit", "found"), [(100, 93.75), (75, 75), (60, 56.25), (40, 37.5), (1, 0.0)])
async def test_the_server_rate_is_found_below_and_above_the_first_rate(limit: float, found: float) -> None:
    assert await server_rate(SlowAbove(limit), 100.0, 0.3, 3, 1.0) == found


async def test_a_service_without_capacity_has_no_server_rate() -> None:
    assert await server_rate(SlowAbove(1.0), 0.0, 0.3, 3, 1.0) == 0.0
