"""Additive increase, multiplicative decrease: the limit that listens to failures only."""

from undertone_client.resilience.limit import CallOutcome, checked_bounds


class Aimd:
    """One call more for each round of answers, a share less after an overload (Chiu and Jain, 1989; TCP Reno).

    It fills the service until it refuses, which a service with bounded queues does cheaply. Latency means nothing to it. It
    takes every failure for congestion, so faults that come at random keep it low; `Gradient` does not.

    Args:
        initial: the first value.
        most: the largest value.
        decrease: what is left after an overload, as a share.

    Raises:
        SettingsError: not 1 <= initial <= most.
    """

    def __init__(self, initial: int = 4, most: int = 128, decrease: float = 0.7) -> None:
        checked_bounds(initial, most)
        self._limit = float(initial)
        self._most = most
        self._decrease = decrease
        self._outdated = 0  # attempts under way that were sent before the last decrease, and answer for the old value

    @property
    def value(self) -> int:
        """Calls that may run at once."""
        return int(self._limit)

    def observe(self, rtt: float, in_flight: int, outcome: CallOutcome) -> int:
        """Grows by a part of one with each answer, if all of the limit was in use; shrinks once for all attempts of a time."""
        outdated = self._outdated > 0
        self._outdated = max(0, self._outdated - 1)
        if outcome is CallOutcome.OVERLOAD and not outdated:
            self._limit = max(1.0, self._limit * self._decrease)
            self._outdated = in_flight - 1
        elif outcome is CallOutcome.OK and in_flight >= self.value:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
        return self.value
