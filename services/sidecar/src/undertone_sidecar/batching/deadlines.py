"""Decides by the deadlines of requests which batches may be sent."""

import math
from collections.abc import Sequence
from typing import Final

from undertone_sidecar.batching.admission import Refusal, RefusalReason
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.request import Request
from undertone_sidecar.batching.start import Start
from undertone_sidecar.errors import DeadlineError, SidecarError

_RISK_INTERVAL: Final = 1.0
"""Idle time after which the estimate need not be cautious, as a multiple of the request's call."""

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

    def token_limit(self, request: Request, *, start: float, at_once: int) -> float:
        """Maximum padded tokens of a batch that starts at `start` and ends before the deadline.

        `at_once` is the number of calls in flight then, with this one. Less than the request's own
        length if it must wait until fewer calls are in flight. A request that is sent alone does
        not wait.
        """
        if request.deadline == math.inf:
            return math.inf
        limit = self._cost.tokens_within(self.remaining(request.deadline, start), cautious=True, at_once=at_once)
        return max(request.cost, limit) if at_once == 1 or not self._cost.is_reliable else limit

    def allowance(self, tokens: int, idle_seconds: float) -> float:
        """Maximum ratio of the forecast to the remaining time of a request with `tokens` tokens.

        More than 1 if the model server has been idle: a call that may be late costs less than none.
        Infinity if it has been idle for long: the call must correct the forecast.
        """
        seconds = self._cost.seconds(tokens)
        if idle_seconds > _PROBE_INTERVAL * seconds:
            return math.inf
        return self._cost.caution(at_once=1) if idle_seconds > _RISK_INTERVAL * seconds else 1.0

    def reason_to_drop(self, request: Request, now: float, *, starts: Sequence[Start], idle_seconds: float) -> str | None:
        """Why the request must not be sent at any of the times `starts`. None if it may be sent."""
        remaining = self.remaining(request.deadline, now)
        if remaining <= 0:
            return "expired"
        if request.result.done():
            return "cancelled"
        if request.deadline == math.inf or not self._cost.is_reliable:
            return None
        allowed = remaining * self.allowance(request.cost, idle_seconds)
        is_late = all(
            start.seconds + self._cost.cautious_seconds(request.cost, at_once=start.at_once) > allowed for start in starts
        )
        return "late" if is_late else None

    def drop_error(self, request: Request, reason: str, now: float, *, jitter: float) -> SidecarError:
        """The error for a request that is dropped. `jitter` is from 0 to 1."""
        if reason == "expired":
            return DeadlineError("the deadline passed while the paragraph waited for the model server: set a longer deadline")
        needed = self._cost.cautious_seconds(request.cost)
        return Refusal(RefusalReason.DEADLINE, needed, request.deadline - now, retry_after=needed).error(jitter)
