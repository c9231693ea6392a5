"""How many calls may run at once, and whether any are unanswered."""

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
        self._changed = threading.Condition()
        self._unanswered = 0

    def wait_answered(self, timeout: float) -> bool:
        """Waits until every call that was let in has its answer; False if some have none after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._unanswered == 0, timeout)

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
            # The place is free once the model has run, so that a caller that has its answer finds it free; the answer itself
            # is under way for a little longer.
            try:
                self._expect_answer(context)
                return behaviour(request, context)
            finally:
                self._places.release()

        return grpc.unary_unary_rpc_method_handler(
            admitted,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _expect_answer(self, context: grpc.ServicerContext) -> None:
        with self._changed:
            self._unanswered += 1
        if not context.add_callback(self._answered):
            self._answered()  # the caller has gone already

    def _answered(self) -> None:
        with self._changed:
            self._unanswered -= 1
            self._changed.notify_all()
