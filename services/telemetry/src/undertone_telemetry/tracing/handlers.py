"""Spans of the calls that a server answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from opentelemetry.trace import SpanKind, Tracer, use_span

from undertone_telemetry.tracing.convention import PROPAGATOR, SERVER_FAULTS, attributes_of, name_of, set_code

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

_HEALTH = "/grpc.health."


class HandlerTracer(grpc.aio.ServerInterceptor):
    """A span for every unary call, from being read to its status being on the wire; it is current while the handler runs.

    Health checks come every second or two from every balancer, and are left out; so are streams.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.unary_unary is None or method.startswith(_HEALTH):
            return handler
        behaviour: Callable[..., Any] = handler.unary_unary
        parent = PROPAGATOR.extract(dict(handler_call_details.invocation_metadata or ()))
        name = name_of(method)

        async def traced(request: Any, context: Any) -> Any:
            abandoned = False
            span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes_of(name))

            def end(done: Any) -> None:
                # Only refusals set a code.
                code = grpc.StatusCode.CANCELLED if abandoned else _code(done.code())
                set_code(span, code, fault=code in SERVER_FAULTS)
                span.end()

            if span.is_recording():
                context.add_done_callback(end)
            with use_span(span, record_exception=False, set_status_on_exception=False):
                try:
                    return await behaviour(request, context)
                except asyncio.CancelledError:
                    # The caller left, or its deadline passed.
                    abandoned = True
                    raise

        return grpc.unary_unary_rpc_method_handler(
            traced, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


def _code(code: grpc.StatusCode | None) -> grpc.StatusCode:
    return code or grpc.StatusCode.OK
