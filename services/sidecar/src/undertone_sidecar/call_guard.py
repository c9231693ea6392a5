"""Interceptor that bounds the calls in flight, their bytes, and the time to receive a message."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import grpc.aio
from undertone_telemetry.rpc import CallEvent, CallFinished, CallStarted, Side

from undertone_sidecar.caller import CURRENT_CALLER, caller_of_call
from undertone_sidecar.read_slots import ReadSlots, ReadTimeoutError
from undertone_sidecar.shared_limit import SharedLimit

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

PUSHBACK: Final = "grpc-retry-pushback-ms"
"""Trailer of gRPC's retry design (gRFC A6): milliseconds until the client may retry."""

_RETRY_MILLISECONDS: Final = 500

_STREAMS: Final = "streams of this method"

LARGE_BYTES: Final = 256 * 1024
"""Size of messages that give way to other calls between the steps of their work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """Maximum resources of the calls in flight. They bound the memory of the sidecar.

    Callers share each maximum as in SharedLimit.

    Attributes:
        calls: Unary calls.
        streams: Streams of one method, such as health watches.
        request_bytes: Size of the requests of all unary calls. One call may exceed it.
        reads: Messages that are received at a time.
        read_seconds: Time for a message to arrive completely.
    """

    calls: int = 4096
    streams: int = 512
    request_bytes: int = 32 * 2**20
    reads: int = 48
    read_seconds: float = 10.0


class CallGuard(grpc.aio.ServerInterceptor):
    """Reads the requests of unary calls itself, within limits.

    grpc.aio waits for the request of a unary call forever, and never answers a call that ends
    without a complete message. This must be the outermost interceptor. The others see unary calls.
    """

    def __init__(
        self, limits: CallLimits, listener: Callable[[CallEvent], None], *, trust_caller_metadata: bool = False
    ) -> None:
        """Creates a guard.

        Args:
            limits: Maximum resources.
            listener: Receives the events of the unary calls that do not reach their handler.
            trust_caller_metadata: The argument trust_metadata of caller_of.
        """
        self._listener = listener
        self._trust_caller_metadata = trust_caller_metadata
        self._slots = ReadSlots(limits.reads, limits.read_seconds)
        self._calls = SharedLimit(limits.calls)
        self._bytes = SharedLimit(limits.request_bytes)
        self._streams = defaultdict[str, SharedLimit](lambda: SharedLimit(limits.streams))

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None
        if handler.unary_unary:
            return grpc.stream_unary_rpc_method_handler(
                self._unary(method, handler), response_serializer=handler.response_serializer
            )
        if handler.unary_stream:
            return grpc.stream_stream_rpc_method_handler(
                self._watch(method, handler), response_serializer=handler.response_serializer
            )
        return grpc.stream_stream_rpc_method_handler(
            self._stream(method, handler),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, handler: "grpc.RpcMethodHandler[Any, Any]") -> Callable[..., Any]:
        behaviour: Any = handler.unary_unary
        deserialize: Any = handler.request_deserializer

        async def handle(_: AsyncIterator[bytes], context: _Context) -> Any:
            size = 0
            try:
                caller = self._caller(context)
                CURRENT_CALLER.set(caller)
                with self._counted(self._calls, caller, 1, "calls"):
                    data = await self._read(caller, context)
                    size = len(data)
                    with self._counted(self._bytes, caller, size, "bytes of requests"):
                        if size > LARGE_BYTES:
                            # To copy and to decode a large message takes milliseconds each.
                            await asyncio.sleep(0)
                        request = deserialize(data)
                        del data  # The decoded request has its own copy.
                        return await behaviour(request, context)
            except _RefusedError as refusal:
                self._listener(CallStarted(Side.SERVER, method, size, context.time_remaining()))
                self._listener(CallFinished(Side.SERVER, method, refusal.code.name, 0.0))
                await refusal.abort(context)

        return handle

    def _watch(self, method: str, handler: "grpc.RpcMethodHandler[Any, Any]") -> Callable[..., Any]:
        behaviour: Any = handler.unary_stream
        deserialize: Any = handler.request_deserializer

        async def handle(_: AsyncIterator[bytes], context: _Context) -> None:
            try:
                caller = self._caller(context)
                with self._counted(self._streams[method], caller, 1, _STREAMS):
                    await behaviour(deserialize(await self._read(caller, context)), context)
            except _RefusedError as refusal:
                await refusal.abort(context)

        return handle

    def _stream(self, method: str, handler: "grpc.RpcMethodHandler[Any, Any]") -> Callable[..., Any]:
        behaviour: Any = handler.stream_stream

        async def handle(requests: AsyncIterator[Any], context: _Context) -> AsyncIterator[Any]:
            try:
                with self._counted(self._streams[method], self._caller(context), 1, _STREAMS):
                    async for response in behaviour(requests, context):
                        yield response
            except _RefusedError as refusal:
                await refusal.abort(context)

        return handle

    def _caller(self, context: _Context) -> str:
        return caller_of_call(context, trust_metadata=self._trust_caller_metadata)

    @contextmanager
    def _counted(self, limit: SharedLimit, caller: str, amount: int, name: str) -> Iterator[None]:
        if limit.is_full(amount):
            raise _RefusedError.overloaded(f"{limit.used} {name} are in flight; the limit is {limit.limit}")
        if limit.exceeds_share(caller, amount):
            raise _RefusedError.overloaded(
                f"{limit.used_by(caller)} {name} of this caller are in flight, and {limit.free} of {limit.limit} are free"
            )
        limit.add(caller, amount)
        try:
            yield
        finally:
            limit.remove(caller, amount)

    async def _read(self, caller: str, context: _Context) -> bytes:
        try:
            data = await self._slots.read(caller, context.read)
        except ReadTimeoutError:
            raise _RefusedError(
                # Not DEADLINE_EXCEEDED, which load balancers count as a failure of the server.
                grpc.StatusCode.ABORTED,
                "the request did not arrive completely in time: check the connection, or send smaller batches",
            ) from None
        if data is grpc.aio.EOF:
            raise _RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "the call ended without a complete message: send one message in gRPC's framing",
            )
        message: bytes = data
        return message


class _RefusedError(Exception):
    """The call is answered without its handler."""

    def __init__(self, code: grpc.StatusCode, reason: str, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        self.code = code
        self._reason = reason
        self._trailers = trailers

    @classmethod
    def overloaded(cls, reason: str) -> "_RefusedError":
        trailers = ((PUSHBACK, str(_RETRY_MILLISECONDS)),)
        return cls(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{reason}: retry later", trailers)

    async def abort(self, context: _Context) -> NoReturn:
        await context.abort(self.code, self._reason, trailing_metadata=self._trailers)
        raise AssertionError("abort returned")
