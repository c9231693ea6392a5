"""A collector of OpenTelemetry traces that can be asked what it was sent."""

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

_PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class SentSpan:
    """A span as it came over the wire; ids are in hexadecimal, `parent` is empty for the first of a trace."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: Mapping[str, Any]


class TraceCollector(TraceServiceServicer):
    """Keeps the spans that it was sent. `endpoint` is for --otlp-endpoint."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._spans: list[SentSpan] = []
        self._came = threading.Condition()

    @property
    def spans(self) -> list[SentSpan]:
        """All that have come so far."""
        with self._came:
            return list(self._spans)

    def until(self, enough: Callable[[list[SentSpan]], bool]) -> list[SentSpan]:
        """Those that have come once they are `enough`. Raises TimeoutError if they never are."""
        with self._came:
            if not self._came.wait_for(lambda: enough(self._spans), _PATIENCE_SECONDS):
                raise TimeoutError(f"only these spans came: {self._spans}")
            return list(self._spans)

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        with self._came:
            for sent in request.resource_spans:
                service = str(_values(sent.resource.attributes)["service.name"])
                self._spans += [_span(service, span) for scope in sent.scope_spans for span in scope.spans]
            self._came.notify_all()
        return ExportTraceServiceResponse()


@contextmanager
def trace_collector() -> Iterator[TraceCollector]:
    """One that listens on a free port of this machine."""
    collector = TraceCollector()
    server = grpc.server(ThreadPoolExecutor(2), options=(("grpc.so_reuseport", 0),))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


def _span(service: str, span: Span) -> SentSpan:
    return SentSpan(
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
