"""How many calls may run at once."""

import threading
from collections.abc import Callable
from typing import Any

import grpc

SERVICES = "/tensorflow.serving."


class Admission(grpc.ServerInterceptor):
    """Runs at most `limit` calls of TF Serving's services at once and refuses the next with RESOURCE_EXHAUSTED.

    It is what gRPC's thread quota does in TF Serving (`--grpc_max_threads`). Health checks are not counted: a busy server is
    not a sick one. gRPC's own `maximum_concurrent_rpcs` would count them.
    """

    def __init__(self, limit: int) -> None:
        self._places = threading.BoundedSemaphore(limit)

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(SERVICES):
            return handler
        behaviour = handler.unary_unary
        if behaviour is None:
            return handler

        def admitted(request: Any, context: grpc.ServicerContext) -> Any:
            if not self._places.acquire(blocking=False):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
            try:
                return behaviour(request, context)
            finally:
                self._places.release()

        return grpc.unary_unary_rpc_method_handler(
            admitted,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
