"""Statuses of calls as HTTP answers: google.rpc.Status in JSON."""

import math
from collections.abc import Mapping
from typing import Final

from grpc import StatusCode
from starlette.responses import JSONResponse

HTTP_STATUSES: Final[Mapping[StatusCode, int]] = {
    StatusCode.OK: 200,
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
}
"""HTTP status of each gRPC code, as in google/rpc/code.proto."""


def status_response(
    code: StatusCode,
    message: str,
    *,
    http_status: int | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A google.rpc.Status in JSON.

    Args:
        code: The gRPC code.
        message: What is wrong, and what to do.
        http_status: Status of the answer. None takes that of the code.
        retry_after: Seconds until a retry may succeed; see retry_headers.
        headers: Further headers.
    """
    number: int = code.value[0]
    sent = {**(headers or {}), **retry_headers(retry_after)}
    content = {"code": number, "message": message, "details": []}
    return JSONResponse(content, HTTP_STATUSES[code] if http_status is None else http_status, sent)


def retry_headers(seconds: float | None) -> Mapping[str, str]:
    """The header retry-after, rounded up. None sends no header."""
    return {} if seconds is None else {"retry-after": str(math.ceil(seconds))}
