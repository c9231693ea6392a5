"""What happens to calls, told to whoever listens: counts, metrics, a live view."""

from collections.abc import Callable
from dataclasses import dataclass

import grpc

from undertone_client.resilience.breaker import BreakerState


@dataclass(frozen=True, slots=True)
class Opened:
    """The client was opened: with this limit of calls at once, and this circuit breaker."""

    limit: int
    breaker: BreakerState


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """An attempt was answered or failed, after `seconds`; it had waited `waited_seconds` for its slot.

    `method` is the last part of the gRPC method's name. `refused` is the status of paragraphs that an answered batch asks to
    send again, None if there are none. An attempt that its own caller cancelled is CANCELLED, with `cancelled` set.
    """

    method: str
    status: grpc.StatusCode
    seconds: float
    waited_seconds: float
    refused: grpc.StatusCode | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Retried:
    """After failing with `status`, attempt number `attempt` is to follow in `wait_seconds`."""

    method: str
    status: grpc.StatusCode
    attempt: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Hedged:
    """A second attempt was sent beside one that was not answered in time."""

    method: str


@dataclass(frozen=True, slots=True)
class Shed:
    """An attempt was not sent, because the circuit breaker is open."""

    method: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """A call was answered or halved, after `failures` attempts that had failed or refused a part: errors that nobody saw."""

    method: str
    failures: int


@dataclass(frozen=True, slots=True)
class Scored:
    """So many `paragraphs` got their score."""

    paragraphs: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """So many `paragraphs` got no score: for good, with `status`."""

    status: grpc.StatusCode
    paragraphs: int


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """The circuit breaker went from `previous` to `state`."""

    state: BreakerState
    previous: BreakerState


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """From now on `value` calls may run at once."""

    value: int
    previous: int


Event = Opened | AttemptFinished | Retried | Hedged | Shed | Recovered | Scored | Skipped | BreakerChanged | LimitChanged
Listener = Callable[[Event], None]
"""Called on the event loop, in the middle of a call: it must be quick and must not raise."""
