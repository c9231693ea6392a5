"""Slots of a resource, which callers share fairly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count
from typing import Final

_MIN_REMEMBERED: Final = 1024


class FairSlots:
    """Gives a slot to one waiting task after the other, in fair order.

    The order is that of start-time fair queueing (Goyal, Vin and Cheng, 1996). Each task has a
    cost, in any unit. A task starts, in virtual time, when the previous task of its caller ends, or
    now if that is later. So callers with many tasks get equal shares, and the first task of another
    caller is served next.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._now = 0.0
        self._finish: dict[str, float] = {}
        self._max_remembered = _MIN_REMEMBERED
        self._waiting: list[tuple[float, int, float, asyncio.Future[None]]] = []
        self._arrivals = count()

    @property
    def callers(self) -> int:
        """Number of callers that are remembered."""
        return len(self._finish)

    @asynccontextmanager
    async def slot(self, caller: str, cost: float) -> AsyncIterator[None]:
        """Waits for a slot, and holds it during the block."""
        start = max(self._now, self._finish.get(caller, 0.0))
        self._finish[caller] = start + cost
        if self._free:
            self._free -= 1
            self._advance(start, cost)
        else:
            await self._wait(caller, start, cost)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, caller: str, start: float, cost: float) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (start, next(self._arrivals), cost, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                # A task that was not served is not charged.
                if caller in self._finish:
                    self._finish[caller] -= cost
            else:
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            start, _, cost, granted = heappop(self._waiting)
            if not granted.done():
                self._advance(start, cost)
                granted.set_result(None)
                return
        self._free += 1
        # No task waits, so no caller is ahead of another one.
        self._finish.clear()

    def _advance(self, start: float, cost: float) -> None:
        """Advances the virtual time at the start of a task, and forgets callers that are served.

        The time advances even if new callers arrive all the time, who would otherwise be served
        before the second task of any other caller.
        """
        self._now = max(self._now + cost / (len(self._waiting) + 1), start) if self._waiting else max(self._now, start)
        if len(self._finish) > self._max_remembered:
            self._finish = {caller: finish for caller, finish in self._finish.items() if finish > self._now}
            self._max_remembered = max(_MIN_REMEMBERED, 2 * len(self._finish))
