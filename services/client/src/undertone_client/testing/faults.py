"""Scripted faults of the fake service, and the calls that it records."""

from dataclasses import dataclass

import grpc

from undertone_client.transport import Method


@dataclass(frozen=True, slots=True)
class Fault:
    """The end of one call as a whole.

    Args:
        status: the gRPC status. OK answers the call after all.
        reason: the details of the status.
        pushback_ms: pushback in the trailers, in milliseconds. None sends none.
        delay_seconds: time before the call ends. `math.inf` never answers.
    """

    status: grpc.StatusCode
    reason: str = "scripted"
    pushback_ms: int | None = None
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ItemFault:
    """The failure of one paragraph.

    Args:
        status: the gRPC status.
        reason: the details of the status.
        times: number of failures before the paragraph is scored. None fails always.
        pushback_ms: pushback in the trailers of its batch, in milliseconds. None sends none.
    """

    status: grpc.StatusCode
    reason: str = "scripted"
    times: int | None = None
    pushback_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A call that the service received.

    Args:
        method: name of the gRPC method.
        ids: ids of the paragraphs, in order.
        texts: texts of the paragraphs, in order.
        seconds_left: time until its deadline. None without a deadline.
        lane: the lane in its metadata.
    """

    method: Method
    ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    seconds_left: float | None = None
    lane: str = "online"
