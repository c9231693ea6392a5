"""Reads the bodies of requests, within a limit."""

import grpc
from starlette.requests import Request

from undertone_sidecar.http.calls import CallError


class BodyReader:
    """Reads bodies of at most `max_bytes` bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def read(self, request: Request) -> bytes:
        """The body of a request. Raises CallError if it is too large."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._max_bytes:
                raise CallError(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"the request is larger than {self._max_bytes} bytes: send several smaller requests",
                    http_status=413,
                )
        return bytes(body)
