"""Spans of the calls that a client makes, and the trace context that travels with them."""

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from opentelemetry.trace import SpanKind, Tracer, get_current_span

from undertone_telemetry.tracing.convention import PROPAGATOR, attributes_of, name_of, server_of, set_code

_Details = grpc.aio.ClientCallDetails


class AttemptTracer(grpc.aio.UnaryUnaryClientInterceptor):
    """A span for every unary call that belongs to a sampled trace; as the innermost interceptor, for every attempt.

    A call outside of all traces passes as it is: looks at the model server are nobody's request. One of a trace that is not
    sampled carries the word that it is not, so that the other side does not begin one of its own.
    """

    def __init__(self, tracer: Tracer, target: str) -> None:
        self._tracer = tracer
        self._server = server_of(target)

    async def intercept_unary_unary(
        self, continuation: Callable[[_Details, Any], Any], client_call_details: _Details, request: Any
    ) -> Any:
        around = get_current_span()
        if not around.get_span_context().is_valid:
            return await continuation(client_call_details, request)
        if not around.is_recording():
            return await continuation(_with_context(client_call_details), request)
        name = name_of(client_call_details.method)
        code = grpc.StatusCode.CANCELLED  # unless it ends otherwise
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.CLIENT,
            attributes={**attributes_of(name), **self._server},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                call = await continuation(_with_context(client_call_details), request)
                try:
                    await call
                    code = grpc.StatusCode.OK
                except grpc.aio.AioRpcError as error:
                    code = error.code()
            finally:
                set_code(span, code, fault=code is not grpc.StatusCode.OK)
        return call


def _with_context(details: _Details) -> _Details:
    """The same call, with the current span's trace context among its metadata."""
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    PROPAGATOR.inject(metadata)
    return grpc.aio.ClientCallDetails(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready)
