"""A grpc.aio channel that leads into a fake fleet instead of a socket, through the same client interceptors.

What is kept of grpc.aio: messages go through their serializers; interceptors run in their order, each given a continuation
that returns a call once it has begun; a deadline ends a call with DEADLINE_EXCEEDED; a caller that is cancelled cancels its
call; a call that the server cancelled fails with an AioRpcError instead.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, Self, TypeAlias

import grpc
from undertone_client import Client, Settings
from undertone_client.errors import PUSHBACK_KEY
from undertone_client.resilience import Listener
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from undertone_bench.simulation.fleet import Fleet, Metadata
from undertone_bench.simulation.pod import BrokenCallError

Continuation: TypeAlias = Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]]


class FleetCall(grpc.aio.UnaryUnaryCall[Any, Any]):
    """A call that has begun. `work` gives the reply and its trailers, or raises an AioRpcError."""

    def __init__(self, work: Coroutine[Any, Any, tuple[Any, Metadata]]) -> None:
        self._work = asyncio.ensure_future(work)

    def __await__(self) -> Generator[Any, None, Any]:
        reply, _ = yield from self._work.__await__()
        return reply

    async def trailing_metadata(self) -> Any:
        error = await self._error()
        return self._work.result()[1] if error is None else error.trailing_metadata()

    async def initial_metadata(self) -> Any:
        return grpc.aio.Metadata()

    async def code(self) -> grpc.StatusCode:
        error = await self._error()
        return grpc.StatusCode.OK if error is None else error.code()

    async def details(self) -> str:
        error = await self._error()
        return "" if error is None else error.details() or ""

    def done(self) -> bool:
        return self._work.done()

    def cancelled(self) -> bool:
        return self._work.cancelled()

    def cancel(self) -> bool:
        return self._work.cancel()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._work.add_done_callback(lambda _: callback(self))

    def time_remaining(self) -> float | None:
        return None

    async def wait_for_connection(self) -> None:
        """There is none to be waited for."""

    async def _error(self) -> grpc.aio.AioRpcError | None:
        await asyncio.wait([self._work])
        if self._work.cancelled():
            raise asyncio.CancelledError
        error = self._work.exception()
        if error is None or isinstance(error, grpc.aio.AioRpcError):
            return error
        raise error


class FleetChannel(grpc.aio.Channel):
    """Enough of a channel for a stub; `interceptors` as those given to `grpc.aio.insecure_channel`."""

    def __init__(self, fleet: Fleet, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()) -> None:
        self._fleet = fleet
        self._interceptors = interceptors

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        name = method.rpartition("/")[2]

        async def work(details: grpc.aio.ClientCallDetails, request: Any) -> tuple[Any, Metadata]:
            if request_serializer is not None:
                request_serializer(request)
            try:
                async with asyncio.timeout(details.timeout):
                    return await self._fleet.answer(name, request, [(key, str(value)) for key, value in details.metadata or ()])
            except TimeoutError:
                raise _rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
            except BrokenCallError as error:
                raise _rpc_error(error.status, error.reason, error.pushback_ms) from None

        async def begin(details: grpc.aio.ClientCallDetails, request: Any) -> FleetCall:
            return FleetCall(work(details, request))

        continuation: Continuation = begin
        for interceptor in reversed(self._interceptors):
            assert isinstance(interceptor, grpc.aio.UnaryUnaryClientInterceptor)
            continuation = _intercepted(interceptor, continuation)

        async def through(details: grpc.aio.ClientCallDetails, request: Any) -> tuple[Any, Metadata]:
            call = await continuation(details, request)
            return await call, tuple(await call.trailing_metadata() or ())

        def call(request: Any, *, timeout: float | None = None, metadata: Any = None, **_: Any) -> FleetCall:
            details = grpc.aio.ClientCallDetails(method.encode(), timeout, metadata, None, None)  # type: ignore[arg-type]
            return FleetCall(through(details, request))

        return call

    async def close(self, grace: float | None = None) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await asyncio.Event().wait()

    async def channel_ready(self) -> None:
        """It always is."""

    def unary_stream(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("the Classifier streams nothing")

    stream_unary = stream_stream = unary_stream


class FleetClient(Client):
    """A client whose channel leads into a fleet. Everything between the two is as it is in production."""

    def __init__(self, fleet: Fleet, settings: Settings, *, seed: int = 0, listener: Listener | None = None) -> None:
        self._fleet = fleet
        clock = asyncio.get_running_loop().time
        super().__init__("fleet:1", settings=settings, listener=listener, clock=clock, random=random.Random(seed).random)

    async def __aenter__(self) -> Self:
        self._channel = FleetChannel(self._fleet, self._resilience.interceptors)
        self._open_stub = pb_grpc.ClassifierStub(self._channel)
        return self


def _intercepted(interceptor: grpc.aio.UnaryUnaryClientInterceptor, inner: Continuation) -> Continuation:
    async def outer(details: grpc.aio.ClientCallDetails, request: Any) -> Any:
        return await interceptor.intercept_unary_unary(inner, details, request)

    return outer


def _rpc_error(status: grpc.StatusCode, reason: str, pushback_ms: int | None = None) -> grpc.aio.AioRpcError:
    trailers = grpc.aio.Metadata() if pushback_ms is None else grpc.aio.Metadata((PUSHBACK_KEY, str(pushback_ms)))
    return grpc.aio.AioRpcError(status, grpc.aio.Metadata(), trailers, reason)
