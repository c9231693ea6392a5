"""OpenTelemetry traces of gRPC calls. Needs the extra `undertone-telemetry[otel]`."""

from undertone_telemetry.tracing.provider import Tracing
from undertone_telemetry.tracing.spans import TraceIdFilter, add_span_event, set_status

__all__ = ["TraceIdFilter", "Tracing", "add_span_event", "set_status"]
