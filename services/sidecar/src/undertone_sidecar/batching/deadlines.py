"""Decides by the deadlines of requests which batches may be sent."""

import math
from typing import Final

from undertone_sidecar.batching.admission import Refusal, RefusalReason
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.request import Request
from undertone_sidecar.errors import DeadlineError, SidecarError

_PROBE_INTERVAL: Final = 3.0
"""Idle time after which the forecast refuses no request, as a multiple of the request's call. If
all requests were refused because of a wrong forecast, no call would correct it."""


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

    def token_limit(self, request: Request, *, start: float) -> float:
        """Maximum padded tokens of a batch that starts at `start` and ends before the deadline.

        At least the request's own length.
        """
        if request.deadline == math.inf:
            return math.inf
        remaining = self.remaining(request.deadline, start)
        return max(request.cost, self._cost.tokens_within(remaining, cautious=True))

    def is_probe(self, tokens: int, idle_seconds: float) -> bool:
        """Whether a request must correct the forecast: the model server has been idle for long."""
        return idle_seconds > _PROBE_INTERVAL * self._cost.seconds(tokens)

    def reason_to_drop(self, request: Request, now: float, *, start: float, idle_seconds: float) -> str | None:
        """Why the request must not be sent at `start`. None if it may be sent."""
        if self.remaining(request.deadline, now) <= 0:
            return "expired"
        if request.result.done():
            return "cancelled"
        if request.deadline == math.inf:
            return None
        tokens = request.cost
        is_late = self._cost.is_reliable and self._cost.cautious_seconds(tokens) > self.remaining(request.deadline, start)
        return "late" if is_late and not self.is_probe(tokens, idle_seconds) else None

    def drop_error(self, request: Request, reason: str, now: float, *, jitter: float) -> SidecarError:
        """The error for a request that is dropped. `jitter` is from 0 to 1."""
        if reason == "expired":
            return DeadlineError("the deadline passed while the paragraph waited for the model server: set a longer deadline")
        needed = self._cost.cautious_seconds(request.cost)
        return Refusal(RefusalReason.DEADLINE, needed, request.deadline - now, retry_after=needed).error(jitter)
