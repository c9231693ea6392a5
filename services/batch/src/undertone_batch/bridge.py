"""One task's paragraphs on their way to the client's event loop and back."""

import asyncio
import queue
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from undertone_client import Failure, Outcome, Paragraph

Score = Callable[[AsyncIterator[Paragraph]], AsyncGenerator[Outcome, None]]


@dataclass(slots=True)
class PendingBatch:
    """Paragraphs that were sent together, and their outcomes so far; a failure among the paragraphs is its own outcome."""

    paragraphs: Sequence[Paragraph | Failure]
    outcomes: list[Outcome] = field(default_factory=list)

    def settle(self) -> bool:
        """Take over the failures that are next in line; whether every outcome is there."""
        while len(self.outcomes) < len(self.paragraphs):
            known = self.paragraphs[len(self.outcomes)]
            if not isinstance(known, Failure):
                return False
            self.outcomes.append(known)
        return True


class Bridge:
    """Carries batches between the thread of a Spark task and the client's event loop; used once, as a context manager.

    Batches come back in the order in which they were sent, but travel together: the client sees one stream, and cuts its
    calls across their borders. The sender bounds how much is under way. Leaving the block early cancels what still runs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, score: Score) -> None:
        self._loop = loop
        self._score = score
        self._inbox: asyncio.Queue[PendingBatch | None] = asyncio.Queue()
        self._outbox: queue.SimpleQueue[list[Outcome] | BaseException] = queue.SimpleQueue()
        self._open: deque[PendingBatch] = deque()

    def __enter__(self) -> Self:
        self._running = asyncio.run_coroutine_threadsafe(self._run(), self._loop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._running.cancel()

    def send(self, paragraphs: Sequence[Paragraph | Failure]) -> None:
        """Send a batch; returns at once."""
        self._loop.call_soon_threadsafe(self._inbox.put_nowait, PendingBatch(paragraphs))

    def finish(self) -> None:
        """Say that nothing more will be sent, so that the last calls need not wait to be full."""
        self._loop.call_soon_threadsafe(self._inbox.put_nowait, None)

    @property
    def ready(self) -> bool:
        """Whether `receive` would return at once."""
        return not self._outbox.empty()

    def receive(self) -> list[Outcome]:
        """The outcomes of the oldest batch that was not received yet; waits for them.

        Raises:
            ServiceError: the service did not answer when asked for its limits, at the beginning.
        """
        outcomes = self._outbox.get()
        if isinstance(outcomes, BaseException):
            raise outcomes
        return outcomes

    async def _run(self) -> None:
        try:
            async with aclosing(self._score(self._source())) as outcomes:
                async for outcome in outcomes:
                    self._open[0].outcomes.append(outcome)
                    self._release()
        except Exception as error:
            self._outbox.put(error)

    async def _source(self) -> AsyncIterator[Paragraph]:
        while (batch := await self._inbox.get()) is not None:
            self._open.append(batch)
            self._release()
            for paragraph in batch.paragraphs:
                if isinstance(paragraph, Paragraph):
                    yield paragraph

    def _release(self) -> None:
        while self._open and self._open[0].settle():
            self._outbox.put(self._open.popleft().outcomes)
