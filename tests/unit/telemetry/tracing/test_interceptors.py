"""Spans of both sides of calls over a real socket, exported to memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from undertone_telemetry.tracing import Tracing

NAME = "tales.Teller/Tell"
HEALTH_CHECK = "grpc.health.v1.Health/Check"
REQUEST = StringValue(value="once")
Handler = Callable[[StringValue, Any], Awaitable[StringValue]]


@contextmanager
def traced(sample: float = 1.0) -> Iterator[tuple[Tracing, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    tracing = Tracing(SimpleSpanProcessor(exporter), sample=sample, service="teller")
    yield tracing, exporter
    tracing.close()


@asynccontextmanager
async def serve(handler: Handler, client: Tracing, server: Tracing) -> AsyncIterator[Callable[..., Any]]:
    """A function that calls `handler` over a socket.

    All calls have finished on the server's side at the end.
    """
    method_handler = grpc.unary_unary_rpc_method_handler(handler, StringValue.FromString, StringValue.SerializeToString)
    grpc_server = grpc.aio.server(interceptors=[server.server_interceptor()])
    for name in (NAME, HEALTH_CHECK):
        service, method = name.split("/")
        grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: method_handler}),))
    target = f"localhost:{grpc_server.add_insecure_port('localhost:0')}"
    await grpc_server.start()
    async with grpc.aio.insecure_channel(target, interceptors=[client.client_interceptor(target)]) as channel:

        def call(name: str = NAME, **options: Any) -> Any:
            return channel.unary_unary(f"/{name}", StringValue.SerializeToString, StringValue.FromString)(REQUEST, **options)

        yield call
    await grpc_server.stop(5)


async def echo(request: StringValue, _: object) -> StringValue:
    return request


def by_kind(spans: tuple[ReadableSpan, ...]) -> dict[SpanKind, ReadableSpan]:
    assert len({span.kind for span in spans}) == len(spans)
    return {span.kind: span for span in spans}


async def test_a_trace_leads_from_the_call_through_the_attempt_to_the_handler() -> None:
    with traced() as (tracing, exporter):
        async with serve(echo, tracing, tracing) as call:
            with tracing.call_span("Tell", 3):
                await call()
        spans = by_kind(exporter.get_finished_spans())
    whole, attempt, handler = spans[SpanKind.INTERNAL], spans[SpanKind.CLIENT], spans[SpanKind.SERVER]
    assert (whole.name, attempt.name, handler.name) == ("Tell", NAME, NAME)
    assert whole.parent is None
    assert attempt.parent is not None
    assert handler.parent is not None
    assert (attempt.parent.span_id, handler.parent.span_id) == (whole.context.span_id, attempt.context.span_id)
    assert len({span.context.trace_id for span in spans.values()}) == 1
    assert whole.attributes == {"undertone.paragraphs": 3}
    rpc = {"rpc.system.name": "grpc", "rpc.method": NAME, "rpc.response.status_code": "OK"}
    assert attempt.attributes
    assert attempt.attributes["server.address"] == "localhost"
    assert attempt.attributes.items() >= rpc.items()
    assert handler.attributes == rpc
    assert handler.resource.attributes["service.name"] == "teller"


async def test_spans_of_a_failed_call_have_its_code_but_not_its_message() -> None:
    async def fail(_: StringValue, context: Any) -> StringValue:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the text is 'secret'")
        raise AssertionError("abort returned")

    with traced() as (tracing, exporter):
        async with serve(fail, tracing, tracing) as call:
            with pytest.raises(grpc.aio.AioRpcError), tracing.call_span("Tell", 1):
                await call()
        spans = by_kind(exporter.get_finished_spans())
    assert "secret" not in "".join(span.to_json() for span in spans.values())
    codes = {kind: (span.attributes or {}).get("rpc.response.status_code") for kind, span in spans.items()}
    assert codes == {SpanKind.INTERNAL: None, SpanKind.CLIENT: "INVALID_ARGUMENT", SpanKind.SERVER: "INVALID_ARGUMENT"}
    # A client's mistake is not an error of the server.
    status = {kind: span.status.status_code for kind, span in spans.items()}
    assert status == {
        SpanKind.INTERNAL: StatusCode.ERROR,
        SpanKind.CLIENT: StatusCode.ERROR,
        SpanKind.SERVER: StatusCode.UNSET,
    }


async def test_a_cancelled_call_is_cancelled_in_the_spans_of_both_sides() -> None:
    started = asyncio.Event()

    async def hang(request: StringValue, _: object) -> StringValue:
        started.set()
        await asyncio.Event().wait()
        return request

    with traced() as (tracing, exporter):
        async with serve(hang, tracing, tracing) as call:
            with tracing.call_span("Tell", 1):
                running = asyncio.ensure_future(call())
                await started.wait()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        spans = by_kind(exporter.get_finished_spans())
    for kind in (SpanKind.CLIENT, SpanKind.SERVER):
        assert (spans[kind].attributes or {})["rpc.response.status_code"] == "CANCELLED"


async def test_sampling_follows_the_callers_decision() -> None:
    with traced(0.0) as (never, never_exporter), traced(1.0) as (always, always_exporter):
        async with serve(echo, never, always) as call:
            with never.call_span("Tell", 1):
                await call()
        assert never_exporter.get_finished_spans() == always_exporter.get_finished_spans() == ()
        async with serve(echo, always, never) as call:
            with always.call_span("Tell", 1):
                await call()
        assert [span.kind for span in never_exporter.get_finished_spans()] == [SpanKind.SERVER]


async def test_health_checks_have_no_span_and_calls_outside_of_traces_send_no_context() -> None:
    with traced() as (tracing, exporter):
        metadata: list[str] = []

        async def note_metadata(request: StringValue, context: Any) -> StringValue:
            metadata.extend(key for key, _ in context.invocation_metadata())
            return request

        async with serve(note_metadata, tracing, tracing) as call:
            await call(HEALTH_CHECK)
            await call(metadata=(("undertone-lane", "batch"),))
        (handler,) = exporter.get_finished_spans()
    assert "undertone-lane" in metadata
    assert "traceparent" not in metadata
    assert (handler.kind, handler.parent) == (SpanKind.SERVER, None)


async def test_the_trace_context_is_added_to_the_calls_own_metadata() -> None:
    metadata: dict[str, str] = {}

    async def note_metadata(request: StringValue, context: Any) -> StringValue:
        metadata.update(context.invocation_metadata())
        return request

    with traced() as (tracing, exporter):
        async with serve(note_metadata, tracing, tracing) as call:
            with tracing.call_span("Tell", 1):
                await call(metadata=(("undertone-lane", "batch"),))
        attempt = by_kind(exporter.get_finished_spans())[SpanKind.CLIENT].context
    assert metadata["undertone-lane"] == "batch"
    assert metadata["traceparent"].startswith(f"00-{attempt.trace_id:032x}-{attempt.span_id:016x}-")
