"""The slots that attempts take: the enforcement of a limit."""

import asyncio
from collections import deque

from undertone_client.resilience.events import LimitChanged, Listener
from undertone_client.resilience.limit import CallOutcome, Limit
from undertone_client.resilience.workload import Workload


class Slots:
    """As many as the limit says; who finds none waits, first come, first served.

    Args:
        limit: the algorithm.
        emit: hears of each change of the limit.
    """

    def __init__(self, limit: Limit, emit: Listener) -> None:
        self._limit = limit
        self._emit = emit
        self._workload = Workload()
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def in_flight(self) -> int:
        """Slots that are taken. More than the limit, for a while, after it has shrunk."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Attempts that wait for a slot."""
        return len(self._waiters)

    @property
    def limit(self) -> int:
        """Slots that there are."""
        return self._limit.value

    async def acquire(self) -> None:
        """Wait for a slot and take it."""
        if self._in_flight < self._limit.value and not self._waiters:
            self._in_flight += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._waiters.remove(waiter)
            else:  # it was handed a slot in the very moment
                self._give_back()
            raise

    def release(self, seconds: float, work: int, outcome: CallOutcome) -> None:
        """Give back the slot of an attempt that took `seconds` for so much `work`; without work, its latency tells nothing."""
        if outcome is CallOutcome.OK and work == 0:
            outcome = CallOutcome.IGNORE
        rtt = self._workload.typical(seconds, work) if outcome is CallOutcome.OK else seconds
        before = self._limit.value
        value = self._limit.observe(rtt, self._in_flight, outcome)
        self._give_back()
        if value != before:
            self._emit(LimitChanged(value, before))

    def _give_back(self) -> None:
        self._in_flight -= 1
        while self._waiters and self._in_flight < self._limit.value:
            self._in_flight += 1
            self._waiters.popleft().set_result(None)
