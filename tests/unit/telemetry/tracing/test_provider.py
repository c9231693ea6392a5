import socket
from contextlib import closing

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from undertone_telemetry.testing.otlp import trace_collector
from undertone_telemetry.tracing import Tracing


def test_close_sends_the_remaining_spans() -> None:
    with trace_collector() as collector:
        tracing = Tracing.to_collector(collector.endpoint, sample=1.0, service="teller")
        with tracing.call_span("Tell", 2):
            pass
        tracing.close()
        (span,) = collector.spans
    assert (span.service, span.name, span.kind, span.attributes) == ("teller", "Tell", "INTERNAL", {"undertone.paragraphs": 2})


def test_the_environment_overrides_the_name_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "readers")
    exporter = InMemorySpanExporter()
    with closing(Tracing(SimpleSpanProcessor(exporter), sample=1.0, service="teller")) as tracing, tracing.call_span("Tell", 1):
        pass
    (span,) = exporter.get_finished_spans()
    assert span.resource.attributes["service.name"] == "readers"


def test_close_does_not_wait_for_a_collector_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    losses: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never answers
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tracing = Tracing.to_collector(endpoint, sample=1.0, service="teller", on_loss=losses.append)
        with tracing.call_span("Tell", 1):
            pass
        tracing.close(0.1)  # the exporter alone would try for ten seconds
    assert losses == [1]
    assert [record.getMessage() for record in caplog.records] == ["the collector is unreachable: traces are dropped"]
