"""The limit of concurrent calls."""

import threading
from collections.abc import Callable
from typing import Any

import grpc

TF_SERVING_METHODS = "/tensorflow.serving."


class CallLimiter(grpc.ServerInterceptor):
    """Runs at most `max_threads` - 1 calls of TF Serving's services at once. Further calls fail
    with RESOURCE_EXHAUSTED.

    This reproduces gRPC's thread quota in TF Serving (`--grpc_max_threads`), where one of the
    threads waits for the next call. A call has its thread until its run has ended, also after its
    deadline or its cancellation. GetModelStatus and GetModelMetadata need a thread, too. Health
    checks do not; gRPC's own `maximum_concurrent_rpcs` would count them.
    """

    def __init__(self, max_threads: int) -> None:
        self._slots = threading.BoundedSemaphore(max_threads - 1)

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(TF_SERVING_METHODS):
            return handler
        method = handler.unary_unary
        if method is None:
            return handler

        def limited(request: Any, context: grpc.ServicerContext) -> Any:
            if not self._slots.acquire(blocking=False):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
            # The slot is released before the answer is sent. A client that has its answer can call
            # again at once.
            try:
                return method(request, context)
            finally:
                self._slots.release()

        return grpc.unary_unary_rpc_method_handler(
            limited,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
