"""The spans of a client's calls, over a real socket and kept in memory."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from undertone_client import Client, HedgingSettings, RetryPolicy, Settings, UnavailableError
from undertone_client.telemetry import client_hooks
from undertone_client.testing import FakeClassifier, Fault, ItemFault
from undertone_telemetry.settings import TelemetrySettings
from undertone_telemetry.telemetry import Telemetry
from undertone_telemetry.tracing import Tracing

from tests.unit.support.faults import EXHAUSTED, HANG, UNAVAILABLE, at_once


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
    """The call's span, and the codes of its attempts, which are its children."""
    spans = exporter.get_finished_spans()
    (call,) = (span for span in spans if span.parent is None)
    attempts = [span for span in spans if span.kind is SpanKind.CLIENT]
    assert len(attempts) == len(spans) - 1
    assert all(span.parent and call.context and span.parent.span_id == call.context.span_id for span in attempts)
    return call, [str((span.attributes or {})["rpc.response.status_code"]) for span in attempts]


async def test_attempts_of_a_call_and_what_is_sent_again_of_it_are_one_trace(
    service: FakeClassifier, telemetry: Telemetry, exporter: InMemorySpanExporter
) -> None:
    service.faults.append(Fault(UNAVAILABLE))
    service.item_faults = {"crowded": ItemFault(EXHAUSTED, times=1)}
    async with Client(service.target, sleep=at_once, random=lambda: 0.5, **client_hooks(telemetry, service.target)) as client:
        await client.classify_batch(["good", "crowded"])
    call, codes = one_trace(exporter)
    assert (call.name, call.attributes) == ("ClassifyBatch", {"undertone.paragraphs": 2})
    assert codes == ["UNAVAILABLE", "OK", "OK"]
    assert [(event.name, dict(event.attributes or {})["code"]) for event in call.events] == [
        ("retry", "UNAVAILABLE"),
        ("retry", "RESOURCE_EXHAUSTED"),
    ]


async def test_a_hedge_is_an_attempt_of_its_own(
    service: FakeClassifier, telemetry: Telemetry, exporter: InMemorySpanExporter
) -> None:
    service.faults.append(HANG)
    settings = Settings(hedging=HedgingSettings(delay_seconds=0.01))
    async with Client(service.target, settings=settings, **client_hooks(telemetry, service.target)) as client:
        await client.classify("text")
    call, codes = one_trace(exporter)
    assert sorted(codes) == ["CANCELLED", "OK"]
    assert [event.name for event in call.events] == ["hedge"]


async def test_a_call_that_fails_for_good_says_how_and_not_in_words(
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


async def test_where_all_is_off_a_client_has_no_client_hooks() -> None:
    assert client_hooks(Telemetry(TelemetrySettings(), ()), "localhost:50051") == {}
