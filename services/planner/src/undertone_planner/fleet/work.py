"""The work of a call, as pods see it: paragraphs with tokens, in a lane."""

import enum
from dataclasses import dataclass
from typing import Final

import grpc


class Lane(enum.Enum):
    """The priority of a call in a pod, as in the metadata undertone-lane."""

    ONLINE = "online"
    """Readers, who wait for the answer."""
    BATCH = "batch"
    """Jobs."""

    __hash__ = object.__hash__  # that of Enum is slow


LANE_KEY: Final = "undertone-lane"
"""Metadata key of a call's lane. Calls without it are in the online lane."""


@dataclass(frozen=True, slots=True)
class Work:
    """A call of `paragraphs` paragraphs with `tokens` padded tokens together."""

    tokens: float
    paragraphs: int = 1
    lane: Lane = Lane.ONLINE


class CallError(Exception):
    """A call failed with this status. `pushback_ms` is sent in the trailers."""

    def __init__(self, status: grpc.StatusCode, reason: str, pushback_ms: int | None = None) -> None:
        super().__init__(f"{status.name}: {reason}")
        self.status = status
        self.reason = reason
        self.pushback_ms = pushback_ms
