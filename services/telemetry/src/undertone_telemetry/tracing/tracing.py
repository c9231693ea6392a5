"""The tracing of one process: its sampler, its tracer, and the end of both."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final, Self

import grpc.aio
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from undertone_telemetry.tracing.attempts import AttemptTracer
from undertone_telemetry.tracing.collector import Collector
from undertone_telemetry.tracing.convention import FAILED
from undertone_telemetry.tracing.handlers import HandlerTracer

_PACKAGE: Final = "undertone-telemetry"

_CLOSING_SECONDS: Final = 2.0


class Tracing:
    """Makes spans for the traces that are sampled, and hands them to a processor.

    A call that comes with a W3C trace context (`traceparent`) is sampled if its caller's was; of the traces that begin here, a
    part is, chosen by trace id.

    Attributes:
        tracer: for spans of one's own.
    """

    def __init__(
        self, processor: SpanProcessor, *, sample: float, service: str, abandon: Callable[[], None] = lambda: None
    ) -> None:
        """`sample` is the part, from 0 to 1. `abandon` makes the processor give up on what it is sending."""
        given = OTELResourceDetector().detect()  # by the environment, which knows better than we do
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample)),
            resource=Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version(_PACKAGE)}).merge(given),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._abandon = abandon
        self.tracer = self._provider.get_tracer("undertone", version(_PACKAGE))

    @classmethod
    def to_collector(cls, endpoint: str, *, sample: float, service: str, lost: Callable[[int], None] = lambda _: None) -> Self:
        """Sends spans in the background, some seconds' worth at a time; more than 2048 that wait are dropped.

        OpenTelemetry's own variables hold: OTEL_BSP_* for these bounds, OTEL_EXPORTER_OTLP_HEADERS and others for the way.
        """
        collector = Collector(endpoint, lost)
        return cls(BatchSpanProcessor(collector), sample=sample, service=service, abandon=collector.abandon)

    def handlers(self) -> grpc.aio.ServerInterceptor:
        """Gives each call of a server a span, below its caller's."""
        return HandlerTracer(self.tracer)

    def attempts(self, target: str) -> grpc.aio.ClientInterceptor:
        """Gives each call that leaves by the channel to `target` a span, and the trace context to travel with it."""
        return AttemptTracer(self.tracer, target)

    @contextmanager
    def call(self, name: str, paragraphs: int) -> Iterator[None]:
        """The span of one call to the service as whoever makes it sees it: around its attempts, its waits and its retries."""
        attributes = {"undertone.paragraphs": paragraphs}
        # Not the exception, whose message may quote anything; attempts carry their status codes.
        with self.tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(FAILED)
                raise

    def close(self, seconds: float = _CLOSING_SECONDS) -> None:
        """Sends what was not sent yet; gives up after `seconds`. Spans that end afterwards are lost."""
        sending = threading.Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        sending.start()
        sending.join(seconds)
        if sending.is_alive():
            self._abandon()
            sending.join(seconds)
