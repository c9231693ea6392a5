"""Counts the calls that come in, for the metrics and for the drain."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio

from undertone_sidecar.events import CallFinished, CallStarted, Listener

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class Calls(grpc.aio.ServerInterceptor):
    """Every unary call from being read to its status being on the wire.

    Streams are left out: those of health and reflection last as long as their watchers like.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Until no call runs."""
        await self._idle.wait()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        behaviour: Callable[..., Any] = handler.unary_unary
        method = handler_call_details.method

        async def observed(request: Any, context: Any) -> Any:
            started = time.monotonic()
            self._running += 1
            self._idle.clear()
            self._listener(CallStarted(method))
            context.add_done_callback(lambda done: self._end(method, done, started))
            return await behaviour(request, context)

        return grpc.unary_unary_rpc_method_handler(
            observed,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _end(self, method: str, context: Any, started: float) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()
        # A code is set on a refusal only; a caller who left, or whose deadline passed, cancels the call.
        code: grpc.StatusCode = context.code() or (grpc.StatusCode.CANCELLED if context.cancelled() else grpc.StatusCode.OK)
        self._listener(CallFinished(method, code.name, time.monotonic() - started))
