"""Durations without the time for which the event loop was busy with other work."""

import asyncio
from typing import Final, Self

_TICK_SECONDS: Final = 0.001


class Stopwatch:
    """Measures the duration of a block on the event loop.

    A busy process reads an answer late that arrived in time. Timers that run late show this.

    Attributes:
        seconds: The duration.
        stalled: Seconds of it for which the event loop ran no timers.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stalled = 0.0
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._start = self._loop.time()
        self._schedule()
        return self

    def __exit__(self, *_: object) -> None:
        now = self._loop.time()
        self._timer.cancel()
        self.stalled += max(0.0, now - self._timer.when())
        self.seconds = now - self._start

    def _schedule(self) -> None:
        self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self.stalled += self._loop.time() - self._timer.when()
        self._schedule()
