"""Bounds the memory and the time of messages that have not arrived completely."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from undertone_sidecar.shared_limit import SharedLimit

_Message = TypeVar("_Message")

_MIN_SECONDS: Final = 1.0


class ReadTimeoutError(Exception):
    """The message did not arrive in time."""


class ReadSlots:
    """Receives at most `slots` messages at a time. Callers share the slots as in SharedLimit.

    gRPC buffers a message until it is complete. A complete message needs a slot for less than a
    millisecond. A message that arrives slowly loses its slot after `seconds`. If calls wait for a
    slot, slow messages of the callers with the most slots give way after `min_seconds`. Free slots
    go to the waiting callers in turn.
    """

    def __init__(self, slots: int, seconds: float, *, min_seconds: float = _MIN_SECONDS) -> None:
        self._slots = SharedLimit(slots)
        self._seconds = seconds
        self._min_seconds = min(min_seconds, seconds)
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._started: dict[asyncio.Timeout, tuple[float, str]] = {}
        self._eviction: asyncio.TimerHandle | None = None

    async def read(self, caller: str, receive: Callable[[], Awaitable[_Message]]) -> _Message:
        """Receives a message of a caller. Raises ReadTimeoutError."""
        if caller not in self._waiting and self._slots.fits(caller, 1):
            self._slots.add(caller, 1)
        else:
            await self._wait(caller)
        try:
            return await self._receive(caller, receive)
        finally:
            self._release(caller)

    async def _wait(self, caller: str) -> None:
        loop = asyncio.get_running_loop()
        self._schedule_eviction(loop)
        granted: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(caller, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._leave(caller, granted)
            else:
                self._release(caller)
            raise

    def _leave(self, caller: str, granted: "asyncio.Future[None]") -> None:
        # `_release` may have removed it already.
        queue = self._waiting.get(caller, deque())
        if granted in queue:
            queue.remove(granted)
            if not queue:
                del self._waiting[caller]

    def _release(self, caller: str) -> None:
        self._slots.remove(caller, 1)
        while name := next((name for name in self._waiting if self._slots.fits(name, 1)), None):
            # The caller becomes the last one, if it has more calls.
            queue = self._waiting.pop(name)
            granted = queue.popleft()
            if queue:
                self._waiting[name] = queue
            if not granted.done():
                self._slots.add(name, 1)
                granted.set_result(None)

    async def _receive(self, caller: str, receive: Callable[[], Awaitable[_Message]]) -> _Message:
        now = asyncio.get_running_loop().time()
        timeout = asyncio.timeout_at(now + self._seconds)
        self._started[timeout] = now, caller
        try:
            async with timeout:
                return await receive()
        except TimeoutError:
            raise ReadTimeoutError from None
        finally:
            del self._started[timeout]

    def _schedule_eviction(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._eviction is None:
            now = loop.time()
            oldest = next((started for timeout, (started, _) in self._started.items() if not timeout.expired()), now)
            # Not at once, because the oldest message may belong to a caller that keeps its slots.
            self._eviction = loop.call_at(max(oldest, now - self._min_seconds / 2) + self._min_seconds, self._evict, loop)

    def _evict(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends slow messages of the callers with the most slots if calls wait for a slot."""
        self._eviction = None
        if not self._waiting:
            return
        now = loop.time()
        most = self._slots.largest_use
        for timeout, (started, caller) in self._started.items():
            if self._slots.used_by(caller) == most and started + self._min_seconds <= now and not timeout.expired():
                timeout.reschedule(now)
        self._schedule_eviction(loop)
