"""What a fake service is told to do wrong, and what it remembers of its callers."""

from dataclasses import dataclass
from typing import Literal

import grpc

Method = Literal["Classify", "ClassifyBatch", "GetModel"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A call that fails as a whole after `delay_seconds`, with the pushback trailer if one is given.

    With OK it is answered after all: slow with a delay, and never with `math.inf`, until its caller gives up.
    """

    status: grpc.StatusCode
    reason: str = "scripted"
    pushback_ms: int | None = None
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ItemFault:
    """A paragraph that fails within its batch. `times` is how often, before it is scored after all; None is always.

    `pushback_ms` is sent as trailer of the batch that it fails in.
    """

    status: grpc.StatusCode
    reason: str = "scripted"
    times: int | None = None
    pushback_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the service saw it: the paragraphs' ids and texts in order, the seconds that its deadline left, its lane."""

    method: Method
    ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    seconds_left: float | None = None
    lane: str = "online"
