"""Metrics and spans of a client, over a real socket."""

from collections import Counter
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from undertone_client import BreakerSettings, Client, HedgingSettings, LimitSettings, RetryPolicy, Settings, UnavailableError
from undertone_client.telemetry import CATALOGUE, client_hooks, measure
from undertone_client.testing import FakeClassifier, Fault, ItemFault
from undertone_telemetry import EventDispatcher, Kind, Telemetry, TelemetrySettings
from undertone_telemetry.interceptors import ClientEventInterceptor
from undertone_telemetry.rpc import CallMetrics
from undertone_telemetry.testing import RecordingAdapter
from undertone_telemetry.tracing import Tracing

from tests.unit.support.faults import EXHAUSTED, HANG, INTERNAL, UNAVAILABLE, no_sleep


def counters(recorder: RecordingAdapter) -> Counter[tuple[str, ...]]:
    """The values of counters, by short name and labels."""
    sums: Counter[tuple[str, ...]] = Counter()
    for measurement in recorder.measurements:
        if measurement.metric.kind is Kind.COUNTER:
            name = measurement.metric.name.removeprefix("undertone_client_").removesuffix("_total")
            sums[name, *measurement.labels] += int(measurement.value)
    return sums


@pytest.fixture
def recorder() -> RecordingAdapter:
    return RecordingAdapter()


async def test_paragraphs_and_retries_are_counted(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    service.faults.extend([Fault(UNAVAILABLE), Fault(EXHAUSTED)])
    service.item_faults = {"bad": ItemFault(INTERNAL)}
    async with Client(service.target, listener=EventDispatcher(measure, [recorder]), sleep=no_sleep) as client:
        await client.classify("text")
        await client.classify_batch(["good", "bad", "better"])
    assert counters(recorder) == {
        ("retries", "UNAVAILABLE"): 1,
        ("retries", "RESOURCE_EXHAUSTED"): 1,
        ("recovered",): 2,
        ("paragraphs", "OK"): 3,
        ("paragraphs", "INTERNAL"): 1,
        ("skipped_paragraphs", "INTERNAL"): 1,
    }
    assert len(recorder.values("undertone_client_slot_wait_seconds")) == 4
    assert {measurement.metric for measurement in recorder.measurements} <= set(CATALOGUE)


async def test_paragraphs_that_are_never_sent_are_counted(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    async with Client(service.target, listener=EventDispatcher(measure, [recorder])) as client:
        outcomes = [outcome async for outcome in client.score(["good", "x" * 70_000, "\ud800"])]
        assert client.state().counts.failed_paragraphs == {"INVALID_ARGUMENT": 2}
    assert len(outcomes) == 3
    assert counters(recorder) == {
        ("paragraphs", "OK"): 1,
        ("paragraphs", "INVALID_ARGUMENT"): 2,
        ("skipped_paragraphs", "INVALID_ARGUMENT"): 2,
    }


async def test_the_breaker_and_the_limit_are_measured_from_the_start(
    service: FakeClassifier, recorder: RecordingAdapter
) -> None:
    settings = Settings(
        retry=RetryPolicy(attempts=1), breaker=BreakerSettings(consecutive_failures=1), limit=LimitSettings.fixed(7)
    )
    service.faults.append(Fault(UNAVAILABLE))
    now = 0.0
    async with Client(
        service.target, settings=settings, listener=EventDispatcher(measure, [recorder]), clock=lambda: now
    ) as client:
        assert recorder.values("undertone_client_limit") == [7]
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await client.classify("text")
        now = 60.0
        await client.classify("text")
    states = [
        measurement.labels[0]
        for measurement in recorder.measurements
        if measurement.metric.name == "undertone_client_breaker_state" and measurement.value
    ]
    assert states == ["closed", "open", "half_open", "closed"]
    assert len(recorder.values("undertone_client_breaker_state")) == 4 * 3
    assert counters(recorder)["shed",] == 1


async def test_each_attempt_is_measured_as_a_grpc_call(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    service.faults.extend([Fault(UNAVAILABLE), Fault(EXHAUSTED)])
    interceptor = ClientEventInterceptor(EventDispatcher(CallMetrics(), [recorder]))
    async with Client(service.target, interceptors=[interceptor], sleep=no_sleep) as client:
        await client.classify("text")
    called = ("unary", "undertone.v1.Classifier", "Classify")
    counts = counters(recorder)
    assert counts.pop(("grpc_client_started", *called)) == 3
    assert counts == {("grpc_client_handled", *called, code): 1 for code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "OK")}
    assert recorder.values("grpc_client_in_flight") == [1, 0] * 3
    assert {measurement.metric for measurement in recorder.measurements} <= set(CATALOGUE)


async def test_hedges_are_counted(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    service.faults.append(HANG)
    settings = Settings(hedging=HedgingSettings(delay_seconds=0.05))
    async with Client(service.target, settings=settings, listener=EventDispatcher(measure, [recorder])) as client:
        await client.classify("text")
    assert counters(recorder) == {("hedges",): 1, ("paragraphs", "OK"): 1}


async def test_changes_of_the_limit_are_measured(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    service.item_faults = {"full": ItemFault(EXHAUSTED, pushback_ms=1)}
    settings = Settings(breaker=BreakerSettings(patience_seconds=0))
    async with Client(
        service.target, settings=settings, listener=EventDispatcher(measure, [recorder]), sleep=no_sleep
    ) as client:
        for _ in range(5):
            await client.classify_batch(["full"])
        first, *_, last = recorder.values("undertone_client_limit")
        assert last == client.state().limit < first


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(exporter: InMemorySpanExporter) -> Iterator[Telemetry]:
    telemetry = Telemetry(TelemetrySettings(), ())
    telemetry.tracing = Tracing(SimpleSpanProcessor(exporter), sample=1.0, service="undertone")
    yield telemetry
    telemetry.close()


def one_trace(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, list[str]]:
    """The span of the call, and the codes of its attempts, which are its children."""
    spans = exporter.get_finished_spans()
    (call,) = (span for span in spans if span.parent is None)
    attempts = [span for span in spans if span.kind is SpanKind.CLIENT]
    assert len(attempts) == len(spans) - 1
    assert all(span.parent and call.context and span.parent.span_id == call.context.span_id for span in attempts)
    return call, [str((span.attributes or {})["rpc.response.status_code"]) for span in attempts]


async def test_all_attempts_of_a_call_are_one_trace(
    service: FakeClassifier, telemetry: Telemetry, exporter: InMemorySpanExporter
) -> None:
    service.faults.append(Fault(UNAVAILABLE))
    service.item_faults = {"refused": ItemFault(EXHAUSTED, times=1)}
    async with Client(service.target, sleep=no_sleep, random=lambda: 0.5, **client_hooks(telemetry, service.target)) as client:
        await client.classify_batch(["good", "refused"])
    call, codes = one_trace(exporter)
    assert (call.name, call.attributes) == ("ClassifyBatch", {"undertone.paragraphs": 2})
    assert codes == ["UNAVAILABLE", "OK", "OK"]
    assert [(event.name, dict(event.attributes or {})["code"]) for event in call.events] == [
        ("retry", "UNAVAILABLE"),
        ("retry", "RESOURCE_EXHAUSTED"),
    ]


async def test_a_hedge_has_its_own_span(service: FakeClassifier, telemetry: Telemetry, exporter: InMemorySpanExporter) -> None:
    service.faults.append(HANG)
    settings = Settings(hedging=HedgingSettings(delay_seconds=0.01))
    async with Client(service.target, settings=settings, **client_hooks(telemetry, service.target)) as client:
        await client.classify("text")
    call, codes = one_trace(exporter)
    assert sorted(codes) == ["CANCELLED", "OK"]
    assert [event.name for event in call.events] == ["hedge"]


async def test_the_span_of_a_failed_call_has_the_error_type_and_not_its_message(
    service: FakeClassifier, telemetry: Telemetry, exporter: InMemorySpanExporter
) -> None:
    service.faults.append(Fault(UNAVAILABLE, "with 'secret'"))
    settings = Settings(retry=RetryPolicy(attempts=1))
    async with Client(service.target, settings=settings, **client_hooks(telemetry, service.target)) as client:
        with pytest.raises(UnavailableError):
            await client.classify("text")
    call, codes = one_trace(exporter)
    assert codes == ["UNAVAILABLE"]
    assert (call.attributes or {})["error.type"] == "UnavailableError"
    assert call.status.status_code is StatusCode.ERROR
    assert "secret" not in call.to_json()


async def test_a_client_has_no_hooks_while_telemetry_is_disabled() -> None:
    assert client_hooks(Telemetry(TelemetrySettings(), ()), "localhost:50051") == {}
