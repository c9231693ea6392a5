"""The channel interceptor: observes every call that a client makes."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from undertone_telemetry.calls import CallEvent, CallFinished, CallStarted, Side


class ClientObserver(grpc.aio.UnaryUnaryClientInterceptor):
    """Every unary call from being sent to its reply. The innermost of the interceptors sees each attempt by itself."""

    def __init__(self, listener: Callable[[CallEvent], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`listener` is called on the event loop; it must be quick, and must not raise."""
        self._listener = listener
        self._clock = clock

    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        method = _text(client_call_details.method)
        started = self._clock()
        self._listener(CallStarted(Side.CLIENT, method, request.ByteSize(), client_call_details.timeout))
        code, size = grpc.StatusCode.CANCELLED, None
        try:
            call = await continuation(client_call_details, request)
            try:
                response = await call
            except grpc.aio.AioRpcError as error:
                code = error.code()
            else:
                code, size = grpc.StatusCode.OK, response.ByteSize()
            return call
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._listener(CallFinished(Side.CLIENT, method, code.name, self._clock() - started, size))


def _text(method: str | bytes) -> str:
    """gRPC gives interceptors the method as the stub wrote it, or encoded, by its version."""
    return method.decode() if isinstance(method, bytes) else method
