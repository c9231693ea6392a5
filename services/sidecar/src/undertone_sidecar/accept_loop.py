"""A server of grpc.aio that accepts calls fast, and survives method names that are not UTF-8."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, cast

import grpc.aio
from grpc._cython import cygrpc
from grpc.aio import _server

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_ACCEPTS_PER_METHOD: Final = 64
"""Calls of a method that are accepted in one iteration of the event loop."""

_UNKNOWN: Final = "unknown"


class _CallDetails:
    """What interceptors know about a call. The metadata is decoded only if one asks for it."""

    def __init__(self, method: str, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        self.method = method
        self._context = context

    @property
    def invocation_metadata(self) -> Any:
        return self._context.invocation_metadata()


class _AcceptLoop(cygrpc.AioServer):  # type: ignore[misc]
    """Replaces the loop of grpc.aio that accepts calls, which has three faults.

    - It decodes the names of unknown methods. A name that is not UTF-8 ends the loop, and with it
      the server. Here, all methods are registered, and other names are not decoded.
    - It accepts one call of a method in each iteration of the event loop. During an overload, calls
      then wait in gRPC, where nothing can refuse them.
    - It creates reference cycles, so that the memory of a call stays until the next full garbage
      collection.
    """

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor], options: Sequence[tuple[str, Any]]) -> None:
        # gRPC calls no interceptors itself, because it finds no handler itself.
        super().__init__(cygrpc.get_working_loop(), None, (), (), tuple(options), None)
        self._handlers: dict[str, Handler] = {}
        self._find_handler = _chained(interceptors, self._handlers)
        self._calls: set[asyncio.Task[None]] = set()

    def add_registered_method_handlers(self, method_handlers: Mapping[str, Handler]) -> None:
        self._handlers.update(method_handlers)
        super().add_registered_method_handlers(method_handlers)

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Any]":
        """gRPC calls this once for each registered method, and once for all unknown methods."""
        accepts = 1 if method is None else _ACCEPTS_PER_METHOD
        return asyncio.gather(*(self._accept(method) for _ in range(accepts)))

    async def _accept(self, method: bytes | None) -> None:
        """Accepts calls until the server stops. Requesting a call then fails with gRPC's error."""
        loop = asyncio.get_running_loop()
        name = _UNKNOWN if method is None else method.decode()
        while True:
            call = await (self._request_call() if method is None else self._request_registered_call(method))
            # The outer coroutine listens for a cancellation by the caller, and starts the inner
            # one.
            answer = _refuse(call, loop) if method is None else self._answer(name, call, loop)
            task = loop.create_task(cygrpc._schedule_rpc_coro(_without_traceback(answer), call, loop, name))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _answer(self, method: str, call: Any, loop: asyncio.AbstractEventLoop) -> None:
        handler = await self._find_handler(_CallDetails(method, _context(call, loop)))
        if not handler.request_streaming:
            raise NotImplementedError("CallGuard reads the requests of unary calls")
        if handler.response_streaming:
            await cygrpc._handle_stream_stream_rpc(handler, call, loop)
        else:
            await cygrpc._handle_stream_unary_rpc(handler, call, loop)


async def _without_traceback(answer: Awaitable[None]) -> None:
    """Removes the traceback of gRPC's AbortError, which refers to the call that keeps the error."""
    try:
        await answer
    except grpc.aio.AbortError as error:
        aborted = error
    else:
        return
    del answer
    aborted.__context__ = None
    try:
        raise aborted.with_traceback(None)
    finally:
        del aborted


async def _refuse(call: Any, loop: asyncio.AbstractEventLoop) -> None:
    await _context(call, loop).abort(grpc.StatusCode.UNIMPLEMENTED, "this method does not exist")


def _context(call: Any, loop: asyncio.AbstractEventLoop) -> Any:
    return cygrpc._ServicerContext(call, None, None, loop)


def _chained(interceptors: Sequence[grpc.aio.ServerInterceptor], handlers: Mapping[str, Handler]) -> Any:
    """The function that finds the handler of a call, through all interceptors."""

    async def find(details: grpc.HandlerCallDetails) -> Handler:
        return handlers[details.method]

    chained: Any = find
    for interceptor in reversed(interceptors):
        chained = partial(interceptor.intercept_service, chained)
    return chained


def _is_not_caused_by_caller(record: logging.LogRecord) -> bool:
    """A filter of gRPC's log.

    gRPC logs a traceback if a call ends, by its deadline or its caller, while the server sends the
    status, and for metadata that is not UTF-8.
    """
    error = record.exc_info[0] if record.exc_info else None
    return error is None or not issubclass(error, cygrpc.ExecuteBatchError | UnicodeDecodeError)


class _Server(_server.Server):
    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor], options: Sequence[tuple[str, Any]]) -> None:
        self._loop = cygrpc.get_working_loop()
        self._server = _AcceptLoop(interceptors, options)


def server(interceptors: Sequence[grpc.aio.ServerInterceptor], options: Sequence[tuple[str, Any]]) -> grpc.aio.Server:
    """Like grpc.aio.server(), with another accept loop. CallGuard must be the first interceptor."""
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_not_caused_by_caller)
    return cast("grpc.aio.Server", _Server(interceptors, options))
