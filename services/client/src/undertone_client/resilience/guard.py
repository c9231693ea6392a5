"""The circuit breaker's door: callers who can wait do so here, the others are turned away."""

import asyncio
from collections.abc import Awaitable, Callable

from undertone_client.resilience.breaker import BreakerState, CircuitBreaker, Permit
from undertone_client.resilience.events import BreakerChanged, Listener
from undertone_client.resilience.mode import Mode


class BreakerGuard:
    """Lets calls through as the breaker says, and tells `emit` of its changes.

    Of the callers that wait, one keeps the time and becomes the probe; the others wait for what it finds out.
    """

    def __init__(self, breaker: CircuitBreaker, emit: Listener, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._breaker = breaker
        self._emit = emit
        self._sleep = sleep
        self._state = breaker.state
        self._changed = asyncio.Event()
        self._timed = False

    @property
    def state(self) -> BreakerState:
        """That of the breaker."""
        return self._breaker.state

    @property
    def hopeful(self) -> bool:
        """Whether the service does not work now, but those who can wait still should."""
        return self._breaker.state is not BreakerState.CLOSED and self._breaker.patience_left > 0

    async def enter(self, mode: Mode) -> Permit | None:
        """Leave to make a call, which is to be returned with `leave`; None if there is none, or none in time."""
        while (permit := self._breaker.admit()) is None:
            if mode is Mode.ONLINE or self._breaker.patience_left == 0:
                return None
            await self._turn()
        self._tell()
        return permit

    def leave(self, permit: Permit, *, worked: bool | None) -> None:
        """The call is over; `worked` is None if its own caller cancelled it."""
        if worked is None:
            self._breaker.abandon(permit)
        elif worked:
            self._breaker.succeed(permit)
        else:
            self._breaker.fail(permit)
        self._tell()

    async def _turn(self) -> None:
        if self._timed or self._breaker.state is not BreakerState.OPEN:
            await self._changed.wait()
            return
        self._timed = True
        try:
            await self._sleep(min(self._breaker.seconds_to_probe, self._breaker.patience_left))
        finally:
            self._timed = False
            self._wake()  # whether it goes as the probe, was cancelled or gives up: another may have to keep the time

    def _tell(self) -> None:
        previous, self._state = self._state, self._breaker.state
        if self._state is not previous:
            self._emit(BreakerChanged(self._state, previous))
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed.clear()
