"""A server of grpc.aio that accepts calls fast, and survives method names that are not UTF-8.

It uses private parts of grpcio. Import it through grpc_server, which checks the version first.
docs/decisions/0014-own-accept-loop.md has the reasons, and what to check before an upgrade.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias

import grpc.aio
from grpc._cython import cygrpc
from grpc.aio import _server

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_ACCEPTS_PER_METHOD: Final = 64
"""Calls of a method that are accepted in one iteration of the event loop."""

_UNKNOWN: Final = "unknown"

_NOT_UTF_8: Final = "the metadata of the call is not UTF-8: encode it, or use a name that ends in -bin"


class _CallDetails(NamedTuple):
    """What interceptors know about a call."""

    method: str
    invocation_metadata: Any


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
        self._failure: asyncio.Future[None] = cygrpc.get_working_loop().create_future()

    def add_registered_method_handlers(self, method_handlers: Mapping[str, Handler]) -> None:
        self._handlers.update(method_handlers)
        super().add_registered_method_handlers(method_handlers)

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Any]":
        """gRPC calls this once for each registered method, and once for all unknown methods."""
        accepts = 1 if method is None else _ACCEPTS_PER_METHOD
        accepting = asyncio.gather(*(self._accept(method) for _ in range(accepts)))
        accepting.add_done_callback(self._report_failure)
        # When the server stops, gRPC cancels the future, but it may still hand over calls.
        return asyncio.shield(accepting)

    async def _accept(self, method: bytes | None) -> NoReturn:
        """Accepts calls until the server stops.

        Then it raises the error by which gRPC's own loop recognizes a stop. Any other error makes
        gRPC stop the server.
        """
        loop = asyncio.get_running_loop()
        name = _UNKNOWN if method is None else method.decode()
        while self.is_running():
            try:
                call = await (self._request_call() if method is None else self._request_registered_call(method))
            except cygrpc._RequestCallError:
                continue  # The server stops, or gRPC could not accept this call.
            # The outer coroutine listens for a cancellation by the caller, and starts the inner
            # one.
            answer = _refuse(call, loop) if method is None else self._answer(name, call, loop)
            task = loop.create_task(cygrpc._schedule_rpc_coro(_without_traceback(answer), call, loop, name))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            del call, answer, task  # Not kept until the next call.
        raise cygrpc._RequestCallError("the server has stopped")

    def _report_failure(self, accepting: "asyncio.Future[Any]") -> None:
        if accepting.cancelled():
            return
        error = accepting.exception()
        if not isinstance(error, cygrpc._RequestCallError) and error and not self._failure.done():
            self._failure.set_exception(error)

    async def failure(self) -> None:
        """Waits until the server can accept no more calls, and raises the reason."""
        await asyncio.shield(self._failure)

    async def _answer(self, method: str, call: Any, loop: asyncio.AbstractEventLoop) -> None:
        context = _context(call, loop)
        try:
            details = _CallDetails(method, context.invocation_metadata())
        except UnicodeDecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _NOT_UTF_8)
        handler = await self._find_handler(details)
        del details  # The metadata can be large.
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


if TYPE_CHECKING:
    _GrpcServer = grpc.aio.Server
else:
    _GrpcServer = _server.Server


class Server(_GrpcServer):
    """Like the server of grpc.aio.server(), with another accept loop."""

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor], options: Sequence[tuple[str, Any]]) -> None:
        """CallGuard must be the first interceptor."""
        self._loop = cygrpc.get_working_loop()
        self._server = _AcceptLoop(interceptors, options)
        logging.getLogger("grpc._cython.cygrpc").addFilter(_is_not_caused_by_caller)

    async def failure(self) -> None:
        """Waits until the server can accept no more calls, and raises the reason."""
        await self._server.failure()
