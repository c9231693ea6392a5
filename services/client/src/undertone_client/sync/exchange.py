"""A stream between the caller's thread and the client's event loop, with bounded buffers."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any, Final

from undertone_client.settings import Settings
from undertone_client.values import Outcome, Paragraph

BUFFERED_CALLS: Final = 4
"""Number of full calls that each of the buffers holds."""
SLOW_SECONDS: Final = 0.05
"""Time after which the paragraphs of a slow source are passed on before they fill their buffer."""


class Exchange:
    """Passes paragraphs to the loop and outcomes back. Used once.

    The caller's thread reads the source while the loop asks for paragraphs and no outcome is ready.
    The source therefore never blocks the loop, and may use objects that belong to the thread. Each
    side waits while its buffer is full.

    Args:
        settings: `batch_items` and `batch_characters` bound the buffers.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_items = BUFFERED_CALLS * settings.batch_items
        self._max_characters = BUFFERED_CALLS * settings.batch_characters
        self._clock = clock
        self._read_ahead: list[str | Paragraph] = []  # of the caller's thread, until they are passed on
        self._characters = 0  # of these paragraphs
        self._read_since = clock()
        self._changed = threading.Condition()  # guards the following fields
        self._paragraphs: list[str | Paragraph] = []
        self._is_wanted = False  # the loop has asked for paragraphs, and has taken the last ones
        self._source_ended = False
        self._reader_waits = False
        self._outcomes: list[Outcome] = []
        self._writer_waits = False
        self._finished = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader_wakes = asyncio.Event()
        self._writer_wakes = asyncio.Event()

    async def pump(self, outcomes: AsyncGenerator[Outcome, None]) -> None:
        """Pass the outcomes to the caller's thread. Runs on the loop."""
        self._loop = asyncio.get_running_loop()
        async with aclosing(outcomes) as stream:
            async for outcome in stream:
                self._writer_wakes.clear()
                with self._changed:
                    self._outcomes.append(outcome)
                    self._writer_waits = len(self._outcomes) >= self._max_items
                    self._changed.notify()
                if self._writer_waits:
                    await self._writer_wakes.wait()

    async def paragraphs(self) -> AsyncGenerator[str | Paragraph, None]:
        """The paragraphs of the source. Runs on the loop."""
        while True:
            self._reader_wakes.clear()
            with self._changed:
                taken, self._paragraphs = self._paragraphs, []
                ended = self._source_ended
                self._is_wanted = not ended
                self._reader_waits = not taken and not ended
                self._changed.notify()
            for paragraph in taken:
                yield paragraph
            if taken:
                await asyncio.sleep(0)  # a fast source must not keep other tasks from running
            elif ended:
                return
            else:
                await self._reader_wakes.wait()

    def finish(self, _: Future[None]) -> None:
        """Declare that `pump` has ended."""
        with self._changed:
            self._finished, self._is_wanted = True, False
            self._changed.notify()

    def outcomes(self, source: Iterable[str | Paragraph]) -> Iterator[Outcome]:
        """Read the source and yield the outcomes until `finish`. Runs in the caller's thread.

        An exception of the source is raised after the outcomes of the paragraphs before it.
        """
        items, source_error = iter(source), None
        while not (self._finished and not self._outcomes):
            outcomes, is_wanted = self._wait()
            yield from outcomes
            if is_wanted and not outcomes:
                try:
                    self._read(items)
                except Exception as error:
                    source_error = error
                    self._pass_on(ended=True)
        if source_error is not None:
            raise source_error

    def _wait(self) -> tuple[list[Outcome], bool]:
        with self._changed:
            self._changed.wait_for(lambda: self._outcomes or self._is_wanted or self._finished)
            outcomes, self._outcomes = self._outcomes, []
            if self._writer_waits:
                self._writer_waits = False
                self._wake(self._writer_wakes)
            return outcomes, self._is_wanted and not self._finished

    def _read(self, items: Iterator[str | Paragraph]) -> None:
        """Read the source until its paragraphs are passed on, or an outcome is ready."""
        if not self._read_ahead:
            self._read_since = self._clock()
        for item in items:
            self._read_ahead.append(item)
            self._characters += _characters(item)
            is_full = len(self._read_ahead) >= self._max_items or self._characters >= self._max_characters
            if is_full or self._clock() - self._read_since >= SLOW_SECONDS:
                self._pass_on(ended=False)
                return
            if self._outcomes or self._finished:
                return
        self._pass_on(ended=True)

    def _pass_on(self, *, ended: bool) -> None:
        with self._changed:
            self._paragraphs, self._read_ahead, self._characters = self._read_ahead, [], 0
            self._source_ended, self._is_wanted = ended, False
            if self._reader_waits:
                self._reader_waits = False
                self._wake(self._reader_wakes)

    def _wake(self, event: asyncio.Event) -> None:
        if self._loop is not None and not self._finished:
            self._loop.call_soon_threadsafe(event.set)


def _characters(item: Any) -> int:
    """The characters of an item. 0 for anything but a text, which the client refuses."""
    text = item.text if isinstance(item, Paragraph) else item
    return len(text) if isinstance(text, str) else 0
