"""Calls and streams without a message, and beyond the limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar import grpc_server
from undertone_sidecar.call_guard import CallGuard, CallLimits
from undertone_sidecar.caller import CALLER
from undertone_sidecar.health_service import HealthService
from undertone_telemetry.rpc import CallEvent, CallFinished

CLASSIFY = "/undertone.v1.Classifier/Classify"
REQUEST = classifier_pb2.ClassifyRequest(text="rain")


class Servicer(classifier_pb2_grpc.ClassifierServicer):
    """Answers when it is released."""

    def __init__(self) -> None:
        self.called = 0
        self.released = asyncio.Event()

    async def Classify(self, request: classifier_pb2.ClassifyRequest, context: object) -> classifier_pb2.ClassifyResponse:  # noqa: N802
        self.called += 1
        await self.released.wait()
        return classifier_pb2.ClassifyResponse(id=request.id)

    ClassifyBatch = GetModel = Classify  # type: ignore[assignment]


@asynccontextmanager
async def serving(limits: CallLimits) -> AsyncIterator[tuple[grpc.aio.Channel, Servicer, list[CallEvent]]]:
    events: list[CallEvent] = []
    server, servicer = grpc_server.server([CallGuard(limits, events.append, trust_caller_metadata=True)], ()), Servicer()
    health_pb2_grpc.add_HealthServicer_to_server(HealthService(), server)
    classifier_pb2_grpc.add_ClassifierServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        yield channel, servicer, events
    await server.stop(None)


def finished(events: list[CallEvent]) -> list[str]:
    return [event.code for event in events if isinstance(event, CallFinished)]


async def test_a_call_that_ends_without_a_message_is_refused() -> None:
    async with serving(CallLimits()) as (channel, servicer, events):
        call: grpc.aio.StreamUnaryCall[bytes, bytes] = channel.stream_unary(CLASSIFY)()
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "without a complete message" in (await call.details() or "")
        assert (servicer.called, finished(events)) == (0, ["INVALID_ARGUMENT"])


async def test_a_call_whose_message_does_not_arrive_is_ended() -> None:
    async with serving(CallLimits(read_seconds=0.05)) as (channel, servicer, events):
        call: grpc.aio.StreamUnaryCall[bytes, bytes] = channel.stream_unary(CLASSIFY)()
        assert await call.code() is grpc.StatusCode.ABORTED
        assert (servicer.called, finished(events)) == (0, ["ABORTED"])


async def test_calls_beyond_the_limit_are_refused_with_pushback() -> None:
    async with serving(CallLimits(calls=10)) as (channel, servicer, events):
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        calls = [stub.Classify(REQUEST) for _ in range(15)]
        ended = {asyncio.create_task(call.code()): call for call in calls}
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        while len(finished(events)) < 6 or servicer.called < 9:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        servicer.released.set()
        codes = [await call.code() for call in calls]
        assert sorted(code.name for code in codes) == ["OK"] * 9 + ["RESOURCE_EXHAUSTED"] * 6
        refused = calls[codes.index(grpc.StatusCode.RESOURCE_EXHAUSTED)]
        assert int(str(dict(await refused.trailing_metadata() or ())["grpc-retry-pushback-ms"])) > 0
        # The refused and the finished calls are not counted any more.
        await stub.Classify(REQUEST)


async def test_the_bytes_of_all_requests_are_bounded() -> None:
    large = classifier_pb2.ClassifyRequest(text="r" * 1000)
    async with serving(CallLimits(request_bytes=2500)) as (channel, servicer, events):
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        calls = [stub.Classify(large) for _ in range(5)]
        while len(finished(events)) < 3 or servicer.called < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        servicer.released.set()
        assert sorted([(await call.code()).name for call in calls]) == ["OK"] * 2 + ["RESOURCE_EXHAUSTED"] * 3
        await stub.Classify(large)


async def test_one_request_may_exceed_the_bytes_of_all() -> None:
    async with serving(CallLimits(request_bytes=10)) as (channel, servicer, _):
        servicer.released.set()
        await classifier_pb2_grpc.ClassifierStub(channel).Classify(REQUEST)


async def is_open(watch: "grpc.aio.UnaryStreamCall[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]") -> bool:
    """Waits until a watch has a status, or is refused because of the limit."""
    try:
        await watch.read()
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        return False
    return True


async def test_streams_beyond_the_limit_are_refused_until_another_ends() -> None:
    async with serving(CallLimits(streams=1)) as (channel, _, _):
        stub = health_pb2_grpc.HealthStub(channel)
        first = stub.Watch(health_pb2.HealthCheckRequest())
        await first.read()
        assert await stub.Watch(health_pb2.HealthCheckRequest()).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()
        while not await is_open(watch := stub.Watch(health_pb2.HealthCheckRequest())):
            pass
        watch.cancel()


async def test_a_caller_with_many_streams_leaves_streams_to_other_callers() -> None:
    request = health_pb2.HealthCheckRequest()
    async with serving(CallLimits(streams=16)) as (channel, _, _):
        stub = health_pb2_grpc.HealthStub(channel)
        greedy = [stub.Watch(request, metadata=((CALLER, "greedy"),)) for _ in range(40)]
        assert sum([await is_open(watch) for watch in greedy]) == 14
        other = stub.Watch(request, metadata=((CALLER, "other"),))
        assert await is_open(other)
        for watch in (*greedy, other):
            watch.cancel()


async def test_a_watch_without_a_message_is_refused() -> None:
    async with serving(CallLimits()) as (channel, _, _):
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream("/grpc.health.v1.Health/Watch")()
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_greedy_caller_leaves_calls_and_bytes_to_other_callers() -> None:
    large = classifier_pb2.ClassifyRequest(text="r" * 1000)
    for limits in (CallLimits(calls=16), CallLimits(request_bytes=15_600)):
        async with serving(limits) as (channel, servicer, events):
            stub = classifier_pb2_grpc.ClassifierStub(channel)
            greedy = [stub.Classify(large, metadata=((CALLER, "greedy"),)) for _ in range(40)]
            while len(finished(events)) < 26 or servicer.called < 14:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            other = stub.Classify(large, metadata=((CALLER, "other"),))
            while servicer.called < 15:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            servicer.released.set()
            assert await other.code() is grpc.StatusCode.OK
            assert sorted([(await call.code()).name for call in greedy]) == ["OK"] * 14 + ["RESOURCE_EXHAUSTED"] * 26
            reasons = [await call.details() or "" for call in greedy]
            assert sum("of this caller are in flight" in reason for reason in reasons) == 26
            # Everything is released.
            await stub.Classify(large, metadata=((CALLER, "greedy"),))
