"""Interceptor that refuses calls whose bytes cannot be decoded."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

_UNDECODABLE: Final = object()


class DecodeErrorInterceptor(grpc.aio.ServerInterceptor):
    """Answers INVALID_ARGUMENT to undecodable messages, such as texts that are not UTF-8.

    Without it, gRPC answers UNKNOWN with the text of the exception, and logs a traceback.
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
        deserialize = handler.request_deserializer

        def decode(data: bytes) -> Any:
            try:
                return deserialize(data)
            except DecodeError:
                return _UNDECODABLE

        async def handle(request: Any, context: Any) -> Any:
            if request is _UNDECODABLE:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "the request cannot be decoded: send the message of the method, with all texts in UTF-8",
                )
            return await behaviour(request, context)

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=decode, response_serializer=handler.response_serializer
        )
