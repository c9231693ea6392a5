"""Events of a client: the input of counters, metrics and progress displays."""

import enum
from collections.abc import Callable
from dataclasses import dataclass

import grpc


class BreakerState(enum.StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    """All attempts are sent."""
    OPEN = "open"
    """No attempt is sent until the next probe is due."""
    HALF_OPEN = "half-open"
    """A probe is in flight. No other attempt is sent."""


@dataclass(frozen=True, slots=True)
class ClientOpened:
    """The client was opened. Carries the concurrency limit and the state of the circuit breaker."""

    limit: int
    breaker: BreakerState


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """An attempt ended.

    Args:
        method: name of the gRPC method, without its service.
        status: gRPC status of the attempt. CANCELLED if the caller cancelled it.
        seconds: duration from sending to the end.
        waited_seconds: time that it waited for a slot.
        refused_status: status of the first refused paragraph. None if no paragraph was refused.
        cancelled: whether the caller cancelled it.
    """

    method: str
    status: grpc.StatusCode
    seconds: float
    waited_seconds: float
    refused_status: grpc.StatusCode | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class AttemptShed:
    """An attempt was not sent, because the circuit breaker is open."""

    method: str


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """An attempt failed with `status`. Attempt number `attempt` follows in `wait_seconds`."""

    method: str
    status: grpc.StatusCode
    attempt: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class HedgeSent:
    """An additional attempt was sent, because the attempt before was not answered in time."""

    method: str


@dataclass(frozen=True, slots=True)
class CallRecovered:
    """A call succeeded, or was split in two, after failures.

    `failures` is the number of attempts that failed or had refused paragraphs. The caller does not
    see them.
    """

    method: str
    failures: int


@dataclass(frozen=True, slots=True)
class ParagraphsScored:
    """`paragraphs` were scored."""

    paragraphs: int


@dataclass(frozen=True, slots=True)
class ParagraphsFailed:
    """`paragraphs` failed with `status` and are not retried."""

    status: grpc.StatusCode
    paragraphs: int


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """The circuit breaker changed from `previous` to `state`."""

    state: BreakerState
    previous: BreakerState


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """The concurrency limit changed from `previous` to `value`."""

    value: int
    previous: int


Event = (
    ClientOpened
    | AttemptFinished
    | AttemptShed
    | RetryScheduled
    | HedgeSent
    | CallRecovered
    | ParagraphsScored
    | ParagraphsFailed
    | BreakerChanged
    | LimitChanged
)
Listener = Callable[[Event], None]
"""Receives events. Called on the event loop during a call: it must be fast and must not raise."""
