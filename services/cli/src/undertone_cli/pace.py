"""Rate and time left of a run."""

import time
from collections import deque
from collections.abc import Callable

from undertone_cli.durations import duration
from undertone_cli.job import Tally

RECENT_SECONDS = 30.0


class Pace:
    """Paragraphs per second of late. What was scored by an earlier run does not count, as it costs nothing now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks = deque([(clock(), 0)])

    def rate(self, tally: Tally) -> float:
        """Paragraphs per second, over the last RECENT_SECONDS."""
        now, done = self._clock(), tally.scored + tally.failed
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, done))
        while len(self._marks) > 1 and now - self._marks[1][0] >= RECENT_SECONDS:
            self._marks.popleft()
        since, before = self._marks[0]
        return (done - before) / (now - since) if now > since else 0.0

    def describe(self, tally: Tally) -> str:
        """Rate and time left in words; the latter only where it can be known."""
        rate = self.rate(tally)
        words = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
        if tally.total is None or rate == 0:
            return words
        return f"{words}, {duration((tally.total - tally.done) / rate)} left"
