"""gRPC interceptors that create spans for unary calls and propagate the trace context."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from opentelemetry.trace import SpanKind, Tracer, get_current_span, use_span

from undertone_telemetry.interceptors import Handler, method_path
from undertone_telemetry.tracing.spans import PROPAGATOR, SERVER_ERRORS, method_attributes, server_attributes, set_status

_Details = grpc.aio.ClientCallDetails

_HEALTH_CHECKS = "/grpc.health."


class ClientTracingInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Creates a span for every call of a sampled trace.

    As the innermost interceptor of a channel, it creates a span for each attempt.

    A call outside of a trace, such as a poll of the model server, gets no span and no trace
    context. A call of a trace that is not sampled gets the trace context, so that the server does
    not start a trace.
    """

    def __init__(self, tracer: Tracer, target: str) -> None:
        self._tracer = tracer
        self._server = server_attributes(target)

    async def intercept_unary_unary(
        self, continuation: Callable[[_Details, Any], Any], client_call_details: _Details, request: Any
    ) -> Any:
        parent = get_current_span()
        if not parent.get_span_context().is_valid:
            return await continuation(client_call_details, request)
        if not parent.is_recording():
            return await continuation(_with_context(client_call_details), request)
        name = method_path(client_call_details.method).lstrip("/")
        code = grpc.StatusCode.CANCELLED  # unless the call finishes
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.CLIENT,
            attributes={**method_attributes(name), **self._server},
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
                set_status(span, code, is_error=code is not grpc.StatusCode.OK)
        return call


def _with_context(details: _Details) -> _Details:
    """Adds the current span's trace context to the metadata."""
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    PROPAGATOR.inject(metadata)
    return grpc.aio.ClientCallDetails(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready)


class ServerTracingInterceptor(grpc.aio.ServerInterceptor):
    """Creates a span for every unary call, from receiving the request to sending the status.

    The span is the current one while the handler runs. Health checks get no span: every load
    balancer sends one every second or two. Streams get none either.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.unary_unary is None or method.startswith(_HEALTH_CHECKS):
            return handler
        behaviour: Callable[..., Any] = handler.unary_unary
        parent = PROPAGATOR.extract(dict(handler_call_details.invocation_metadata or ()))
        name = method.lstrip("/")

        async def handle(request: Any, context: Any) -> Any:
            cancelled = False
            span = self._tracer.start_span(name, parent, SpanKind.SERVER, method_attributes(name))

            def finish(rpc: Any) -> None:
                # The code is None if the handler did not set one.
                code = grpc.StatusCode.CANCELLED if cancelled else rpc.code() or grpc.StatusCode.OK
                set_status(span, code, is_error=code in SERVER_ERRORS)
                span.end()

            if span.is_recording():
                context.add_done_callback(finish)
            with use_span(span, record_exception=False, set_status_on_exception=False):
                try:
                    return await behaviour(request, context)
                except asyncio.CancelledError:
                    # The client cancelled the call, or its deadline passed.
                    cancelled = True
                    raise

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )
