"""All exceptions of this package, and what each gRPC status means.

UndertoneError
├── SettingsError              settings that are invalid, found before anything is sent
└── ServiceError               a call that failed
    ├── InvalidParagraphError  the service rejects the paragraph: empty or too long
    ├── OverloadedError        the service has no capacity left, even after the retries
    ├── UnavailableError       the service does not answer, or has no model loaded
    │   ├── CircuitOpenError   the call was not sent: the circuit breaker is open
    │   └── TlsMismatchError   only one side of the connection uses TLS
    ├── DeadlineExceededError  no reply in time
    ├── AccessDeniedError      the caller is not authorized
    ├── NotUndertoneError      another service answers at the target
    └── ServiceFaultError      everything else: a defect of the service or of the network path
"""

import contextlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import grpc

from undertone_client.transport import Mode

PUSHBACK_KEY = "grpc-retry-pushback-ms"


class UndertoneError(Exception):
    """Base class of this package's exceptions."""


class SettingsError(UndertoneError, ValueError):
    """Settings are invalid. The message names the value and the remedy."""


class ServiceError(UndertoneError):
    """A call failed.

    Args:
        status: the gRPC status of the last attempt.
        reason: the explanation that the service gave.
        attempts: number of attempts sent.
        pushback_seconds: the wait before a retry that the service asks for. None if it does not
            ask. Negative: do not retry.
    """

    def __init__(
        self, status: grpc.StatusCode, reason: str, *, attempts: int = 1, pushback_seconds: float | None = None
    ) -> None:
        super().__init__(f"{status.name}: {reason}")
        self.status = status
        self.reason = reason
        self.attempts = attempts
        self.pushback_seconds = pushback_seconds


class InvalidParagraphError(ServiceError):
    """The service rejects the paragraph: it is empty, too long, or not text."""


class OverloadedError(ServiceError):
    """The service has no capacity left, even after the retries."""


class UnavailableError(ServiceError):
    """The service does not answer or has no model loaded, even after the retries."""


class CircuitOpenError(UnavailableError):
    """The call was not sent, because the circuit breaker is open.

    Args:
        attempts: see `ServiceError`.
        failure: the last failure that the breaker counted. Empty if it is unknown.
    """

    def __init__(self, *, attempts: int = 0, failure: str = "") -> None:
        reason = "the circuit breaker is open: recent calls failed, so this one was not sent"
        if failure:
            reason = f"{reason}; the last failure was {failure}"
        super().__init__(grpc.StatusCode.UNAVAILABLE, reason, attempts=attempts)


class TlsMismatchError(UnavailableError):
    """Only one side of the connection uses TLS. Jobs and commands raise it, a `Client` does not.

    Args:
        status, reason, attempts: see `ServiceError`.
        server_uses_tls: whether it is the side of the server.
    """

    def __init__(self, status: grpc.StatusCode, reason: str, *, attempts: int = 1, server_uses_tls: bool) -> None:
        super().__init__(status, reason, attempts=attempts)
        self.server_uses_tls = server_uses_tls


class DeadlineExceededError(ServiceError):
    """No reply came in time."""


class AccessDeniedError(ServiceError):
    """The service does not know the caller, or the caller lacks permission."""


class NotUndertoneError(ServiceError):
    """The server at the target is not an Undertone service, or does not have this method."""


class ServiceFaultError(ServiceError):
    """A defect of the service, or of a component between client and service."""


STATUS_ERRORS: Mapping[grpc.StatusCode, type[ServiceError]] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: InvalidParagraphError,
        grpc.StatusCode.OUT_OF_RANGE: InvalidParagraphError,
        grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
        grpc.StatusCode.UNAVAILABLE: UnavailableError,
        grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
        grpc.StatusCode.UNAUTHENTICATED: AccessDeniedError,
        grpc.StatusCode.PERMISSION_DENIED: AccessDeniedError,
        grpc.StatusCode.UNIMPLEMENTED: NotUndertoneError,
        grpc.StatusCode.NOT_FOUND: NotUndertoneError,
    }
)
"""The exception of each status. Any other status becomes a `ServiceFaultError`."""

RETRYABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED})
"""Statuses that are retried in both modes. CANCELLED comes from the server: a gRPC server that
shuts down sends it for calls that it has not started (grpc/grpc issue 41785). A cancellation by the
caller has no status."""

BREAKER_FAILURES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""Statuses that the circuit breaker counts as failures. Others prove that the service is up.
A server whose queue of pending calls is full sends CANCELLED, too: `GrpcTransport` converts this
case to RESOURCE_EXHAUSTED, which does not count."""

OVERLOAD = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED})
"""Statuses that lower the concurrency limit."""

POISON = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
"""Statuses of a batch that a single paragraph may have caused."""


_TOO_LARGE = "larger than max"
"""Part of gRPC's explanation of a message that exceeds the limit of the server or of the client."""

_MISCONFIGURED = (
    "SSL_ERROR_SSL",
    "CERTIFICATE_VERIFY_FAILED",
    "TSI_PROTOCOL_FAILURE",
    "Hostname Verification Check failed",
    "Trying to connect an http1.x server",
    "Expected SETTINGS frame as the first frame",
)
"""Parts of gRPC's explanations of connections that can never succeed: TLS is used on one side only,
the certificate is not trusted or has another name, or the server does not speak HTTP/2."""

_HTTP_1 = "Trying to connect an http1.x server"

_CONNECTION_PROBLEMS = {
    "Connection refused": "no program listens at this address: start the service, or correct the target",
    "hostname lookup error": "the name of the host is unknown: correct the target",
    _HTTP_1: "the port serves HTTP/1: use the gRPC port of the service, 50051 by default",
}
"""What parts of gRPC's explanations of failed connections mean."""


def is_http_1(error: ServiceError) -> bool:
    """Whether the target is a port for HTTP/1, such as that of the sidecar's JSON."""
    return error.status is grpc.StatusCode.UNAVAILABLE and _HTTP_1 in error.reason


def is_misconfigured(error: ServiceError) -> bool:
    """Whether a connection failed in a way that neither a retry nor time can change."""
    if isinstance(error, TlsMismatchError):
        return True
    return error.status is grpc.StatusCode.UNAVAILABLE and any(part in error.reason for part in _MISCONFIGURED)


def is_retryable(status: grpc.StatusCode, mode: Mode) -> bool:
    """Whether a call that failed with `status` may be retried.

    DEADLINE_EXCEEDED is retryable only in `Mode.BATCH`.
    """
    return status in RETRYABLE or (status is grpc.StatusCode.DEADLINE_EXCEEDED and mode is Mode.BATCH)


def service_error(
    status: grpc.StatusCode, reason: str, *, attempts: int = 1, pushback_seconds: float | None = None
) -> ServiceError:
    """The exception for a status; see `STATUS_ERRORS`."""
    error_type = STATUS_ERRORS.get(status, ServiceFaultError)
    return error_type(status, reason, attempts=attempts, pushback_seconds=pushback_seconds)


def from_rpc(error: grpc.aio.AioRpcError, *, attempts: int = 1) -> ServiceError:
    """The exception for an error of gRPC, with the pushback in its trailers."""
    pushback = pushback_seconds(error.trailing_metadata())
    reason = error.details() or "no details were given"
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in reason:
        # Not overload: the same message is refused again, but a part of it may be accepted.
        return service_error(grpc.StatusCode.INVALID_ARGUMENT, f"the message is too large: {reason}", attempts=attempts)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and "Deadline Exceeded" in reason:  # gRPC's own words
        reason = "no answer within the deadline of the attempt"
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        problem = next((problem for part, problem in _CONNECTION_PROBLEMS.items() if part in reason), None)
        reason = f"{problem} (gRPC: {reason})" if problem else reason
    return service_error(error.code(), reason, attempts=attempts, pushback_seconds=pushback)


def pushback_seconds(trailers: Iterable[tuple[str, str | bytes]] | None) -> float | None:
    """The pushback in the trailers, in seconds. None without pushback. Negative: do not retry.

    A value that is not an integer means "do not retry", as in gRPC's own clients (gRFC A6).
    """
    for key, value in trailers or ():
        if key == PUSHBACK_KEY:
            with contextlib.suppress(ValueError):
                return int(value) / 1000
            return -1.0
    return None
