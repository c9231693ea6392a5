"""Admission control: refuses requests if the queue is full or the deadline cannot be met."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

from undertone_sidecar.batching.cost import CostModel

_MIN_RETRY_SECONDS: Final = 0.05
_MAX_RETRY_SECONDS: Final = 10.0

_FORECAST_FACTOR: Final = 0.8
"""Factor of the forecast duration. Below 1, only requests that are clearly too late are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Limits of the batcher.

    Attributes:
        budget: Maximum padded tokens of a batch.
        slots: Maximum Predict calls in flight.
        queue_tokens: Maximum padded tokens in the queue of a lane.
        batch_share: Minimum share of all tokens for the batch lane while it has requests, from 0 to
            below 1.
    """

    budget: int
    slots: int
    queue_tokens: int
    batch_share: float


class RefusalReason(Enum):
    """Reason of a refusal."""

    QUEUE_FULL = "queue_full"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request. Times are in seconds from now.

    Attributes:
        reason: Reason of the refusal.
        needed: Forecast of the time until the result.
        remaining: Time until the caller's deadline.
        retry_after: Time after which the caller should retry.
    """

    reason: RefusalReason
    needed: float
    remaining: float
    retry_after: float

    def __str__(self) -> str:
        if self.reason is RefusalReason.QUEUE_FULL:
            return f"the queue is full and needs about {self.needed:.2g} s: retry later"
        return (
            f"the answer needs about {self.needed:.2g} s, but the deadline is in {self.remaining:.2g} s: "
            "retry later, or set a longer deadline"
        )


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work that is served before a new request.

    Attributes:
        tokens: Padded tokens of the queued requests of both lanes that are served first.
        lane_tokens: Padded tokens in the queue of the new request's lane that stay there.
        slot_seconds: Estimated seconds until a slot for a Predict call is free.
    """

    tokens: float
    lane_tokens: int
    slot_seconds: float


class AdmissionControl:
    """Bounds the queued tokens, and refuses requests whose deadline cannot be met."""

    def __init__(self, cost: CostModel, limits: BatchLimits) -> None:
        self._cost = cost
        self._limits = limits

    def needs_check(self, tokens: int, lane_tokens: int, *, remaining: float) -> bool:
        """Whether `refusal` could refuse `tokens` more tokens. If not, the forecast can be skipped.

        A request that finds the queue of its lane empty is always accepted: it will find no better
        moment, and every call improves the forecast.
        """
        return bool(lane_tokens) and (
            lane_tokens + tokens > self._limits.queue_tokens or (self._cost.is_reliable and remaining < math.inf)
        )

    def refusal(self, tokens: int, backlog: Backlog, *, remaining: float) -> Refusal | None:
        """The refusal of requests with `tokens` padded tokens. None if they are accepted.

        Args:
            tokens: Padded tokens of the new requests.
            backlog: Work that is served before them.
            remaining: Seconds until the deadline.
        """
        wait = backlog.slot_seconds + self._drain_seconds(backlog)
        needed = wait + self._cost.seconds(tokens, math.ceil(tokens / self._limits.budget))
        if backlog.lane_tokens + tokens > self._limits.queue_tokens:
            # Half of the queue will be empty then. If all callers came back at once for the first
            # free place, most would fail.
            return Refusal(RefusalReason.QUEUE_FULL, needed, remaining, _clamp(wait / 2))
        if self._cost.is_reliable and _FORECAST_FACTOR * needed > remaining:
            return Refusal(RefusalReason.DEADLINE, needed, remaining, _clamp(needed - remaining))
        return None

    def _drain_seconds(self, backlog: Backlog) -> float:
        return self._cost.seconds(backlog.tokens, backlog.tokens / self._limits.budget) / self._limits.slots


def _clamp(retry_seconds: float) -> float:
    return min(max(retry_seconds, _MIN_RETRY_SECONDS), _MAX_RETRY_SECONDS)
