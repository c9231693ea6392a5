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
        self._begun = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Until no call runs."""
        await self._idle.wait()

    async def quiet(self, seconds: float) -> None:
        """Until no call came for so long, and none runs."""
        while True:
            await self.idle()
            begun = self._begun
            await asyncio.sleep(seconds)
            if begun == self._begun:
                return

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
            abandoned = False

            def end(done: Any) -> None:
                # Only refusals set a code.
                code = grpc.StatusCode.CANCELLED if abandoned else done.code() or grpc.StatusCode.OK
                self._end(CallFinished(method, code.name, time.monotonic() - started))

            self._begun += 1
            self._running += 1
            self._idle.clear()
            self._listener(CallStarted(method))
            context.add_done_callback(end)
            try:
                return await behaviour(request, context)
            except asyncio.CancelledError:
                # The caller left, or its deadline passed.
                abandoned = True
                raise

        return grpc.unary_unary_rpc_method_handler(
            observed,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _end(self, finished: CallFinished) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()
        self._listener(finished)
