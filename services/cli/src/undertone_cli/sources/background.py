"""Reading in a thread, so that an input that is slow to come does not hold the event loop up."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 256
"""Items that the thread may hold ready; the loop may have taken as many again."""
AHEAD_WEIGHT = 4_000_000
"""Their weight, together; one that is heavier is held alone."""
PATIENCE_SECONDS = 0.5
"""How long a reader is waited for when it is no longer needed; one that waits for standard input cannot be stopped."""


@asynccontextmanager
async def in_background(items: Iterable[T], weigh: Callable[[T], int] = lambda item: 0) -> AsyncIterator[AsyncIterator[T]]:
    """An asynchronous iterator over `items`, which a thread takes; it raises what they raise.

    It reads ahead as far as AHEAD and AHEAD_WEIGHT allow; `weigh` says how heavy an item is, such as its characters.
    """
    reader = _Reader(items, weigh, asyncio.get_running_loop())
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()


class _Reader(threading.Thread, AsyncIterator[T], Generic[T]):
    def __init__(self, items: Iterable[T], weigh: Callable[[T], int], loop: asyncio.AbstractEventLoop) -> None:
        # A daemon, as one that waits for standard input would keep the process from ending.
        super().__init__(name="reader", daemon=True)
        self._items = items
        self._weigh = weigh
        self._loop = loop
        self._lock = threading.Condition()
        self._filled: list[T] = []  # by the thread, guarded by the lock like the next four
        self._weight = 0
        self._ended = False
        self._error: BaseException | None = None
        self._stopped = False
        self._taken: deque[T] = deque()  # by the loop, all at a time, as each handing over costs
        self._news = asyncio.Event()

    def run(self) -> None:
        try:
            for item in self._items:
                with self._lock:
                    self._lock.wait_for(self._roomy)
                    if self._stopped:
                        return
                    self._filled.append(item)
                    self._weight += self._weigh(item)
                    first = len(self._filled) == 1
                if first:
                    self._tell()
        except BaseException as error:
            self._error = error
        finally:
            with self._lock:
                self._ended = True
            self._tell()

    def _roomy(self) -> bool:
        return self._stopped or (len(self._filled) < AHEAD and self._weight < AHEAD_WEIGHT)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._lock.notify()
        self.join(PATIENCE_SECONDS)

    async def __anext__(self) -> T:
        while not self._taken:
            # Cleared before looking: what arrives after the look sets it again, and the wait ends at once.
            self._news.clear()
            with self._lock:
                self._taken.extend(self._filled)
                self._filled.clear()
                self._weight = 0
                ended = self._ended
                self._lock.notify()
            if self._taken:
                break
            if ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._news.wait()
        return self._taken.popleft()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop was closed, nobody listens any more
            self._loop.call_soon_threadsafe(self._news.set)
