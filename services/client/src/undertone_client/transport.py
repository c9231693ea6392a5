"""The seam between a client and its service: one request in, one reply out.

`Transport` has one method, as httpx's transports do. The gRPC transport is innermost; the layers of
`resilience` wrap it and have the same method: retry( hedge( breaker( slot( gRPC )))). Each layer is
given the request and the state of the call that it belongs to.
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
    """Lose nothing: calls wait for the circuit breaker to close and are retried after
    DEADLINE_EXCEEDED."""
    ONLINE = "online"
    """Fail fast: calls fail while the circuit breaker is open, and DEADLINE_EXCEEDED is final."""


@dataclass(slots=True)
class CallState:
    """The state of one call of the client over all its attempts.

    Shared by all layers and changed by them. A batch whose paragraphs are sent again in part is one
    call with one state.

    Args:
        mode: see `Mode`.
        deadline: the latest end of the call, in seconds of the client's clock.
        attempts: number of attempts sent, hedges included.
        unrecovered_failures: number of attempts that failed or refused paragraphs since the last
            complete reply, hedges included.
        counted_failures: number of failures that count against `RetryPolicy.attempts`.
        overload_refusals: number of RESOURCE_EXHAUSTED refusals since a part of the call was last
            answered.
        overloaded_since: time of the first of these refusals, in seconds of the client's clock.
            None if there is none.
    """

    mode: Mode = Mode.BATCH
    deadline: float = math.inf
    attempts: int = 0
    unrecovered_failures: int = 0
    counted_failures: int = 0
    overload_refusals: int = 0
    overloaded_since: float | None = None

    def for_part(self) -> "CallState":
        """The state of a part of this call that is sent separately: attempts, but no failures."""
        return CallState(self.mode, self.deadline, self.attempts)


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the public API."""

    method: Method
    message: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request.

    Args:
        message: the protobuf message.
        refused: the status of the first paragraph that the service refused for now. None if it
            refused none.
        pushback_seconds: the service's earliest time for a retry. None if it gave none, negative
            for "do not retry".
    """

    message: Any
    refused: grpc.StatusCode | None = None
    pushback_seconds: float | None = None


class Transport(Protocol):
    """Sends requests."""

    async def send(self, request: Request, call: CallState) -> Reply:
        """Send one request and return its reply.

        Raises:
            ServiceError: the service did not answer with a reply.
            asyncio.CancelledError: the caller cancelled the call.
        """
        ...
