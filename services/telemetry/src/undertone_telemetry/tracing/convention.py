"""How gRPC's calls look in spans: OpenTelemetry's conventions for RPC, and W3C's trace context in metadata."""

from collections.abc import Mapping
from typing import Final

import grpc
from opentelemetry.semconv._incubating.attributes.rpc_attributes import RPC_METHOD, RPC_RESPONSE_STATUS_CODE, RPC_SYSTEM_NAME
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import Span, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PROPAGATOR: Final = TraceContextTextMapPropagator()

FAILED: Final = Status(StatusCode.ERROR)

SERVER_FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes that are errors to a server; the rest are its callers', to whom all but OK are errors."""


def name_of(method: str | bytes) -> str:
    """A span's name for "/package.Service/Method", which interceptors get as text or bytes, by gRPC's version."""
    return (method.decode() if isinstance(method, bytes) else method).lstrip("/")


def attributes_of(name: str) -> Mapping[str, str]:
    """Those that are known when a call begins."""
    return {RPC_SYSTEM_NAME: "grpc", RPC_METHOD: name}


def server_of(target: str) -> Mapping[str, str | int]:
    """Whom a channel to a gRPC target asks: "host:port", "dns:///host:port", "unix:/path"."""
    if target.startswith("unix:"):
        return {SERVER_ADDRESS: target.removeprefix("unix:").removeprefix("//")}
    host, _, port = target.rpartition("/")[2].rpartition(":")
    return {SERVER_ADDRESS: host.strip("[]"), SERVER_PORT: int(port)} if port.isdecimal() else {SERVER_ADDRESS: target}


def set_code(span: Span, code: grpc.StatusCode, *, fault: bool) -> None:
    """What came of a call. Never the message: a foreign one might quote anything."""
    span.set_attribute(RPC_RESPONSE_STATUS_CODE, code.name)
    if fault:
        span.set_attribute(ERROR_TYPE, code.name)
        span.set_status(FAILED)


def add_span_event(name: str, attributes: Mapping[str, str | int | float] | None = None) -> None:
    """Adds an event to the current span if that is sampled."""
    get_current_span().add_event(name, attributes)
