"""gRPC interceptors that emit an event at the start and at the end of every unary call."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio

from undertone_telemetry.rpc import CallEvent, CallFinished, CallStarted, Side

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class _EventInterceptor:
    def __init__(self, listener: Callable[[CallEvent], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            listener: Called on the event loop. It must be fast and must not raise.
            clock: Returns seconds.
        """
        self._listener = listener
        self._clock = clock


class ClientEventInterceptor(_EventInterceptor, grpc.aio.UnaryUnaryClientInterceptor):
    """Emits events from sending a request to its reply.

    As the innermost interceptor of a channel, it emits events for each attempt.
    """

    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        method = method_path(client_call_details.method)
        start = self._clock()
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
            self._listener(CallFinished(Side.CLIENT, method, code.name, self._clock() - start, size))


def method_path(method: str | bytes) -> str:
    """The method of a client's call, which is text or bytes depending on gRPC's version."""
    return method.decode() if isinstance(method, bytes) else method


class ServerEventInterceptor(_EventInterceptor, grpc.aio.ServerInterceptor):
    """Emits events from receiving a request to the end of its handler.

    It must be outside of all interceptors that decode messages, because it sees them serialized.
    Streams emit no events: those of health checks and reflection last as long as the client likes.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        behaviour: Callable[..., Any] = handler.unary_unary
        deserialize, serialize = handler.request_deserializer or _identity, handler.response_serializer or _identity
        method = handler_call_details.method

        def deserialize_with_size(data: bytes) -> tuple[Any, int]:
            return deserialize(data), len(data)

        async def handle(request: tuple[Any, int], context: Any) -> bytes:
            message, size = request
            start = self._clock()
            code, reply_size = grpc.StatusCode.CANCELLED, None
            self._listener(CallStarted(Side.SERVER, method, size, context.time_remaining()))
            # Not with context.add_done_callback(): the callback and the call would refer to each
            # other, and keep the memory of each call until the next garbage collection.
            try:
                reply: bytes = serialize(await behaviour(message, context))
                code, reply_size = context.code() or grpc.StatusCode.OK, len(reply)
            except asyncio.CancelledError:
                # The client cancelled the call, or its deadline passed.
                raise
            except BaseException:
                # context.abort() sets the code.
                code = context.code() or grpc.StatusCode.UNKNOWN
                raise
            finally:
                self._listener(CallFinished(Side.SERVER, method, code.name, self._clock() - start, reply_size))
            return reply

        return grpc.unary_unary_rpc_method_handler(handle, request_deserializer=deserialize_with_size)


def _identity(data: bytes) -> bytes:
    return data
