"""Calls of the gRPC server in the same process, on behalf of HTTP requests."""

import re
from collections.abc import Iterator
from typing import Final, TypeVar

import grpc.aio
from google.protobuf.message import Message
from starlette.requests import Request

from undertone_sidecar.call_guard import PUSHBACK
from undertone_sidecar.caller import HTTP_CALLER, caller_of
from undertone_sidecar.scoring import LANE

_Response = TypeVar("_Response", bound=Message)

_TIMEOUT: Final = re.compile("([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

_FORWARDED: Final = {LANE: 64, "traceparent": 128, "tracestate": 512}
"""The headers that become metadata of the call, and their maximum lengths."""

_PRINTABLE: Final = re.compile("[ -~]*")


class CallError(Exception):
    """A call failed, or a request cannot become a call.

    Attributes:
        code: The gRPC code.
        message: What is wrong, and what to do.
        http_status: HTTP status of the answer. None takes that of the code.
        retry_after: Seconds until a retry may succeed. None if a retry is pointless.
    """

    def __init__(
        self, code: grpc.StatusCode, message: str, *, http_status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.retry_after = retry_after


class Calls:
    """Sends unary calls through a channel to the private port of the gRPC server.

    The deadline of a call is the header grpc-timeout of its request. Its lane and its trace context
    are those of the headers with the names of the metadata.
    """

    def __init__(self, channel: grpc.aio.Channel, *, trust_caller_metadata: bool = False) -> None:
        """`trust_caller_metadata` is the argument trust_metadata of caller_of."""
        self._channel = channel
        self._trust_caller_metadata = trust_caller_metadata

    def caller(self, request: Request) -> str:
        """The identity of the caller of a request."""
        metadata = [(name, value) for name, value in request.headers.items()] if self._trust_caller_metadata else ()
        peer = ""
        if request.client:
            peer = f"ipv6:[{request.client.host}]:0" if ":" in request.client.host else f"ipv4:{request.client.host}:0"
        return caller_of(metadata, peer=peer, trust_metadata=self._trust_caller_metadata)

    async def unary(self, request: Request, method: str, message: Message, response: type[_Response]) -> _Response:
        """Calls a method, such as /undertone.v1.Classifier/Classify, for a request.

        Raises:
            CallError: The call failed.
        """
        call = self._channel.unary_unary(
            method, request_serializer=type(message).SerializeToString, response_deserializer=response.FromString
        )
        metadata: tuple[tuple[str, str | bytes], ...] = ((HTTP_CALLER, self.caller(request).encode()), *_forwarded(request))
        try:
            answer: _Response = await call(message, timeout=_timeout_seconds(request), metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise CallError(error.code(), error.details() or "", retry_after=_retry_after(error)) from None
        return answer


def _forwarded(request: Request) -> Iterator[tuple[str, str]]:
    for name, maximum in _FORWARDED.items():
        value = request.headers.get(name)
        if value is not None and len(value) <= maximum and _PRINTABLE.fullmatch(value):
            yield name, value


def _timeout_seconds(request: Request) -> float | None:
    """The header grpc-timeout in seconds. None without it. Raises CallError."""
    value = request.headers.get("grpc-timeout")
    if value is None:
        return None
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise CallError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "the header grpc-timeout is invalid: send at most 8 digits and a unit, for example 500m",
        )
    return int(found[1]) * _SECONDS[found[2]]


def _retry_after(error: grpc.aio.AioRpcError) -> float | None:
    value = error.trailing_metadata().get(PUSHBACK)
    return int(value) / 1000 if value is not None else None
