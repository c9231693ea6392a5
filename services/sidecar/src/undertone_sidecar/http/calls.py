"""Calls of the gRPC server in the same process, on behalf of HTTP requests."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import grpc.aio
from google.protobuf.message import Message
from starlette.requests import Request

from undertone_sidecar.call_guard import PUSHBACK
from undertone_sidecar.caller import HTTP_CALLER
from undertone_sidecar.http.call_error import CallError
from undertone_sidecar.http.identity import Identity
from undertone_sidecar.scoring import LANE

_Response = TypeVar("_Response", bound=Message)

_TIMEOUT: Final = re.compile("([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

_MAX_SECONDS: Final = 1e9
"""31 years. gRPC's clients overflow with a timeout of several centuries."""

_FORWARDED: Final = {LANE: 64, "traceparent": 128, "tracestate": 512}
"""The headers that become metadata of the call, and their maximum lengths."""

_PRINTABLE: Final = re.compile("[ -~]*")


class Calls:
    """Sends unary calls through a channel to the private port of the gRPC server.

    The deadline of a call is the header grpc-timeout of its request. Its lane and its trace context
    are those of the headers with the names of the metadata.
    """

    def __init__(self, channel: grpc.aio.Channel, identity: Identity) -> None:
        self._channel = channel
        self._identity = identity

    async def unary(self, request: Request, method: str, message: Message, response: type[_Response]) -> _Response:
        """Calls a method, such as /undertone.v1.Classifier/Classify, for a request.

        The end of the caller's connection cancels the call. The body of the request must have been
        read.

        Raises:
            CallError: The call failed.
        """
        start = self._channel.unary_unary(
            method, request_serializer=type(message).SerializeToString, response_deserializer=response.FromString
        )
        caller: tuple[str, str | bytes] = (HTTP_CALLER, self._identity.of(request).encode())
        call = start(message, timeout=_timeout_seconds(request), metadata=(caller, *_forwarded(request)))
        watching = asyncio.create_task(_cancel_on_disconnect(request, call))
        try:
            answer: _Response = await call
        except grpc.aio.AioRpcError as error:
            raise CallError(error.code(), _message(error), retry_after=_retry_after(error)) from None
        except asyncio.CancelledError:
            if not watching.done():
                raise
            raise CallError(grpc.StatusCode.CANCELLED, "the caller closed the connection") from None
        finally:
            watching.cancel()
        return answer


async def _cancel_on_disconnect(request: Request, call: "grpc.aio.UnaryUnaryCall[Any, Any]") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    call.cancel()


def _forwarded(request: Request) -> Iterator[tuple[str, str]]:
    for name, maximum in _FORWARDED.items():
        value = request.headers.get(name)
        if value is not None and len(value) <= maximum and _PRINTABLE.fullmatch(value):  # as Envoy does
            yield name, value


def _timeout_seconds(request: Request) -> float | None:
    """The header grpc-timeout in seconds. None without it. Raises CallError."""
    value = request.headers.get("grpc-timeout")
    if not value:
        return None
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise CallError(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"the header grpc-timeout is {value[:20]!r}: send at most 8 digits and a unit (H, M, S, m, u or n), such as 500m",
        )
    return min(int(found[1]) * _SECONDS[found[2]], _MAX_SECONDS)


def _message(error: grpc.aio.AioRpcError) -> str:
    details = error.details() or ""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and "Deadline Exceeded" in details:  # gRPC's own words
        return "the deadline passed before the answer: set a longer deadline in the header grpc-timeout"
    return details


def _retry_after(error: grpc.aio.AioRpcError) -> float | None:
    value = error.trailing_metadata().get(PUSHBACK)
    return int(value) / 1000 if value is not None else None
