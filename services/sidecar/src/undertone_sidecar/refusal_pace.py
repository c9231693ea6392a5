"""Delays refusals while many calls are refused, to slow down callers who retry at once."""

from typing import Final

REFUSALS_PER_SECOND: Final = 50.0
"""Rate of refusals without a delay. A refusal costs about a millisecond of CPU time, which the
model server lacks."""

MAX_DELAY_SECONDS: Final = 0.25
"""Maximum delay. A caller who waits for each refusal sends at most four calls a second."""


class RefusalPace:
    """Plans when refusals are sent: a leaky bucket with a maximum delay."""

    def __init__(self) -> None:
        self._next = float("-inf")

    def delay(self, now: float, remaining: float) -> float:
        """Seconds to wait before the next refusal is sent.

        Args:
            now: Time in seconds.
            remaining: Seconds until the deadline of the call. The delay is at most half of it, so
                that the refusal still arrives.
        """
        planned = max(now, self._next)
        # No refusal waits longer than the maximum, so no plan may be later.
        self._next = min(planned, now + MAX_DELAY_SECONDS) + 1 / REFUSALS_PER_SECOND
        return max(0.0, min(planned - now, MAX_DELAY_SECONDS, remaining / 2))
