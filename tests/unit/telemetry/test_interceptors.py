"""Both event interceptors, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from undertone_telemetry.interceptors import ClientEventInterceptor, ServerEventInterceptor
from undertone_telemetry.rpc import CallEvent, CallFinished, CallStarted, Side

METHOD = "/tales.Teller/Tell"
REQUEST = StringValue(value="once")
Handler = Callable[[StringValue, Any], Awaitable[StringValue]]


class Events:
    """The events of both sides.

    `server_finished` is set by the server's last event, which follows the client's.
    """

    def __init__(self) -> None:
        self.all: list[CallEvent] = []
        self.server_finished = asyncio.Event()

    def add_server_event(self, event: CallEvent) -> None:
        self.all.append(event)
        if isinstance(event, CallFinished):
            self.server_finished.set()

    def of(self, side: Side) -> list[CallEvent]:
        return [event for event in self.all if event.side is side]


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[tuple[Any, Events]]:
    """A multicallable of a service with one method.

    The clocks of both sides advance one second per reading.
    """
    events = Events()
    method = grpc.unary_unary_rpc_method_handler(handler, StringValue.FromString, StringValue.SerializeToString)
    interceptor = ServerEventInterceptor(events.add_server_event, clock=map(float, count()).__next__)
    server = grpc.aio.server(interceptors=[interceptor])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tales.Teller", {"Tell": method}),))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    client = ClientEventInterceptor(events.all.append, clock=map(float, count()).__next__)
    async with grpc.aio.insecure_channel(f"localhost:{port}", interceptors=[client]) as channel:
        yield channel.unary_unary(METHOD, StringValue.SerializeToString, StringValue.FromString), events
    await server.stop(None)


async def test_both_sides_emit_the_start_and_the_end_of_an_answered_call() -> None:
    async def tell(request: StringValue, _: object) -> StringValue:
        return StringValue(value=request.value * 3)

    async with serve(tell) as (call, events):
        assert (await call(REQUEST)).value == "onceonceonce"
        await events.server_finished.wait()
    assert events.of(Side.CLIENT) == [CallStarted(Side.CLIENT, METHOD, 6), CallFinished(Side.CLIENT, METHOD, "OK", 1.0, 14)]
    assert events.of(Side.SERVER) == [CallStarted(Side.SERVER, METHOD, 6), CallFinished(Side.SERVER, METHOD, "OK", 1.0, 14)]


async def test_a_failed_call_has_a_code_and_no_reply() -> None:
    async def tell(_: StringValue, context: Any) -> StringValue:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such tale")
        raise AssertionError("abort returned")

    async with serve(tell) as (call, events):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(REQUEST)
        await events.server_finished.wait()
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    for side in Side:
        assert events.of(side)[1:] == [CallFinished(side, METHOD, "NOT_FOUND", 1.0)]


async def test_events_carry_the_deadline_and_a_cancellation() -> None:
    started, forever = asyncio.Event(), asyncio.Event()

    async def tell(_: StringValue, __: object) -> StringValue:
        started.set()
        await forever.wait()
        raise AssertionError("the wait is cancelled")

    async with serve(tell) as (call, events):
        running = call(REQUEST, timeout=60)
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await events.server_finished.wait()
    assert events.of(Side.CLIENT) == [
        CallStarted(Side.CLIENT, METHOD, 6, 60),
        CallFinished(Side.CLIENT, METHOD, "CANCELLED", 1.0),
    ]
    received, finished = events.of(Side.SERVER)
    assert isinstance(received, CallStarted)
    assert received.deadline_seconds is not None
    assert 0 < received.deadline_seconds < 61, "gRPC rounds the timeout up"
    assert finished == CallFinished(Side.SERVER, METHOD, "CANCELLED", 1.0)


async def test_a_call_to_an_absent_server_emits_events() -> None:
    events: list[CallEvent] = []
    async with grpc.aio.insecure_channel("unix:/nowhere", interceptors=[ClientEventInterceptor(events.append)]) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(METHOD, StringValue.SerializeToString, StringValue.FromString)(REQUEST)
    assert isinstance(events[-1], CallFinished)
    assert (events[-1].code, events[-1].response_bytes) == ("UNAVAILABLE", None)
