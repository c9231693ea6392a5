"""What the interceptors know of gRPC's calls."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

import grpc

Call = grpc.aio.UnaryUnaryCall[Any, Any]
Details = grpc.aio.ClientCallDetails
Continuation = Callable[[Details, Any], Awaitable[Call]]


async def answered(continuation: Continuation, details: Details, request: Any) -> Call:
    """The call that the layers below make, once it is answered.

    A continuation gives back a call that has merely begun: whoever does not await it learns nothing of its failure, and an
    outer layer would retry nothing. Awaiting it a second time costs nothing. If this is cancelled, so is the call.

    Raises:
        grpc.aio.AioRpcError: it failed.
        asyncio.CancelledError: its own caller cancelled it. A CANCELLED of the server's is an `AioRpcError`.
    """
    call = await continuation(details, request)
    await call
    return call


def method_name(details: Details) -> str:
    """The last part of the method's name, such as `ClassifyBatch`."""
    return _last_part(details.method)


@lru_cache(maxsize=32)
def _last_part(method: str | bytes) -> str:
    # grpc.aio hands interceptors bytes, whatever its type stubs say.
    return (method.decode() if isinstance(method, bytes) else method).rpartition("/")[2]
