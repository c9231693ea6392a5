"""The handler wrapper and the channel interceptor, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from undertone_telemetry.calls import CallEvent, CallFinished, CallMeasure, CallStarted, Side
from undertone_telemetry.client import ClientObserver
from undertone_telemetry.server import ServerObserver

METHOD = "/tales.Teller/Tell"
REQUEST = StringValue(value="once")
Handler = Callable[[StringValue, Any], Awaitable[StringValue]]


class Seen:
    """Events of both sides, and a wait for the server's last word, which comes after the client's."""

    def __init__(self) -> None:
        self.events: list[CallEvent] = []
        self.ended = asyncio.Event()

    def server(self, event: CallEvent) -> None:
        self.events.append(event)
        if isinstance(event, CallFinished):
            self.ended.set()

    def of(self, side: Side) -> list[CallEvent]:
        return [event for event in self.events if event.side is side]


@asynccontextmanager
async def telling(tell: Handler) -> AsyncIterator[tuple[Any, Seen]]:
    """A multicallable for a service whose one method is `tell`. Each side's clock ticks once a reading."""
    seen = Seen()
    handler = grpc.unary_unary_rpc_method_handler(tell, StringValue.FromString, StringValue.SerializeToString)
    server = grpc.aio.server(interceptors=[ServerObserver(seen.server, clock=map(float, count()).__next__)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tales.Teller", {"Tell": handler}),))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    observer = ClientObserver(seen.events.append, clock=map(float, count()).__next__)
    async with grpc.aio.insecure_channel(f"localhost:{port}", interceptors=[observer]) as channel:
        yield channel.unary_unary(METHOD, StringValue.SerializeToString, StringValue.FromString), seen
    await server.stop(None)


async def test_an_answered_call_is_seen_from_both_sides() -> None:
    async def tell(request: StringValue, _: object) -> StringValue:
        return StringValue(value=request.value * 3)

    async with telling(tell) as (call, seen):
        assert (await call(REQUEST)).value == "onceonceonce"
        await seen.ended.wait()
    assert seen.of(Side.CLIENT) == [CallStarted(Side.CLIENT, METHOD, 6), CallFinished(Side.CLIENT, METHOD, "OK", 1.0, 14)]
    assert seen.of(Side.SERVER) == [CallStarted(Side.SERVER, METHOD, 6), CallFinished(Side.SERVER, METHOD, "OK", 1.0, 14)]


async def test_a_refused_call_has_a_code_and_no_reply() -> None:
    async def tell(_: StringValue, context: Any) -> StringValue:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such tale")
        raise AssertionError("abort returned")

    async with telling(tell) as (call, seen):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call(REQUEST)
        await seen.ended.wait()
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert [event for event in seen.events if isinstance(event, CallFinished)] == [
        CallFinished(side, METHOD, "NOT_FOUND", 1.0) for side in (event.side for event in seen.events[2:])
    ]


async def test_the_deadline_is_told_and_who_gives_up_is_seen_to() -> None:
    begun, forever = asyncio.Event(), asyncio.Event()

    async def tell(_: StringValue, __: object) -> StringValue:
        begun.set()
        await forever.wait()
        raise AssertionError("nobody waits")

    async with telling(tell) as (call, seen):
        running = call(REQUEST, timeout=60)
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await seen.ended.wait()
    asked, gave_up = seen.of(Side.CLIENT)
    assert asked == CallStarted(Side.CLIENT, METHOD, 6, 60)
    assert gave_up == CallFinished(Side.CLIENT, METHOD, "CANCELLED", 1.0)
    read, left = seen.of(Side.SERVER)
    assert isinstance(read, CallStarted)
    assert read.deadline_seconds is not None
    assert 0 < read.deadline_seconds < 61, "gRPC rounds up what it sends"
    assert left == CallFinished(Side.SERVER, METHOD, "CANCELLED", 1.0)


async def test_a_server_that_is_not_there_is_a_call_as_well() -> None:
    events: list[CallEvent] = []
    async with grpc.aio.insecure_channel("unix:/nowhere", interceptors=[ClientObserver(events.append)]) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(METHOD, StringValue.SerializeToString, StringValue.FromString)(REQUEST)
    assert isinstance(events[-1], CallFinished)
    assert (events[-1].code, events[-1].response_bytes) == ("UNAVAILABLE", None)


def test_what_is_measured_of_a_call() -> None:
    measure = CallMeasure()
    events = (
        CallStarted(Side.SERVER, METHOD, 6, 2.5),
        CallStarted(Side.SERVER, METHOD, 7),
        CallFinished(Side.SERVER, METHOD, "OK", 0.25, 14),
        CallFinished(Side.SERVER, METHOD, "NOT_FOUND", 0.5),
    )
    labels = ("unary", "tales.Teller", "Tell")
    measured = [[(m.metric.name, m.value, m.labels) for m in measure(event)] for event in events]
    assert measured == [
        [
            ("grpc_server_started_total", 1, labels),
            ("grpc_server_request_bytes", 6, labels),
            ("grpc_server_deadline_left_seconds", 2.5, labels),
            ("grpc_server_in_flight", 1, labels),
        ],
        [
            ("grpc_server_started_total", 1, labels),
            ("grpc_server_request_bytes", 7, labels),
            ("grpc_server_in_flight", 2, labels),
        ],
        [
            ("grpc_server_handled_total", 1, (*labels, "OK")),
            ("grpc_server_handling_seconds", 0.25, labels),
            ("grpc_server_response_bytes", 14, labels),
            ("grpc_server_in_flight", 1, labels),
        ],
        [
            ("grpc_server_handled_total", 1, (*labels, "NOT_FOUND")),
            ("grpc_server_handling_seconds", 0.5, labels),
            ("grpc_server_in_flight", 0, labels),
        ],
    ]


def test_both_sides_are_counted_apart() -> None:
    measure = CallMeasure()
    list(measure(CallStarted(Side.SERVER, METHOD, 6)))
    last = list(measure(CallStarted(Side.CLIENT, METHOD, 6, 2.0)))[-1]
    assert (last.metric.name, last.value) == ("grpc_client_in_flight", 1)
