"""Keeps full garbage collections away from busy times.

Python starts a full collection when enough objects have survived, which is during a burst of calls.
It then visits the objects of all calls and of all modules, and blocks the event loop for 100 ms and
more.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final

_INTERVAL_SECONDS: Final = 10.0
"""Time between two checks whether a full collection is due."""

_MAX_SECONDS: Final = 60.0
"""Time after a full collection at which the next one is due, however many calls are in flight."""

_IDLE_CALLS: Final = 64
"""Maximum calls in flight at which a full collection is due."""

_NEVER: Final = 1_000_000_000
"""A threshold that turns automatic full collections off."""


class FullCollections:
    """Runs full collections when few calls are in flight, and in any case every minute.

    Collections of young objects stay automatic. They take less than a millisecond or two.
    """

    def __init__(
        self,
        calls_in_flight: Callable[[], int],
        *,
        collect: Callable[[], object] = gc.collect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls_in_flight = calls_in_flight
        self._collect = collect
        self._clock = clock
        self._last = clock()

    async def run(self) -> None:
        """Runs until cancelled."""
        young, middle, old = gc.get_threshold()
        # Modules live as long as the process.
        self._collect()
        gc.freeze()
        gc.set_threshold(young, middle, _NEVER)
        try:
            while True:
                await asyncio.sleep(_INTERVAL_SECONDS)
                self.collect_if_due()
        finally:
            gc.set_threshold(young, middle, old)
            gc.unfreeze()

    def collect_if_due(self) -> None:
        """Runs a full collection if few calls are in flight, or none has run for a minute."""
        now = self._clock()
        if self._calls_in_flight() <= _IDLE_CALLS or now - self._last >= _MAX_SECONDS:
            self._collect()
            self._last = now
