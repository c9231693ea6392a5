"""Attributes, status and context of spans, by OpenTelemetry's conventions for RPC."""

import logging
from collections.abc import Mapping
from typing import Final

import grpc
from opentelemetry.semconv._incubating.attributes.rpc_attributes import RPC_METHOD, RPC_RESPONSE_STATUS_CODE, RPC_SYSTEM_NAME
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import Span, Status, StatusCode, format_span_id, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PROPAGATOR: Final = TraceContextTextMapPropagator()
"""Reads and writes W3C's trace context in metadata."""

FAILED: Final = Status(StatusCode.ERROR)

SERVER_ERRORS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""The codes that are errors in a server's span. In a client's span, all codes but OK are errors."""


def method_attributes(name: str) -> Mapping[str, str]:
    """The attributes of a call to "package.Service/Method"."""
    return {RPC_SYSTEM_NAME: "grpc", RPC_METHOD: name}


def server_attributes(target: str) -> Mapping[str, str | int]:
    """The attributes of a channel to "host:port", "dns:///host:port" or "unix:/path"."""
    if target.startswith("unix:"):
        return {SERVER_ADDRESS: target.removeprefix("unix:").removeprefix("//")}
    host, _, port = target.rpartition("/")[2].rpartition(":")
    return {SERVER_ADDRESS: host.strip("[]"), SERVER_PORT: int(port)} if port.isdecimal() else {SERVER_ADDRESS: target}


def set_status(span: Span, code: grpc.StatusCode, *, is_error: bool) -> None:
    """Sets the status of a call's span, without the message, which might quote a paragraph."""
    span.set_attribute(RPC_RESPONSE_STATUS_CODE, code.name)
    if is_error:
        span.set_attribute(ERROR_TYPE, code.name)
        span.set_status(FAILED)


def add_span_event(name: str, attributes: Mapping[str, str | int | float] | None = None) -> None:
    """Adds an event to the current span. Has no effect if the span is not sampled."""
    get_current_span().add_event(name, attributes)


class TraceIdFilter(logging.Filter):
    """Adds trace_id and span_id to log records if the current span is sampled.

    Passes all records.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        context = get_current_span().get_span_context()
        if context.is_valid and context.trace_flags.sampled:
            record.trace_id = format_trace_id(context.trace_id)
            record.span_id = format_span_id(context.span_id)
        return True
