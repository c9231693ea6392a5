"""Everything that can go wrong, and what the caller is told.

SidecarError
├── ConfigurationError            the operator's mistake: ends the process at start, refuses a new version later
│   ├── SettingsError
│   ├── PortError
│   └── ContractError             contract.json, tokenizer.json or the model server's signature
├── RequestError                  the caller's mistake: wrong again however often it is sent
│   └── ParagraphError            one paragraph of the request; its neighbours are not touched
├── DeadlineError
├── RetryableError                right, but not now: carries when to come back
│   ├── OverloadedError
│   └── UnavailableError
│       ├── ModelServerLostError
│       └── VersionGoneError           the pipeline runs the request again on the version that took over
└── ModelServerError              the model server refused a batch, or answered nonsense

The text of a paragraph never enters a message: messages travel to logs.
"""

from dataclasses import dataclass
from typing import Final

import grpc


class SidecarError(Exception):
    """Base of every error that the sidecar raises on purpose."""


class ConfigurationError(SidecarError):
    """What the operator gave us cannot be served."""


class SettingsError(ConfigurationError):
    """Flags or environment; the message lists every problem found."""


class PortError(ConfigurationError):
    """An address cannot be listened on."""


class ContractError(ConfigurationError):
    """The exported model's files disagree with each other or with the model server."""


class RequestError(SidecarError):
    """The request breaks a rule of the API; the message says which, with the value and the remedy."""


class ParagraphError(RequestError):
    """One paragraph breaks a rule of the API."""


class DeadlineError(SidecarError):
    """The caller's deadline, or the longest time allowed to a model call, is over."""


class RetryableError(SidecarError):
    """The same request may succeed later; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 0.5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OverloadedError(RetryableError):
    """A bounded queue, here or in the model server, is full."""


class UnavailableError(RetryableError):
    """There is no model to ask at the moment."""


class ModelServerLostError(UnavailableError):
    """The model server does not answer on its address, or dropped the connection."""


class VersionGoneError(UnavailableError):
    """The model server no longer serves the version that the batch was made for."""


class ModelServerError(SidecarError):
    """The model server refused a batch, or its answer is not what the contract promises."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a caller is told. `retry_after` is in seconds, None where coming back is pointless."""

    code: grpc.StatusCode
    message: str
    retry_after: float | None = None


_CODES: Final[dict[type[SidecarError], grpc.StatusCode]] = {
    RequestError: grpc.StatusCode.INVALID_ARGUMENT,
    DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
}

_INTERNAL: Final = Status(grpc.StatusCode.INTERNAL, "internal error; the sidecar's log has the cause")


def status_of(error: BaseException) -> Status:
    """The status for an error: its own message for a known error, a fixed one with INTERNAL for any other."""
    for kind in type(error).__mro__:
        if code := _CODES.get(kind):
            return Status(code, str(error), error.retry_after if isinstance(error, RetryableError) else None)
    return _INTERNAL
