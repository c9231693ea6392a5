"""Scripted faults of the fake service, and the calls that it records."""

from dataclasses import dataclass

import grpc

from undertone_client.transport import Method


@dataclass(frozen=True, slots=True)
class Fault:
    """The scripted result of a whole call.

    Args:
        status: the gRPC status. With OK, the call is answered normally.
        reason: the details of the status.
        pushback_ms: pushback in the trailers, in milliseconds. None sends no pushback.
        delay_seconds: time before the call ends. With `math.inf`, the call is never answered.
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
        pushback_ms: pushback in the trailers of the batch, in milliseconds. None sends no pushback.
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
        seconds_left: time until the deadline of the call. None without a deadline.
        lane: the lane in the metadata of the call.
    """

    method: Method
    ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    seconds_left: float | None = None
    lane: str = "online"
