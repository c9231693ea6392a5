"""The slots for Predict calls."""

import logging
import math
from typing import Final

from undertone_sidecar.batching.busy_share import BusyShare
from undertone_sidecar.batching.correction import CAUTIOUS
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.predict_call import PredictCall
from undertone_sidecar.batching.start import Start

_CALLS_PER_SLOT: Final = 100
"""Answered calls after which one of the slots that the model server refused is tried again."""

_MIN_CONFIDENCE: Final = 0.5
_CALL_WEIGHT: Final = 0.1
"""Weight of a call in the mean duration of calls."""

log = logging.getLogger(__name__)


class Slots:
    """Slots for Predict calls. A slot is free when its call has ended.

    A free slot stays empty while a further call would make a call in flight miss a deadline that it
    meets alone.

    The number of slots falls when the model server refuses a call, because its threads are busy. It
    rises by one after each hundred answered calls.
    """

    def __init__(self, maximum: int, cost: CostModel, margin_seconds: float = 0.0) -> None:
        """`margin_seconds` is the time before the deadline of a request at which its call must
        end.
        """
        self._cost = cost
        self._count = self._maximum = maximum
        self._answers_until_more = 0
        self._margin_seconds = margin_seconds
        self._last_end = -math.inf
        self._calls: list[PredictCall] = []
        self._used_seconds = 0.0  # of all slots, up to `_updated_at`
        self._updated_at = 0.0
        self._call_seconds = 0.0
        self._few_busy, self._all_busy = BusyShare(), BusyShare()

    @property
    def free(self) -> int:
        """Number of free slots."""
        return max(0, self._count - len(self._calls))

    @property
    def count(self) -> int:
        """Number of slots now."""
        return self._count

    @property
    def in_flight(self) -> int:
        """Number of calls in flight."""
        return len(self._calls)

    @property
    def are_stuck(self) -> bool:
        """Whether no slot is free and all calls are overdue."""
        return not self.free and all(call.is_overdue for call in self._calls)

    def start(self, call: PredictCall) -> None:
        """Uses a slot for a call."""
        self._advance(call.sent_at)
        call.used_seconds_before = self._used_seconds
        self._calls.append(call)

    def end(self, call: PredictCall, now: float) -> None:
        """Frees the slot of a call."""
        self._advance(now)
        self._calls.remove(call)
        self._last_end = now
        self._call_seconds += (now - call.sent_at - self._call_seconds) * (_CALL_WEIGHT if self._call_seconds else 1.0)

    def mean_calls(self, call: PredictCall, now: float) -> float:
        """Mean number of calls in flight since this one was sent, with this one."""
        self._advance(now)
        seconds = now - call.sent_at
        return (self._used_seconds - call.used_seconds_before) / seconds if seconds > 0 else len(self._calls)

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
        return sorted(self._remaining(call, now) for call in self._calls)

    def remaining_after_next_end(self, now: float) -> list[float]:
        """Estimated remaining seconds of the other calls once the first of them has ended."""
        first, *others = self.remaining_seconds(now)
        return [end - first for end in others]

    def confidence(self, at_once: int, now: float) -> float:
        """Share of the last calls whose duration the estimate of a call must cover.

        From 0.5, if the slot of the last of `at_once` calls was idle recently, to 0.9. A call that
        is late wastes its slot, so it may be as uncertain as the slot is likely to be idle.
        """
        few = at_once <= self._cost.most_few
        (share, calls), seconds = self._shares[0 if few else 1], now - self._updated_at
        busy = share.after(seconds, busy=len(self._calls) >= calls, call_seconds=self._call_seconds)
        idle = (1 - busy) * (1.0 if few else self._cost.gain_of_many)
        return min(max(_MIN_CONFIDENCE, 1 - idle), CAUTIOUS)

    def hold_seconds(self, now: float) -> float:
        """Seconds until a further call breaks no deadline of a call in flight. 0 if it breaks none.

        A deadline is broken if the call in flight meets it, but not beside a further call.
        """
        slowdown = self._cost.slowdown(len(self._calls))
        hold = 0.0
        if slowdown > 1 and self._cost.is_reliable:
            for call in self._calls:
                seconds = self._remaining(call, now)
                if call.first_deadline - self._margin_seconds - now >= slowdown * seconds:
                    continue  # Most calls. The next line visits each request.
                allowed = call.deadline - self._margin_seconds - now
                if seconds <= allowed < slowdown * seconds:
                    hold = max(hold, (slowdown * seconds - allowed) / (slowdown - 1))
        return hold

    def seconds_until_free(self, now: float) -> list[float]:
        """Estimated seconds until each slot may be used, ascending."""
        return sorted([self.hold_seconds(now)] * self.free + self.remaining_seconds(now))

    def starts(self, now: float) -> list[Start]:
        """When a further call can start: once a slot may be used, and after each end of a call."""
        hold, calls = self.hold_seconds(now), len(self._calls)
        times = [(hold, calls + 1)] if self.free else []
        times += ((max(end, hold), calls - ended) for ended, end in enumerate(self.remaining_seconds(now)))
        return [Start(seconds, at_once, self.confidence(at_once, now)) for seconds, at_once in times if at_once <= self._count]

    @property
    def _shares(self) -> tuple[tuple[BusyShare, int], tuple[BusyShare, int]]:
        """The share of the time with few calls in flight, and with calls in all slots."""
        return (self._few_busy, min(self._cost.most_few, self._count)), (self._all_busy, self._count)

    def _remaining(self, call: PredictCall, now: float) -> float:
        return self._cost.remaining_seconds(call.cost, now - call.sent_at, at_once=len(self._calls))

    def _advance(self, now: float) -> None:
        seconds, calls = max(0.0, now - self._updated_at), len(self._calls)
        self._used_seconds += calls * seconds
        for share, needed in self._shares:
            share.add(seconds, busy=calls >= needed, call_seconds=self._call_seconds)
        self._updated_at = max(now, self._updated_at)
