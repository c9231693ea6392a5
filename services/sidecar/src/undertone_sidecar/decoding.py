"""Bytes that are no message of the API: refused as a caller's mistake."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

_UNREADABLE: Final = object()


class Decoding(grpc.aio.ServerInterceptor):
    """Answers INVALID_ARGUMENT to what cannot be decoded, such as text that is not UTF-8.

    gRPC by itself answers UNKNOWN, with the exception's own words, and logs a traceback for each.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None or handler.request_deserializer is None:
            return handler
        behaviour: Callable[..., Any] = handler.unary_unary
        decode = handler.request_deserializer

        def decoded(data: bytes) -> Any:
            try:
                return decode(data)
            except DecodeError:
                return _UNREADABLE

        async def answered(request: Any, context: Any) -> Any:
            if request is _UNREADABLE:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "the request cannot be decoded: send the method's message, with all texts in UTF-8",
                )
            return await behaviour(request, context)

        return grpc.unary_unary_rpc_method_handler(
            answered, request_deserializer=decoded, response_serializer=handler.response_serializer
        )
