"""The tracing of one process: sampling, the tracer, and the export to a collector."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final, Self

import grpc.aio
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from undertone_telemetry.tracing.interceptors import ClientTracingInterceptor, ServerTracingInterceptor
from undertone_telemetry.tracing.spans import FAILED

_PACKAGE: Final = "undertone-telemetry"

_CLOSE_SECONDS: Final = 2.0

_EXPORTER_LOG: Final = "opentelemetry.exporter.otlp.proto.grpc.exporter"

log = logging.getLogger(__name__)


class Tracing:
    """Creates spans for sampled traces and hands them to a processor.

    A call with a W3C trace context (`traceparent`) is sampled if its caller's span is. Traces that
    start here are sampled at a ratio, by trace id.

    Attributes:
        tracer: Creates further spans.
    """

    def __init__(
        self, processor: SpanProcessor, *, sample: float, service: str, abandon: Callable[[], None] = lambda: None
    ) -> None:
        """
        Args:
            processor: Receives the spans.
            sample: The sampling ratio, from 0 to 1.
            service: service.name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES set it.
            abandon: Makes the processor drop the spans that it is sending.
        """
        from_environment = OTELResourceDetector().detect()
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample)),
            resource=Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version(_PACKAGE)}).merge(from_environment),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._abandon = abandon
        self.tracer = self._provider.get_tracer("undertone", version(_PACKAGE))

    @classmethod
    def to_collector(
        cls, endpoint: str, *, sample: float, service: str, on_loss: Callable[[int], None] = lambda _: None
    ) -> Self:
        """Sends spans to a collector in the background, in batches.

        Drops spans if more than 2048 wait.

        OpenTelemetry's environment variables apply: OTEL_BSP_* to these bounds,
        OTEL_EXPORTER_OTLP_HEADERS and others to the connection.

        Args:
            endpoint: The URL of the collector's gRPC port.
            on_loss: Called with the number of spans that could not be sent, in another thread.
        """
        exporter = _CollectorExporter(endpoint, on_loss)
        return cls(BatchSpanProcessor(exporter), sample=sample, service=service, abandon=exporter.shutdown)

    def server_interceptor(self) -> grpc.aio.ServerInterceptor:
        """Creates a span for each call of a server, as a child of its caller's span."""
        return ServerTracingInterceptor(self.tracer)

    def client_interceptor(self, target: str) -> grpc.aio.ClientInterceptor:
        """Creates a span for each call on the channel to `target` and sends the trace context."""
        return ClientTracingInterceptor(self.tracer, target)

    @contextmanager
    def call_span(self, name: str, paragraphs: int) -> Iterator[None]:
        """The span of one call of the client library, with its attempts, waits and retries."""
        attributes = {"undertone.paragraphs": paragraphs}
        # The exception is not recorded, because its message might quote a paragraph. The spans of
        # the attempts have the status codes.
        with self.tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(FAILED)
                raise

    def close(self, timeout_seconds: float = _CLOSE_SECONDS) -> None:
        """Sends the remaining spans; drops them after the timeout.

        Spans that end later are lost.
        """
        sender = threading.Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        sender.start()
        sender.join(timeout_seconds)
        if sender.is_alive():
            self._abandon()
            sender.join(timeout_seconds)


class _CollectorExporter(SpanExporter):
    """OpenTelemetry's exporter, which logs only changes of the collector's reachability."""

    def __init__(self, endpoint: str, on_loss: Callable[[int], None]) -> None:
        # OpenTelemetry logs every attempt of every batch: several lines a minute without a
        # collector.
        logging.getLogger(_EXPORTER_LOG).setLevel(logging.CRITICAL)
        self._endpoint = endpoint
        self._on_loss = on_loss
        self._exporter = OTLPSpanExporter(endpoint)
        self._reachable = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Runs in the processor's thread. Tries for ten seconds (OTEL_EXPORTER_OTLP_TIMEOUT)."""
        result = self._exporter.export(spans)
        reachable = result is SpanExportResult.SUCCESS
        if not reachable:
            self._on_loss(len(spans))
        if reachable != self._reachable:
            self._reachable = reachable
            if reachable:
                log.info("the collector accepts traces again", extra={"endpoint": self._endpoint})
            else:
                log.warning("the collector is unreachable: traces are dropped", extra={"endpoint": self._endpoint})
        return result

    def shutdown(self) -> None:
        """Drops what is being sent."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True
