"""Interceptor that refuses messages which are too large to decode, or cannot be decoded."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from undertone_sidecar.errors import UNDECODABLE, RequestError
from undertone_sidecar.message_limits import Check, check_small

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


@dataclass(frozen=True, slots=True)
class _Undecodable:
    """Takes the place of a message that was refused."""

    reason: str


class DecodeErrorInterceptor(grpc.aio.ServerInterceptor):
    """Answers INVALID_ARGUMENT to undecodable messages, such as texts that are not UTF-8.

    Without it, gRPC answers UNKNOWN with the text of the exception, and logs a traceback. It guards
    unary calls and streams. It must be the innermost interceptor.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        """`checks` are the checks of the encoded messages, by path. The default is check_small."""
        self._checks = checks
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        method = handler_call_details.method
        if method not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None or handler.request_deserializer is None:
                return handler
            # Only existing methods have a handler, so there are only a few.
            self._handlers[method] = _guarded(handler, self._checks.get(method, check_small))
        return self._handlers[method]


def _guarded(handler: "grpc.RpcMethodHandler[Any, Any]", check: Check) -> "grpc.RpcMethodHandler[Any, Any]":
    deserialize: Any = handler.request_deserializer

    def decode(data: bytes) -> Any:
        try:
            check(data)
            return deserialize(data)
        except RequestError as error:
            return _Undecodable(str(error))
        except DecodeError:
            return _Undecodable(UNDECODABLE)

    codecs = {"request_deserializer": decode, "response_serializer": handler.response_serializer}
    if handler.unary_unary:
        return grpc.unary_unary_rpc_method_handler(_guarded_call(handler.unary_unary), **codecs)
    if handler.unary_stream and inspect.iscoroutinefunction(handler.unary_stream):
        return grpc.unary_stream_rpc_method_handler(_guarded_call(handler.unary_stream), **codecs)
    if handler.stream_stream and inspect.isasyncgenfunction(handler.stream_stream):
        return grpc.stream_stream_rpc_method_handler(_guarded_stream(handler.stream_stream), **codecs)
    raise NotImplementedError("the sidecar has no methods of this kind")


def _guarded_call(behaviour: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(request: Any, context: Any) -> Any:
        if isinstance(request, _Undecodable):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, request.reason)
        return await behaviour(request, context)

    return handle


def _guarded_stream(behaviour: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async def decoded() -> AsyncIterator[Any]:
            async for request in requests:
                if isinstance(request, _Undecodable):
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, request.reason)
                yield request

        async for response in behaviour(decoded(), context):
            yield response

    return handle
