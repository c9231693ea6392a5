"""A fake collector of OpenTelemetry traces."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class ExportedSpan:
    """A span as exported. Ids are hexadecimal; the `parent` of a root span is empty."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: Mapping[str, Any]


class FakeCollector(TraceServiceServicer):
    """Keeps the spans that it receives. `endpoint` is for --otlp-endpoint."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._spans: list[ExportedSpan] = []
        self._received = threading.Condition()

    @property
    def spans(self) -> list[ExportedSpan]:
        """All spans received so far."""
        with self._received:
            return list(self._spans)

    def wait_for(self, condition: Callable[[list[ExportedSpan]], bool]) -> list[ExportedSpan]:
        """Returns all spans once the condition holds for them. Raises TimeoutError."""
        with self._received:
            if not self._received.wait_for(lambda: condition(self._spans), _TIMEOUT_SECONDS):
                raise TimeoutError(f"received only these spans: {self._spans}")
            return list(self._spans)

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        with self._received:
            for resource in request.resource_spans:
                service = str(_values(resource.resource.attributes)["service.name"])
                self._spans += [_span(service, span) for scope in resource.scope_spans for span in scope.spans]
            self._received.notify_all()
        return ExportTraceServiceResponse()


@contextmanager
def trace_collector() -> Iterator[FakeCollector]:
    """A collector on a free port of this machine."""
    collector = FakeCollector()
    server = grpc.server(ThreadPoolExecutor(2), options=(("grpc.so_reuseport", 0),))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


def _span(service: str, span: Span) -> ExportedSpan:
    return ExportedSpan(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=_values(span.attributes),
    )


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}
