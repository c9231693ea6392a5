"""All errors of the sidecar, and their gRPC status codes.

SidecarError
├── ConfigurationError            operator error: ends the process at start, or refuses a version
│   ├── SettingsError
│   ├── PortError
│   ├── DependencyError
│   └── ContractError             contract.json, tokenizer.json or the model server's signature
├── RequestError                  caller error: a retry fails again
│   └── ParagraphError            one paragraph of a call; does not affect the other paragraphs
├── ModelNotFoundError            the call names a model or a version that is not served
├── DeadlineError
├── RetryableError                a retry may succeed; carries the time to wait
│   ├── OverloadedError
│   └── UnavailableError
│       ├── ModelServerLostError
│       └── VersionGoneError      the pipeline retries with the new version
└── ModelServerError              the model server refused a batch, or its response is invalid

Messages must not contain the text of a paragraph, because they are logged.
"""

from dataclasses import dataclass
from typing import Final

import grpc

SHUTTING_DOWN: Final = "the sidecar is shutting down: retry, another replica will answer"

UNDECODABLE: Final = "the request cannot be decoded: send the message of the method, with all texts in UTF-8"


class SidecarError(Exception):
    """Base class."""


class ConfigurationError(SidecarError):
    """Something that the operator configured is invalid."""


class SettingsError(ConfigurationError, ValueError):
    """Invalid flags or environment variables. The message lists every problem, one per line."""


class PortError(ConfigurationError):
    """A port cannot be opened."""


class DependencyError(ConfigurationError):
    """A library has a version that the sidecar does not support."""


class ContractError(ConfigurationError):
    """The files of the exported model disagree with each other or with the model server."""


class RequestError(SidecarError):
    """The call violates a rule of the API. The message contains the value and the remedy."""


class ParagraphError(RequestError):
    """One paragraph violates a rule of the API."""


class ModelNotFoundError(SidecarError):
    """The model or the version that the caller names is not served."""


class DeadlineError(SidecarError):
    """The caller's deadline or the time limit of a Predict call has passed."""


class RetryableError(SidecarError):
    """A retry may succeed after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float = 0.5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OverloadedError(RetryableError):
    """A queue of the sidecar or of the model server is full, or a deadline cannot be met."""


class UnavailableError(RetryableError):
    """No model is available at the moment, or the sidecar is shutting down."""


class ModelServerLostError(UnavailableError):
    """The model server does not respond, or closed the connection."""


class VersionGoneError(UnavailableError):
    """The model server no longer serves the version of a batch."""


class ModelServerError(SidecarError):
    """The model server refused a batch, or its response violates the contract."""


@dataclass(frozen=True, slots=True)
class Status:
    """Status for a caller. `retry_after` is in seconds, None if a retry is pointless."""

    code: grpc.StatusCode
    message: str
    retry_after: float | None = None


_CODES: Final[dict[type[SidecarError], grpc.StatusCode]] = {
    RequestError: grpc.StatusCode.INVALID_ARGUMENT,
    ModelNotFoundError: grpc.StatusCode.NOT_FOUND,
    DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
}

_INTERNAL: Final = Status(grpc.StatusCode.INTERNAL, "internal error: see the log of the sidecar")


def status_of(error: BaseException) -> Status:
    """The status of an error. Errors that are not in the table are INTERNAL."""
    for kind in type(error).__mro__:
        if code := _CODES.get(kind):
            return Status(code, str(error), error.retry_after if isinstance(error, RetryableError) else None)
    return _INTERNAL
