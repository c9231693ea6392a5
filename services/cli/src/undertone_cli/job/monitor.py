"""What is known of a run while it goes on: its tally, its throughput over time, and what the client does."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from undertone_client.resilience.stack import ClientState

from undertone_cli.job.tally import Tally
from undertone_cli.job.throughput import Sample, Throughput

TICK_SECONDS = 1.0

State = Callable[[], ClientState]
Watch = Callable[[Tally, State], None]


def ignore(tally: Tally, state: State) -> None:
    """Nobody watches."""


class Monitor:
    """Samples the throughput and tells `watch`, after every change and every TICK_SECONDS without one.

    Args:
        tally: changed by the run.
        throughput: what the folder's earlier runs were like.
        state: tells the client's state.
        seconds: spent by earlier runs.
        watch: see `Run`.
        clock: seconds.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        tally: Tally,
        throughput: Throughput,
        state: State,
        seconds: float,
        *,
        watch: Watch = ignore,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._tally = tally
        self._throughput = throughput
        self._earlier = throughput.paragraphs
        self._state = state
        self._watch = watch
        self._clock = clock
        self._sleep = sleep
        self._origin = clock() - seconds

    @property
    def seconds(self) -> float:
        """Spent by all runs so far."""
        return self._clock() - self._origin

    def changed(self) -> None:
        """The tally has changed, or time has passed."""
        if self._throughput.due(self.seconds):
            self.sample()
        self._watch(self._tally, self._state)

    def sample(self) -> None:
        """Note this moment."""
        state = self._state()
        paragraphs = self._earlier + self._tally.scored + self._tally.failed
        self._throughput.add(Sample(round(self.seconds, 3), paragraphs, state.in_flight, state.limit, state.breaker))

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Time passes inside, whether the tally changes or not."""
        self.sample()
        ticks = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticks.cancel()
            await asyncio.gather(ticks, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await self._sleep(TICK_SECONDS)
            self.changed()
