"""Reads the bodies of requests, within the limits that CallGuard has for messages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from starlette.requests import ClientDisconnect, Request

from undertone_sidecar.call_guard import CallLimits
from undertone_sidecar.http.call_error import CallError
from undertone_sidecar.http.identity import Identity
from undertone_sidecar.read_slots import ReadSlots, ReadTimeoutError
from undertone_sidecar.shared_limit import SharedLimit


class Bodies:
    """Reads bodies, and bounds their total size while their requests are answered."""

    def __init__(self, identity: Identity, max_bytes: int, limits: CallLimits | None = None) -> None:
        """Creates a reader.

        Args:
            identity: Finds the callers, who share the limits.
            max_bytes: Maximum size of a body.
            limits: Maximum time and total size.
        """
        limits = limits or CallLimits()
        self._identity = identity
        self._max_bytes = max_bytes
        self._slots = ReadSlots(limits.reads, limits.read_seconds)
        self._bytes = SharedLimit(limits.request_bytes)

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which must be answered in the block.

        Raises:
            CallError: The body is too large or too slow, or too many requests are in flight.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and len(announced) < 20 and int(announced) > self._max_bytes:
            raise self._too_large()
        caller = self._identity.of(request)
        try:
            body = await self._slots.read(caller, lambda: self._receive(request))
        except ReadTimeoutError:
            raise CallError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                "the request did not arrive completely in time: check the connection, or send smaller batches",
                http_status=408,
            ) from None
        except ClientDisconnect:
            raise CallError(grpc.StatusCode.CANCELLED, "the caller closed the connection") from None
        if not self._bytes.fits(caller, len(body)):
            raise CallError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._bytes.used} bytes of requests are in flight; the limit is {self._bytes.limit}: retry later",
                retry_after=1.0,
            )
        size = len(body)
        received = [body]
        del body
        self._bytes.add(caller, size)
        try:
            yield received.pop()  # no reference is left here, so that the block can free the body
        finally:
            self._bytes.remove(caller, size)

    async def _receive(self, request: Request) -> bytes:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._max_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> CallError:
        return CallError(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"the request is larger than {self._max_bytes} bytes: send several smaller requests",
            http_status=413,
        )
