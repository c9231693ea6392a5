"""Who is refused at once: when too much waits already, or the answer would come too late."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

from undertone_sidecar.batching.bounds import Bounds
from undertone_sidecar.batching.cost import Cost

_SOONEST_SECONDS: Final = 0.05
_LATEST_SECONDS: Final = 10.0

_CERTAINTY: Final = 0.8
"""Refused is only what would come too late even if the model server took this part of the time that it is expected to take."""


class Reason(Enum):
    """Why work was refused."""

    QUEUE_FULL = "queue_full"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Refusal:
    """In seconds: when the answer would have come (`needed`), when the caller would have left (`remaining`), and when to come
    again (`retry_after`)."""

    reason: Reason
    needed: float
    remaining: float
    retry_after: float

    def __str__(self) -> str:
        if self.reason is Reason.QUEUE_FULL:
            return f"the queue is full, and what waits will take {self.needed:.2g} s: come back later"
        return (
            f"the answer would take {self.needed:.2g} s, and the call's deadline is in {self.remaining:.2g} s: "
            "come back later, or allow more time"
        )


@dataclass(frozen=True, slots=True)
class Ahead:
    """What stands before a newcomer: `tokens` and `sequences` that will be served before it, and the tokens `in_line`, its own.

    `running` is the seconds until a slot of the model server is free, as far as can be told.
    """

    tokens: float
    sequences: float
    in_line: int
    running: float


class Admission:
    """A bound on the tokens that wait, and a forecast from the cost of calls so far."""

    def __init__(self, cost: Cost, bounds: Bounds) -> None:
        self._cost = cost
        self._bounds = bounds

    def is_doubtful(self, tokens: int, in_line: int, *, remaining: float) -> bool:
        """Whether work of so many tokens could be refused at all, as `refusal` then tells: where in doubt, it costs a forecast.

        Whoever finds the line empty is taken: it could not come at a better time, and every call improves the forecast.
        """
        return bool(in_line) and (in_line + tokens > self._bounds.waiting or (self._cost.known and remaining < math.inf))

    def refusal(self, tokens: int, ahead: Ahead, *, remaining: float) -> Refusal | None:
        """Why work of so many tokens, whose caller waits for `remaining` seconds more, is not taken; None if it is."""
        waiting = ahead.running + self._drained(ahead)
        needed = waiting + self._cost.seconds(tokens, math.ceil(tokens / self._bounds.budget))
        if ahead.in_line + tokens > self._bounds.waiting:
            # Back when half of the line has gone, so that those who were refused do not all queue for the first free place.
            return Refusal(Reason.QUEUE_FULL, needed, remaining, _bounded(waiting / 2))
        if self._cost.known and _CERTAINTY * needed > remaining:
            return Refusal(Reason.DEADLINE, needed, remaining, _bounded(needed - remaining))
        return None

    def _drained(self, ahead: Ahead) -> float:
        calls = max(ahead.tokens / self._bounds.budget, ahead.sequences / self._bounds.rows)
        return self._cost.seconds(ahead.tokens, calls) / self._bounds.slots


def _bounded(seconds: float) -> float:
    return min(max(seconds, _SOONEST_SECONDS), _LATEST_SECONDS)
