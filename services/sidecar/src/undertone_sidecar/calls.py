"""Counts the calls that run, for the drain."""

import asyncio

from undertone_telemetry.rpc import CallEvent, CallStarted

from undertone_sidecar.events import Listener


class Calls:
    """A listener of the server's calls that passes on what it hears."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._running = 0
        self._begun = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Until no call runs."""
        await self._idle.wait()

    async def quiet(self, seconds: float) -> None:
        """Until no call came for so long, and none runs."""
        while True:
            await self.idle()
            begun = self._begun
            await asyncio.sleep(seconds)
            if begun == self._begun:
                return

    def __call__(self, event: CallEvent) -> None:
        if isinstance(event, CallStarted):
            self._begun += 1
            self._running += 1
            self._idle.clear()
        else:
            self._running -= 1
            if not self._running:
                self._idle.set()
        self._listener(event)
