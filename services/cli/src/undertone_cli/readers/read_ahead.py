"""Reads in a thread, so that a slow input does not block the event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_ITEMS = 256
"""Maximum number of items in the thread's buffer, and also in the event loop's buffer."""
MAX_WEIGHT = 4_000_000
"""The thread waits while the items in its buffer have at least this total weight."""
STOP_SECONDS = 0.5
"""Maximum wait for the thread to stop. A thread that waits for stdin cannot be stopped."""


@asynccontextmanager
async def read_ahead(items: Iterable[T], weigh: Callable[[T], int] = lambda item: 0) -> AsyncIterator[AsyncIterator[T]]:
    """An asynchronous iterator over `items`, which a thread reads. Raises exceptions of `items`.

    Args:
        items: consumed up to MAX_ITEMS and MAX_WEIGHT in advance.
        weigh: weight of an item, such as its number of characters.
    """
    reader = _Reader(items, weigh, asyncio.get_running_loop())
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()


class _Reader(threading.Thread, AsyncIterator[T], Generic[T]):
    def __init__(self, items: Iterable[T], weigh: Callable[[T], int], loop: asyncio.AbstractEventLoop) -> None:
        # A daemon: a thread that waits for stdin would keep the process from ending.
        super().__init__(name="reader", daemon=True)
        self._items = items
        self._weigh = weigh
        self._loop = loop
        self._condition = threading.Condition()
        # The condition guards the next five attributes.
        self._buffer: list[T] = []
        self._weight = 0
        self._ended = False
        self._error: BaseException | None = None
        self._stopped = False
        # The event loop takes the whole buffer at once, because each lock has a cost.
        self._loop_buffer: deque[T] = deque()
        self._changed = asyncio.Event()

    def run(self) -> None:
        try:
            for item in self._items:
                with self._condition:
                    self._condition.wait_for(self._has_room)
                    if self._stopped:
                        return
                    self._buffer.append(item)
                    self._weight += self._weigh(item)
                    was_empty = len(self._buffer) == 1
                if was_empty:
                    self._notify_loop()
        except BaseException as error:
            self._error = error
        finally:
            with self._condition:
                self._ended = True
            self._notify_loop()

    def _has_room(self) -> bool:
        return self._stopped or (len(self._buffer) < MAX_ITEMS and self._weight < MAX_WEIGHT)

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify()
        self.join(STOP_SECONDS)

    async def __anext__(self) -> T:
        while not self._loop_buffer:
            # Cleared first: an item that arrives after the buffer was taken sets the event again.
            self._changed.clear()
            with self._condition:
                self._loop_buffer.extend(self._buffer)
                self._buffer.clear()
                self._weight = 0
                ended = self._ended
                self._condition.notify()
            if self._loop_buffer:
                break
            if ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._changed.wait()
        return self._loop_buffer.popleft()

    def _notify_loop(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._changed.set)
