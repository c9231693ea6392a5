"""Reading in a thread, so that an input that is slow to come does not hold the event loop up."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 256
"""Items that the thread may be ahead of the loop."""
PATIENCE_SECONDS = 0.5
"""How long a reader is waited for when it is no longer needed; one that waits for standard input cannot be stopped."""


@asynccontextmanager
async def in_background(items: Iterable[T]) -> AsyncIterator[AsyncIterator[T]]:
    """An asynchronous iterator over `items`, which a thread takes; it raises what they raise."""
    reader = _Reader(items, asyncio.get_running_loop())
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()


class _Reader(threading.Thread, AsyncIterator[T], Generic[T]):
    def __init__(self, items: Iterable[T], loop: asyncio.AbstractEventLoop) -> None:
        # A daemon, as one that waits for standard input would keep the process from ending.
        super().__init__(name="reader", daemon=True)
        self._items = items
        self._loop = loop
        self._read: deque[T] = deque()
        self._room = threading.Semaphore(AHEAD)
        self._news = asyncio.Event()
        self._error: BaseException | None = None
        self._ended = False
        self._stopped = False

    def run(self) -> None:
        try:
            for item in self._items:
                self._room.acquire()
                if self._stopped:
                    return
                self._read.append(item)
                self._tell()
        except BaseException as error:
            self._error = error
        finally:
            self._ended = True
            self._tell()

    def stop(self) -> None:
        self._stopped = True
        self._room.release()
        self.join(PATIENCE_SECONDS)

    async def __anext__(self) -> T:
        while True:
            # Cleared before looking: what arrives after the look sets it again, and the wait ends at once.
            self._news.clear()
            ended = self._ended
            if self._read:
                self._room.release()
                return self._read.popleft()
            if ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._news.wait()

    def _tell(self) -> None:
        if not self._news.is_set():
            with suppress(RuntimeError):  # the loop was closed, nobody listens any more
                self._loop.call_soon_threadsafe(self._news.set)
