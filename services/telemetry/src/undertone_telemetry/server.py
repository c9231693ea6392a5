"""The handler wrapper: observes every call that a server answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import grpc.aio

from undertone_telemetry.calls import CallEvent, CallFinished, CallStarted, Side

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


@dataclass(slots=True, eq=False)
class _Reply:
    """A handler's answer on its way to the serializer, which alone learns its size."""

    message: Any
    size: int | None = None


class ServerObserver(grpc.aio.ServerInterceptor):
    """Every unary call from being read to its status being on the wire.

    Streams are left out: those of health and reflection last as long as their watchers like. The outermost of the interceptors
    sees the messages' bytes.
    """

    def __init__(self, listener: Callable[[CallEvent], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`listener` is called on the event loop; it must be quick, and must not raise."""
        self._listener = listener
        self._clock = clock

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        behaviour: Callable[..., Any] = handler.unary_unary
        read, write = handler.request_deserializer or _as_is, handler.response_serializer or _as_is
        method = handler_call_details.method

        def sized(data: bytes) -> tuple[Any, int]:
            return read(data), len(data)

        def written(reply: _Reply) -> bytes:
            data = write(reply.message)
            reply.size = len(data)
            return data

        async def observed(request: tuple[Any, int], context: Any) -> _Reply:
            message, size = request
            started = self._clock()
            abandoned = False
            reply = _Reply(None)

            def end(done: Any) -> None:
                # Only refusals set a code.
                code = grpc.StatusCode.CANCELLED if abandoned else done.code() or grpc.StatusCode.OK
                self._listener(CallFinished(Side.SERVER, method, code.name, self._clock() - started, reply.size))

            self._listener(CallStarted(Side.SERVER, method, size, context.time_remaining()))
            context.add_done_callback(end)
            try:
                reply.message = await behaviour(message, context)
            except asyncio.CancelledError:
                # The caller left, or its deadline passed.
                abandoned = True
                raise
            return reply

        return grpc.unary_unary_rpc_method_handler(observed, request_deserializer=sized, response_serializer=written)


def _as_is(data: bytes) -> bytes:
    return data
