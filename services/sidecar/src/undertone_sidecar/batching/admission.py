"""Admission control: refuses requests if the queue is full or the deadline cannot be met."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from undertone_sidecar.batching.correction import CAUTIOUS
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.start import Start
from undertone_sidecar.errors import DeadlineError, OverloadedError, SidecarError

_MIN_RETRY_SECONDS: Final = 0.05
_MAX_RETRY_SECONDS: Final = 10.0

_EFFICIENCY: Final = 0.9
"""Share of its duration that an efficient call spends on tokens instead of overhead."""

_MAX_CALL_SHARE: Final = 0.5
"""Maximum share of a deadline that is reserved for an efficient call instead of the queue."""


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

    def error(self, jitter: float) -> SidecarError:
        """The error for the caller. `jitter` is from 0 to 1, and spreads the retries of callers."""
        if self.reason is RefusalReason.DEADLINE and self.remaining <= 0:
            return DeadlineError("the deadline passed before the paragraph could be scored: set a longer deadline")
        return OverloadedError(str(self), retry_after=self.retry_after * (1 + jitter))


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work that is served before a new request.

    Attributes:
        tokens: Padded tokens of the queued requests of both lanes that are served first.
        lane_tokens: Padded tokens in the queue of the new request's lane that stay there.
        slots: Estimated seconds until each slot for Predict calls may be used.
        starts: Times at which the new request can be sent. Empty if other requests wait.
    """

    tokens: float
    lane_tokens: int
    slots: Sequence[float]
    starts: Sequence[Start] = ()


class AdmissionControl:
    """Bounds the queued tokens, and refuses requests whose deadline cannot be met."""

    def __init__(self, cost: CostModel, limits: BatchLimits) -> None:
        self._cost = cost
        self._limits = limits

    def needs_check(self, tokens: int, lane_tokens: int, *, remaining: float) -> bool:
        """Whether `refusal` could refuse `tokens` more tokens. If not, no forecast is needed."""
        return self._overflows(tokens, lane_tokens) or (self._cost.is_reliable and remaining < math.inf)

    def refusal(self, tokens: int, longest: int, backlog: Backlog, *, remaining: float) -> Refusal | None:
        """The refusal of requests with `tokens` padded tokens. None if they are accepted.

        Args:
            tokens: Padded tokens of the new requests.
            longest: Padded tokens of the longest of them, which can exceed the budget of a call.
            backlog: Work that is served before them.
            remaining: Seconds until the deadline.
        """
        wait = start_seconds(self._work_seconds(backlog.tokens), backlog.slots)
        all_done = start_seconds(self._work_seconds(backlog.tokens + tokens), backlog.slots)
        call = self._call_seconds(tokens, longest, backlog, remaining)
        needed = max(wait + call, all_done)
        # A call that starts when fewer calls are in flight can end earlier.
        for start in backlog.starts:
            call_then = self._call_seconds(tokens, longest, backlog, remaining, start)
            needed = min(needed, start.seconds + max(call_then, self._work_seconds(tokens, at_once=start.at_once)))
        if self._overflows(tokens, backlog.lane_tokens):
            # Half of the queue will be empty then. If all callers came back at once for the first
            # free place, most would fail.
            return Refusal(RefusalReason.QUEUE_FULL, needed, remaining, _clamp(wait / 2))
        if self._cost.is_reliable and needed > remaining:
            # Before a call has ended, there is room for no other request.
            return Refusal(RefusalReason.DEADLINE, needed, remaining, _clamp(max(needed - remaining, call)))
        return None

    def _overflows(self, tokens: int, lane_tokens: int) -> bool:
        """Whether `tokens` more tokens exceed the queue of a lane.

        A request that finds the queue empty is accepted whatever its size, because it will find no
        better moment.
        """
        return lane_tokens > 0 and lane_tokens + tokens > self._limits.queue_tokens

    @property
    def _efficient_tokens(self) -> float:
        """Padded tokens of the smallest efficient call."""
        return min(self._cost.overhead_tokens * _EFFICIENCY / (1 - _EFFICIENCY), self._limits.budget)

    def _work_seconds(self, tokens: float, *, at_once: int | None = None) -> float:
        """Duration of the calls for `tokens` padded tokens, one after the other.

        Deadlines may allow no larger calls than efficient ones.
        """
        return self._cost.seconds(tokens, tokens / max(1.0, self._efficient_tokens), at_once=at_once)

    def _call_seconds(self, tokens: int, longest: int, backlog: Backlog, remaining: float, start: Start | None = None) -> float:
        """Duration of the call that will contain the new requests.

        A call is efficient only if it may take requests from the queue beside the new ones. If
        requests were accepted that leave no time for this, all calls would be short, and their
        overhead would take most of the capacity.
        """
        at_once, confidence = (start.at_once, start.confidence) if start else (None, CAUTIOUS)
        own_tokens = max(longest, min(tokens, self._limits.budget))
        own = self._cost.cautious_seconds(own_tokens, at_once=at_once, confidence=confidence)
        efficient = min(self._efficient_tokens, backlog.tokens + tokens)
        return max(own, min(self._cost.cautious_seconds(efficient, at_once=at_once), _MAX_CALL_SHARE * remaining))


def start_seconds(work: float, slots: Sequence[float]) -> float:
    """Seconds until a slot is free after the slots together have done `work` seconds of calls.

    `slots` are the seconds until each slot is free. The work is divided as evenly as possible.
    """
    ordered = sorted(slots)
    level = ordered[0]
    busy = 0.0
    for count, free in enumerate(ordered, 1):
        busy += free
        level = (work + busy) / count
        if count == len(ordered) or level <= ordered[count]:
            break
    return max(level, ordered[0])


def _clamp(retry_seconds: float) -> float:
    return min(max(retry_seconds, _MIN_RETRY_SECONDS), _MAX_RETRY_SECONDS)
