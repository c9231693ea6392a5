"""The way to a collector, by OTLP over gRPC."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_TALKATIVE: Final = "opentelemetry.exporter.otlp.proto.grpc.exporter"
"""Logs each attempt of each batch; while a collector is away, that is several lines a minute of every process."""

log = logging.getLogger(__name__)


class Collector(SpanExporter):
    """OpenTelemetry's own exporter, which says once that it cannot send, and once that it can again."""

    def __init__(self, endpoint: str, lost: Callable[[int], None]) -> None:
        logging.getLogger(_TALKATIVE).setLevel(logging.CRITICAL)
        self._endpoint = endpoint
        self._lost = lost
        self._exporter = OTLPSpanExporter(endpoint)
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Called by one thread, which is not the event loop's; tries for ten seconds (OTEL_EXPORTER_OTLP_TIMEOUT)."""
        result = self._exporter.export(spans)
        works = result is SpanExportResult.SUCCESS
        if not works:
            self._lost(len(spans))
        if works != self._works:
            self._works = works
            if works:
                log.info("traces are sent again", extra={"endpoint": self._endpoint})
            else:
                log.warning("traces cannot be sent and are dropped until they can", extra={"endpoint": self._endpoint})
        return result

    def abandon(self) -> None:
        """Gives up on what is being sent."""
        self._exporter.shutdown()

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True
