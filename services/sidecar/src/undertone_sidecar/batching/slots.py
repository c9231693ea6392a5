"""The slots for Predict calls."""

import logging
import math
from typing import Final

from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.predict_call import PredictCall

_CALLS_PER_SLOT: Final = 100
"""Answered calls after which one of the slots that the model server refused is tried again."""

log = logging.getLogger(__name__)


class Slots:
    """Slots for Predict calls. A slot is free when its call has ended.

    The number of slots falls when the model server refuses a call, because its threads are busy. It
    rises by one after each hundred answered calls.
    """

    def __init__(self, maximum: int, cost: CostModel) -> None:
        self._cost = cost
        self._count = self._maximum = maximum
        self._answers_until_more = 0
        self._last_end = -math.inf
        self._calls: list[PredictCall] = []

    @property
    def free(self) -> int:
        """Number of free slots."""
        return max(0, self._count - len(self._calls))

    @property
    def are_stuck(self) -> bool:
        """Whether no slot is free and all calls are overdue."""
        return not self.free and all(call.is_overdue for call in self._calls)

    def start(self, call: PredictCall) -> None:
        self._calls.append(call)

    def end(self, call: PredictCall, now: float) -> None:
        """Frees the slot of a call."""
        self._calls.remove(call)
        self._last_end = now

    def on_answered(self) -> None:
        """The model server has answered a call."""
        self._answers_until_more -= 1
        if self._count < self._maximum and self._answers_until_more <= 0:
            self._count += 1
            self._answers_until_more = _CALLS_PER_SLOT

    def on_refused(self) -> None:
        """The model server has refused a call in flight, because its threads were busy."""
        count = max(1, len(self._calls) - 1)
        if count < self._count:
            log.warning(
                "the model server refused a call: fewer calls run at once; start it with --grpc_max_threads of at least %d",
                self._maximum + 2,
                extra={"model_calls": count},
            )
        self._count = min(self._count, count)
        self._answers_until_more = _CALLS_PER_SLOT

    def idle_seconds(self, now: float) -> float:
        """Seconds since the last call ended. 0 while a call is in flight."""
        return 0.0 if self._calls else now - self._last_end

    def remaining_seconds(self, now: float) -> list[float]:
        """Estimated remaining seconds of each call in flight, ascending."""
        return sorted(self._cost.remaining_seconds(call.cost, now - call.sent_at) for call in self._calls)

    def seconds_until_free(self, now: float) -> list[float]:
        """Estimated seconds until each slot is free, ascending."""
        return [0.0] * self.free + self.remaining_seconds(now)
