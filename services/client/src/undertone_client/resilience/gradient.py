"""The adaptive limit: as many calls as the service can use, found from latency and overload."""

import math

from undertone_client.resilience.limit import CallOutcome, checked_bounds

LEAST_SAMPLES = 4
"""A window has as many samples as the limit, which is about one round trip, but no fewer than this: latency is noisy."""
FIRST_LOOK, LOOK_EVERY, LOOK_MOST = 10, 50, 200
"""After so many windows the best latency is measured anew, at a quarter of the limit; each time that it is found as it was, the
next look is twice as far away, up to the most: a look costs a round trip at a quarter of the throughput."""
SAME_LATENCY = 0.15
"""Share by which two measurements of the best latency may differ and still be the same."""
QUEUE_SEEN = 1.5
"""Latency of a window, in terms of the best, at which there is a queue, and doubling ends."""
TOLERATED_FAILURES = 0.1
"""Share of overloads in a window, less what may be bad luck, that does not keep the limit from growing."""
OVERLOAD_DECREASE = 0.3
"""How much of the limit is taken away if all of a window's attempts met overload."""


class Gradient:
    """Keeps the service busy, with a queue that is short but never empty.

    Once a window, the limit is multiplied by `tolerance` * best latency / latency of the window (between a half and one), and
    grows by its square root. It comes to rest where the service takes about `tolerance` times as long as when it is idle: all
    of its capacity is used then, and more calls would only wait in its queue. This is TCP FAST's rule (Wei et al., 2006),
    which grew out of Vegas (Brakmo and Peterson, 1995), with windows of means instead of single least values, and the
    tolerance and the square root of Netflix's Gradient2.

    What it does otherwise than those:

    - The best latency is forgotten now and then and measured anew, at a quarter of the limit for one window, so that no queue
      of our own is measured. A service that has become slower for good is not starved, and one that is busy does not seem
      slower and slower, as with a long-term mean, under which the limit would creep up.
    - Overload shrinks it by the share of the window that met it (as in DCTCP, RFC 8257), so that one fault in twenty, which is
      no congestion, costs less than a window's growth. Close to where overload was met last, it grows by one at a time.
    - It doubles with each window until the first queue or overload is seen (TCP's slow start), so that the square roots keep no
      large fleet waiting.
    - It grows only if all of it was in use, and shrinks down to 1: a service of one small pod needs no more.

    Args:
        initial: the first value.
        most: the largest value.
        tolerance: times the best latency that the service may take without the limit being lowered; more than 1.

    Raises:
        SettingsError: not 1 <= initial <= most.
    """

    def __init__(self, initial: int = 4, most: int = 128, *, tolerance: float = 2.0) -> None:
        checked_bounds(initial, most)
        self._limit = float(initial)
        self._most = float(most)
        self._tolerance = tolerance
        self._best = math.inf
        self._ceiling = math.inf  # where overload was met last
        self._outdated = 0  # attempts under way that were sent under another limit, and tell of that one
        self._starting = True
        self._windows_to_look = FIRST_LOOK
        self._look_every = LOOK_EVERY
        self._resumed: float | None = None  # the limit that follows a look; None unless looking
        self._samples = self._overloads = self._peak = 0
        self._seconds = 0.0

    @property
    def value(self) -> int:
        """Calls that may run at once."""
        return int(self._limit)

    def observe(self, rtt: float, in_flight: int, outcome: CallOutcome) -> int:
        """Takes a sample in. The value changes at most once in two round trips: one passes before a change is felt."""
        if self._outdated:
            self._outdated -= 1
        elif outcome is not CallOutcome.IGNORE:
            self._samples += 1
            self._peak = max(self._peak, in_flight)
            if outcome is CallOutcome.OVERLOAD:
                self._overloads += 1
            else:
                self._seconds += rtt
            if self._samples >= max(LEAST_SAMPLES, self.value):
                before = self.value
                self._adjust()
                if self.value != before:
                    self._outdated = in_flight - 1
                self._samples = self._overloads = self._peak = 0
                self._seconds = 0.0
        return self.value

    def _adjust(self) -> None:
        answered = self._samples - self._overloads
        latency = self._seconds / answered if answered else math.inf
        share = self._overloads / self._samples
        if self._resumed is not None:
            self._limit, self._resumed = self._resumed, None
            if answered:
                same = abs(latency - self._best) <= SAME_LATENCY * self._best
                self._look_every = min(LOOK_MOST, 2 * self._look_every) if same else LOOK_EVERY
                self._windows_to_look = self._look_every
                self._best = latency
            return
        self._best = min(self._best, latency)
        if self._overloads or latency > QUEUE_SEEN * self._best:
            self._starting = False
        limit = self._limit * (1 - OVERLOAD_DECREASE * share)
        if answered and latency > 0:
            limit *= min(1.0, max(0.5, self._tolerance * self._best / latency))
        luck = 1.5 * math.sqrt(share * (1 - share) / self._samples)
        if share - luck > TOLERATED_FAILURES:
            self._ceiling = self._limit
        elif self._peak >= self.value:
            limit += self._step()
        self._limit = min(self._most, max(1.0, limit))
        self._windows_to_look -= 1
        if self._windows_to_look == 0:
            self._windows_to_look = self._look_every
            self._resumed, self._limit = self._limit, max(1.0, self._limit / 4)

    def _step(self) -> float:
        if self._starting:
            return self._limit
        if self._limit > self._ceiling:
            self._ceiling = math.inf  # it holds now
        return 1.0 if self._limit > 0.7 * self._ceiling else math.sqrt(self._limit)
