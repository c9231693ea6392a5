"""Decides by the deadlines of requests which batches may be sent."""

import math
from collections.abc import Sequence
from typing import Final

from undertone_sidecar.batching.admission import Refusal, RefusalReason
from undertone_sidecar.batching.correction import CAUTIOUS
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.request import Request
from undertone_sidecar.batching.start import Start
from undertone_sidecar.errors import DeadlineError, SidecarError

_PROBE_INTERVAL: Final = 2.0
"""Idle time after which the forecast refuses no request, as a multiple of the estimated duration of
its call. If the last call was shorter than its estimate, the multiple is of that duration. If all
requests were refused because of a wrong forecast, no call would correct it."""


class Deadlines:
    """Compares the deadlines of requests with the estimated duration of Predict calls."""

    def __init__(self, cost: CostModel, margin_seconds: float) -> None:
        """`margin_seconds` is the time before the deadline of a request at which its call must
        end.
        """
        self._cost = cost
        self._margin_seconds = margin_seconds

    def remaining(self, deadline: float, start: float) -> float:
        """Seconds from `start` in which a call must end."""
        return deadline - self._margin_seconds - start

    def token_limit(self, request: Request, *, start: float, at_once: int, confidence: float = CAUTIOUS) -> float:
        """Maximum padded tokens of a batch that starts at `start` and ends before the deadline.

        `at_once` is the number of calls in flight then, with this one. Less than the request's own
        length if it must wait until fewer calls are in flight. A request that is sent alone does
        not wait. `confidence` is as in Start, for a batch with no other request.
        """
        if request.deadline == math.inf:
            return math.inf
        remaining = self.remaining(request.deadline, start)
        limit = self._cost.tokens_within(remaining, cautious=True, at_once=at_once)
        if limit >= request.cost:
            return limit
        is_sent = at_once == 1 or not self._cost.is_reliable
        if is_sent or self._cost.cautious_seconds(request.cost, at_once=at_once, confidence=confidence) <= remaining:
            return request.cost
        return limit

    def needs_probe(self, tokens: int, idle_seconds: float) -> bool:
        """Whether a request with `tokens` tokens must correct the forecast, whatever it says."""
        seconds = self._cost.seconds(tokens) * min(1.0, self._cost.last_error)
        return idle_seconds > _PROBE_INTERVAL * seconds

    def reason_to_drop(self, request: Request, now: float, *, starts: Sequence[Start], idle_seconds: float) -> str | None:
        """Why the request must not be sent at any of the times `starts`. None if it may be sent."""
        remaining = self.remaining(request.deadline, now)
        if remaining <= 0:
            return "expired"
        if request.result.done():
            return "cancelled"
        if request.deadline == math.inf or not self._cost.is_reliable:
            return None
        if self.needs_probe(request.cost, idle_seconds):
            return None
        is_late = all(
            start.seconds + self._cost.cautious_seconds(request.cost, at_once=start.at_once, confidence=start.confidence)
            > remaining
            for start in starts
        )
        return "late" if is_late else None

    def drop_error(self, request: Request, reason: str, now: float, *, jitter: float) -> SidecarError:
        """The error for a request that is dropped. `jitter` is from 0 to 1."""
        if reason == "expired":
            return DeadlineError("the deadline passed while the paragraph waited for the model server: set a longer deadline")
        needed = self._cost.cautious_seconds(request.cost)
        return Refusal(RefusalReason.DEADLINE, needed, request.deadline - now, retry_after=needed).error(jitter)
