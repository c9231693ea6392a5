"""All exceptions of this package, and the one table from gRPC status codes to them.

UndertoneError
├── SettingsError              settings that cannot work, found before anything is sent
└── ServiceError               a call that failed
    ├── InvalidParagraphError  the service refuses the paragraph: empty, too long
    ├── OverloadedError        the service has no room now, even after the retries
    ├── UnavailableError       nobody answers, or the service has no model now
    ├── DeadlineExceededError  no answer in time
    ├── AccessDeniedError      the caller may not
    ├── NotUndertoneError      something answers, but it is not this service
    └── ServiceFaultError      everything else: a defect there, or on the way
"""

import contextlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import grpc

PUSHBACK_KEY = "grpc-retry-pushback-ms"


class UndertoneError(Exception):
    """Root of this package's exceptions."""


class SettingsError(UndertoneError, ValueError):
    """Settings that cannot work; the message names the value and the remedy."""


class ServiceError(UndertoneError):
    """A call that failed with the gRPC `status`, for the `reason` that the service gave, after `attempts` attempts.

    `pushback_seconds` is how long the service asked to be left alone: None if it did not say, negative for "do not retry".
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
    """The service refuses the paragraph: empty, too long, or not text."""


class OverloadedError(ServiceError):
    """The service has no room now, even after the retries."""


class UnavailableError(ServiceError):
    """Nobody answers at the target, or the service has no model at present, even after the retries."""


class DeadlineExceededError(ServiceError):
    """No answer came in time."""


class AccessDeniedError(ServiceError):
    """The service does not know the caller, or does not let it call."""


class NotUndertoneError(ServiceError):
    """What answers at the target is not Undertone, or does not have this method."""


class ServiceFaultError(ServiceError):
    """A defect of the service, or of something on the way to it."""


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


def service_error(
    status: grpc.StatusCode, reason: str, *, attempts: int = 1, pushback_seconds: float | None = None
) -> ServiceError:
    """The exception that stands for `status`."""
    kind = STATUS_ERRORS.get(status, ServiceFaultError)
    return kind(status, reason, attempts=attempts, pushback_seconds=pushback_seconds)


def from_rpc(error: grpc.aio.AioRpcError, *, attempts: int = 1) -> ServiceError:
    """The exception that stands for a call that failed after so many `attempts`, with the pushback of its trailers."""
    pushback = pushback_seconds(error.trailing_metadata())
    reason = error.details() or "no details were given"
    return service_error(error.code(), reason, attempts=attempts, pushback_seconds=pushback)


def pushback_seconds(trailers: Iterable[tuple[str, str | bytes]] | None) -> float | None:
    """What the trailers say about coming back, in seconds; None if nothing, negative for "do not retry".

    A value that is no integer means "do not retry", as gRPC's own clients have it (gRFC A6).
    """
    for key, value in trailers or ():
        if key == PUSHBACK_KEY:
            with contextlib.suppress(ValueError):
                return int(value) / 1000
            return -1.0
    return None
