"""The connection between a Spark task, which is a thread, and the client's event loop."""

import asyncio
import queue
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from undertone_client import Failure, Outcome, Paragraph

ScoreParagraphs = Callable[[AsyncIterator[Paragraph]], AsyncGenerator[Outcome, None]]


@dataclass(slots=True)
class PendingBatch:
    """A batch and its outcomes so far. A failure in the batch is its own outcome."""

    paragraphs: Sequence[Paragraph | Failure]
    outcomes: list[Outcome] = field(default_factory=list)

    def add_failures(self) -> bool:
        """Adds the failures that follow the last outcome. Returns whether the batch is complete."""
        while len(self.outcomes) < len(self.paragraphs):
            next_paragraph = self.paragraphs[len(self.outcomes)]
            if not isinstance(next_paragraph, Failure):
                return False
            self.outcomes.append(next_paragraph)
        return True


class TaskStream:
    """Sends batches of one task to the client and receives their outcomes, in order.

    The client sees one stream of paragraphs, so that a call may contain paragraphs of several
    batches. The task bounds the number of pending batches. A TaskStream is a context manager for
    one use; leaving it early cancels the remaining calls.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, score: ScoreParagraphs) -> None:
        """
        Args:
            loop: The client's event loop.
            score: Scores a stream of paragraphs, such as `Client.score`.
        """
        self._loop = loop
        self._score = score
        self._batches: asyncio.Queue[PendingBatch | None] = asyncio.Queue()
        self._results: queue.SimpleQueue[list[Outcome] | BaseException] = queue.SimpleQueue()
        self._pending: deque[PendingBatch] = deque()

    def __enter__(self) -> Self:
        self._running = asyncio.run_coroutine_threadsafe(self._run(), self._loop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._running.cancel()

    def send(self, paragraphs: Sequence[Paragraph | Failure]) -> None:
        """Sends a batch. Does not block."""
        self._loop.call_soon_threadsafe(self._batches.put_nowait, PendingBatch(paragraphs))

    def finish(self) -> None:
        """Declares that no batch follows, so that the client sends incomplete calls."""
        self._loop.call_soon_threadsafe(self._batches.put_nowait, None)

    @property
    def ready(self) -> bool:
        """Whether `receive` would return at once."""
        return not self._results.empty()

    def receive(self) -> list[Outcome]:
        """Waits for the outcomes of the oldest pending batch.

        Raises:
            ServiceError: the service did not answer when the client asked for its limits.
        """
        result = self._results.get()
        if isinstance(result, BaseException):
            raise result
        return result

    async def _run(self) -> None:
        try:
            async with aclosing(self._score(self._paragraphs())) as outcomes:
                async for outcome in outcomes:
                    self._pending[0].outcomes.append(outcome)
                    self._return_complete_batches()
        except Exception as error:
            self._results.put(error)

    async def _paragraphs(self) -> AsyncIterator[Paragraph]:
        while (batch := await self._batches.get()) is not None:
            self._pending.append(batch)
            self._return_complete_batches()
            for paragraph in batch.paragraphs:
                if isinstance(paragraph, Paragraph):
                    yield paragraph

    def _return_complete_batches(self) -> None:
        while self._pending and self._pending[0].add_failures():
            self._results.put(self._pending.popleft().outcomes)
