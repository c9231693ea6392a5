"""Spans of calls on both sides of a real socket, kept in memory, and the way to a collector."""

import asyncio
import logging
import socket
import subprocess
import sys
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
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from undertone_telemetry.testing.collector import trace_collector
from undertone_telemetry.tracing import open_tracing, problems
from undertone_telemetry.tracing.convention import server_of
from undertone_telemetry.tracing.records import TraceIds
from undertone_telemetry.tracing.tracing import Tracing

NAME = "tales.Teller/Tell"
CHECK = "grpc.health.v1.Health/Check"
REQUEST = StringValue(value="once")
Handler = Callable[[StringValue, Any], Awaitable[StringValue]]


@contextmanager
def traced(sample: float = 1.0) -> Iterator[tuple[Tracing, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    tracing = Tracing(SimpleSpanProcessor(exporter), sample=sample, service="teller")
    yield tracing, exporter
    tracing.close()


@asynccontextmanager
async def telling(tell: Handler, client: Tracing | None, server: Tracing) -> AsyncIterator[Callable[..., Any]]:
    """Calls `tell` over a socket. A client that does not trace sends no context. Ends once the server has ended all calls."""
    handler = grpc.unary_unary_rpc_method_handler(tell, StringValue.FromString, StringValue.SerializeToString)
    serving = grpc.aio.server(interceptors=[server.handlers()])
    for name in (NAME, CHECK):
        service, method = name.split("/")
        serving.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = serving.add_insecure_port("localhost:0")
    await serving.start()
    target = f"localhost:{port}"
    interceptors = [client.attempts(target)] if client else []
    async with grpc.aio.insecure_channel(target, interceptors=interceptors) as channel:

        def call(name: str = NAME, **options: Any) -> Any:
            return channel.unary_unary(f"/{name}", StringValue.SerializeToString, StringValue.FromString)(REQUEST, **options)

        yield call
    await serving.stop(5)


async def repeat(request: StringValue, _: object) -> StringValue:
    return request


def by_kind(spans: tuple[ReadableSpan, ...]) -> dict[SpanKind, ReadableSpan]:
    assert len({span.kind for span in spans}) == len(spans)
    return {span.kind: span for span in spans}


async def test_one_trace_leads_from_the_call_by_the_attempt_to_the_handler() -> None:
    with traced() as (tracing, exporter):
        async with telling(repeat, tracing, tracing) as call:
            with tracing.call("Tell", 3):
                await call()
        spans = by_kind(exporter.get_finished_spans())
    whole, attempt, handler = spans[SpanKind.INTERNAL], spans[SpanKind.CLIENT], spans[SpanKind.SERVER]
    assert (whole.name, attempt.name, handler.name) == ("Tell", NAME, NAME)
    assert whole.parent is None
    assert attempt.parent
    assert handler.parent
    assert (attempt.parent.span_id, handler.parent.span_id) == (whole.context.span_id, attempt.context.span_id)
    assert len({span.context.trace_id for span in spans.values()}) == 1
    assert whole.attributes == {"undertone.paragraphs": 3}
    rpc = {"rpc.system.name": "grpc", "rpc.method": NAME, "rpc.response.status_code": "OK"}
    assert attempt.attributes
    assert attempt.attributes["server.address"] == "localhost"
    assert attempt.attributes.items() >= rpc.items()
    assert handler.attributes == rpc
    assert handler.resource.attributes["service.name"] == "teller"


async def test_a_failure_is_told_by_its_code_and_not_by_its_words() -> None:
    async def fail(_: StringValue, context: Any) -> StringValue:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the text is 'secret'")
        raise AssertionError("abort returned")

    with traced() as (tracing, exporter):
        async with telling(fail, tracing, tracing) as call:
            with pytest.raises(grpc.aio.AioRpcError), tracing.call("Tell", 1):
                await call()
        spans = by_kind(exporter.get_finished_spans())
    assert "secret" not in "".join(span.to_json() for span in spans.values())
    codes = {kind: (span.attributes or {}).get("rpc.response.status_code") for kind, span in spans.items()}
    assert codes == {SpanKind.INTERNAL: None, SpanKind.CLIENT: "INVALID_ARGUMENT", SpanKind.SERVER: "INVALID_ARGUMENT"}
    # The caller's mistake is an error to the caller alone.
    status = {kind: span.status.status_code for kind, span in spans.items()}
    assert status == {
        SpanKind.INTERNAL: StatusCode.ERROR,
        SpanKind.CLIENT: StatusCode.ERROR,
        SpanKind.SERVER: StatusCode.UNSET,
    }


async def test_who_gives_up_is_cancelled_on_both_sides() -> None:
    begun = asyncio.Event()

    async def dawdle(request: StringValue, _: object) -> StringValue:
        begun.set()
        await asyncio.Event().wait()
        return request

    with traced() as (tracing, exporter):
        async with telling(dawdle, tracing, tracing) as call:
            with tracing.call("Tell", 1):
                impatient = asyncio.ensure_future(call())
                await begun.wait()
                impatient.cancel()
                await asyncio.gather(impatient, return_exceptions=True)
        spans = by_kind(exporter.get_finished_spans())
    assert [(spans[kind].attributes or {})["rpc.response.status_code"] for kind in (SpanKind.CLIENT, SpanKind.SERVER)] == [
        "CANCELLED",
        "CANCELLED",
    ]


async def test_callers_decide_whether_their_calls_are_sampled() -> None:
    with traced(0.0) as (never, none), traced(1.0) as (always, all_of_them):
        async with telling(repeat, never, always) as call:
            with never.call("Tell", 1):
                await call()
        assert none.get_finished_spans() == all_of_them.get_finished_spans() == ()
        async with telling(repeat, always, never) as call:
            with always.call("Tell", 1):
                await call()
        assert [span.kind for span in none.get_finished_spans()] == [SpanKind.SERVER]


async def test_health_checks_and_calls_outside_of_traces_are_nobodys() -> None:
    with traced() as (tracing, exporter):
        heard: list[str] = []

        async def listen(request: StringValue, context: Any) -> StringValue:
            heard.extend(key for key, _ in context.invocation_metadata())
            return request

        async with telling(listen, tracing, tracing) as call:
            await call(CHECK)
            await call(metadata=(("undertone-lane", "batch"),))
        (handler,) = exporter.get_finished_spans()
    assert "undertone-lane" in heard
    assert "traceparent" not in heard
    assert (handler.kind, handler.parent) == (SpanKind.SERVER, None)


async def test_metadata_of_ones_own_travels_with_the_context() -> None:
    heard: dict[str, str] = {}

    async def listen(request: StringValue, context: Any) -> StringValue:
        heard.update(context.invocation_metadata())
        return request

    with traced() as (tracing, exporter):
        async with telling(listen, tracing, tracing) as call:
            with tracing.call("Tell", 1):
                await call(metadata=(("undertone-lane", "batch"),))
        attempt = by_kind(exporter.get_finished_spans())[SpanKind.CLIENT].context
    assert heard["undertone-lane"] == "batch"
    assert heard["traceparent"].startswith(f"00-{attempt.trace_id:032x}-{attempt.span_id:016x}-")


def test_lines_of_sampled_spans_carry_their_ids() -> None:
    def ids() -> tuple[object, object]:
        record = logging.makeLogRecord({})
        assert TraceIds().filter(record)
        return getattr(record, "trace_id", None), getattr(record, "span_id", None)

    assert ids() == (None, None)
    with traced() as (tracing, _), tracing.call("Tell", 1):
        context = get_current_span().get_span_context()
        assert ids() == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    with traced(0.0) as (tracing, _), tracing.call("Tell", 1):
        assert ids() == (None, None)


@pytest.mark.parametrize(
    ("target", "address", "port"),
    [
        ("localhost:50051", "localhost", 50051),
        ("dns:///undertone.example:443", "undertone.example", 443),
        ("[::1]:8500", "::1", 8500),
        ("unix:///run/model.sock", "/run/model.sock", None),
        ("unix:/run/model.sock", "/run/model.sock", None),
        ("undertone.example", "undertone.example", None),
    ],
)
def test_spans_name_whom_they_ask(target: str, address: str, port: int | None) -> None:
    named = server_of(target)
    assert (named["server.address"], named.get("server.port")) == (address, port)


@pytest.mark.parametrize(
    ("endpoint", "sample", "wrong"),
    [
        ("http://collector:4317", 0.1, None),
        ("https://collector", 1, None),
        ("", 0, None),
        ("nonsense", 0, None),
        ("", 0.1, "--trace-sample is 0.1 without an --otlp-endpoint"),
        ("collector:4317", 0.1, "--otlp-endpoint is 'collector:4317'"),
        ("http://collector:port", 0.1, "--otlp-endpoint is 'http://collector:port'"),
        ("http://collector:4317", 1.5, "--trace-sample is 1.5"),
        ("http://collector:4317", float("nan"), "--trace-sample is nan"),
    ],
)
def test_settings_are_checked(endpoint: str, sample: float, wrong: str | None) -> None:
    said = list(problems(endpoint, sample))
    assert [sentence.partition(";")[0] for sentence in said] == ([wrong] if wrong else [])


def test_without_a_sample_there_is_no_tracing() -> None:
    assert open_tracing("http://collector:4317", 0.0, service="teller") is None


def test_without_a_sample_nothing_of_opentelemetry_is_loaded() -> None:
    program = """
import sys
import undertone_cli.group, undertone_sidecar.__main__
from undertone_telemetry import logs
from undertone_telemetry.settings import TelemetrySettings
from undertone_telemetry.telemetry import Telemetry
settings = TelemetrySettings(otlp_endpoint="http://collector:4317")
logs.configure(settings.log_format, traced=settings.traced)
assert Telemetry(settings, ()).tracing is None
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_was_not_sent_yet_is_sent_at_the_end() -> None:
    with trace_collector() as collector:
        tracing = open_tracing(collector.endpoint, 1.0, service="teller")
        assert tracing
        with tracing.call("Tell", 2):
            pass
        tracing.close()
        (span,) = collector.spans
    assert (span.service, span.name, span.kind, span.attributes) == ("teller", "Tell", "INTERNAL", {"undertone.paragraphs": 2})


def test_the_environment_knows_better_what_the_service_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "readers")
    with traced() as (tracing, exporter):
        with tracing.call("Tell", 1):
            pass
        (span,) = exporter.get_finished_spans()
    assert span.resource.attributes["service.name"] == "readers"


def test_the_end_does_not_wait_for_a_collector_that_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    lost: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tracing = open_tracing(endpoint, 1.0, service="teller", lost=lost.append)
        assert tracing
        with tracing.call("Tell", 1):
            pass
        tracing.close(0.1)  # would be ten seconds
    assert lost == [1]
    assert [record.getMessage() for record in caplog.records] == ["traces cannot be sent and are dropped until they can"]
