"""Bounds the memory and the time of messages that have not arrived completely."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

_Message = TypeVar("_Message")

_MIN_SECONDS: Final = 1.0


class ReadTimeoutError(Exception):
    """The message did not arrive in time."""


class ReadSlots:
    """Receives at most `slots` messages at a time.

    gRPC buffers a message until it is complete. A complete message needs a slot for less than a
    millisecond. A message that arrives slowly loses its slot after `min_seconds` if other calls
    wait for one, and in any case after `seconds`.
    """

    def __init__(self, slots: int, seconds: float, *, min_seconds: float = _MIN_SECONDS) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._seconds = seconds
        self._min_seconds = min(min_seconds, seconds)
        self._waiting = 0
        self._started: dict[asyncio.Timeout, float] = {}
        self._eviction: asyncio.TimerHandle | None = None

    async def read(self, receive: Callable[[], Awaitable[_Message]]) -> _Message:
        """Receives a message. Raises ReadTimeoutError."""
        if self._slots.locked():
            self._schedule_eviction(asyncio.get_running_loop())
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._receive(receive)
        finally:
            self._slots.release()

    async def _receive(self, receive: Callable[[], Awaitable[_Message]]) -> _Message:
        now = asyncio.get_running_loop().time()
        timeout = asyncio.timeout_at(now + self._seconds)
        self._started[timeout] = now
        try:
            async with timeout:
                return await receive()
        except TimeoutError:
            raise ReadTimeoutError from None
        finally:
            del self._started[timeout]

    def _schedule_eviction(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._eviction is None:
            oldest = next((started for timeout, started in self._started.items() if not timeout.expired()), loop.time())
            self._eviction = loop.call_at(oldest + self._min_seconds, self._evict, loop)

    def _evict(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends the slow messages if calls wait for a slot."""
        self._eviction = None
        if not self._waiting:
            return
        now = loop.time()
        for timeout, started in self._started.items():
            if started + self._min_seconds <= now and not timeout.expired():
                timeout.reschedule(now)
        self._schedule_eviction(loop)
