"""The interface between a client and its service: one request in, one reply out.

`Transport` has a single method, as in httpx. The gRPC transport is innermost. The layers of
`resilience` wrap it and have the same method: retry( hedge( breaker( slot( gRPC )))). Each layer
receives the request and the state of its call.
"""

import enum
import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import grpc
from google.protobuf.message import Message

Method = Literal["Classify", "ClassifyBatch", "GetModel"]


class Mode(enum.StrEnum):
    """The caller's priority while the service is unavailable."""

    BATCH = "batch"
    """Lose nothing: calls wait while the breaker is open, and DEADLINE_EXCEEDED is retried."""
    ONLINE = "online"
    """Fail fast: calls fail while the breaker is open, and DEADLINE_EXCEEDED is final."""


@dataclass(slots=True)
class CallState:
    """The state of one call of the client over all its attempts.

    All layers share it and change it. A batch remains one call with one state when some of its
    paragraphs are sent again.

    Args:
        mode: see `Mode`.
        deadline: the latest end of the call, in seconds of the client's clock.
        attempts: number of attempts sent, hedges included.
        unrecovered_failures: number of attempts, hedges included, that failed or had refused
            paragraphs since the last complete reply.
        counted_failures: number of failures that count against `RetryPolicy.attempts`.
        overload_refusals: number of RESOURCE_EXHAUSTED refusals since a part of the call was last
            answered.
        overloaded_since: time of the first of these refusals, in seconds of the client's clock.
            None without a refusal.
        failures_in_a_row: number of consecutive attempts of this request with a status that the
            circuit breaker counts as a failure.
        isolate_after: value of `failures_in_a_row` that ends the call even while it could wait, so
            that the caller can send its parts. None for never.
    """

    mode: Mode = Mode.BATCH
    deadline: float = math.inf
    attempts: int = 0
    unrecovered_failures: int = 0
    counted_failures: int = 0
    overload_refusals: int = 0
    overloaded_since: float | None = None
    failures_in_a_row: int = 0
    isolate_after: int | None = None

    def for_part(self) -> "CallState":
        """The state of a part of this call that is sent separately. Keeps the attempts only."""
        return CallState(self.mode, self.deadline, self.attempts)


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the public API: the name of the method and its protobuf message."""

    method: Method
    message: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request.

    Args:
        message: the protobuf message.
        refused_status: the status of the first refused paragraph. None if no paragraph was refused.
            A paragraph is refused if its status is retryable or means overload.
        pushback_seconds: the wait before a retry that the service asks for. None if it does not
            ask. Negative: do not retry.
    """

    message: Any
    refused_status: grpc.StatusCode | None = None
    pushback_seconds: float | None = None


class Transport(Protocol):
    """Sends requests."""

    async def send(self, request: Request, call: CallState) -> Reply:
        """Send one request and return its reply.

        Raises:
            ServiceError: the request failed.
            asyncio.CancelledError: the caller cancelled the call.
        """
        ...
