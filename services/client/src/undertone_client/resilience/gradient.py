"""The adaptive limit: as many calls as the service can use, found from latency and overload."""

import math

from undertone_client.resilience.limit import CallOutcome, checked_bounds


class Gradient:
    """Keeps the service busy with a short queue.

    Args:
        initial: the first value.
        most: the largest value.
        tolerance: how many times the best latency is no reason to shrink yet.

    Raises:
        SettingsError: not 1 <= initial <= most.
    """

    def __init__(self, initial: int = 4, most: int = 128, *, tolerance: float = 2.0) -> None:
        checked_bounds(initial, most)
        self._limit = float(initial)
        self._most = most
        self._tolerance = tolerance
        self._best = math.inf
        self._samples = self._overloads = self._peak = 0
        self._seconds = 0.0

    @property
    def value(self) -> int:
        """Calls that may run at once."""
        return int(self._limit)

    def observe(self, rtt: float, in_flight: int, outcome: CallOutcome) -> int:
        """Takes a sample in; the value changes once for about as many samples as it is."""
        if outcome is CallOutcome.IGNORE:
            return self.value
        self._samples += 1
        self._peak = max(self._peak, in_flight)
        if outcome is CallOutcome.OVERLOAD:
            self._overloads += 1
        else:
            self._seconds += rtt
        if self._samples >= max(4, self.value):
            self._adjust()
            self._begin_window()
        return self.value

    def _begin_window(self) -> None:
        self._samples = self._overloads = self._peak = 0
        self._seconds = 0.0

    def _adjust(self) -> None:
        share = self._overloads / self._samples
        limit = self._limit * (1 - share / 2)
        answered = self._samples - self._overloads
        if answered:
            latency = self._seconds / answered
            self._best = min(self._best, latency)
            limit *= max(0.5, min(1.0, self._tolerance * self._best / latency)) if latency else 1.0
        if share <= 0.1 and self._peak >= self.value:
            limit += math.sqrt(self._limit)
        self._limit = max(1.0, min(float(self._most), limit))
