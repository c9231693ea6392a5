"""Scores a stream of paragraphs with bounded calls and bounded memory."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence

import grpc

from undertone_client.length_sorted_queue import CallBounds, LengthSortedQueue, QueuedParagraph
from undertone_client.paragraph_check import as_paragraph, rejection
from undertone_client.settings import Settings
from undertone_client.values import Failure, Outcome, Paragraph, ServiceLimits

ScoreBatch = Callable[[Sequence[Paragraph]], Awaitable[list[Outcome]]]
Source = Iterable[str | Paragraph] | AsyncIterable[str | Paragraph]

ENVELOPE_BYTES = 16
"""Largest size of a paragraph's tags and lengths in a request, in addition to its text and id."""


class Stream:
    """Scores one source. Used once.

    Three kinds of tasks share its state on one event loop. The reader takes paragraphs from the
    source while there is room. The calls turn paragraphs into outcomes. The consumer removes
    outcomes, which makes room.

    Args:
        score_batch: sends one call. Returns an outcome for each of its paragraphs, in order. Does
            not raise `ServiceError`.
        desired_calls: returns the number of calls to keep in flight. It exceeds the concurrency
            limit, so that the limit can grow.
        settings: the settings of the client.
        limits: the limits of the service.
        ordered: whether outcomes come in the order of the source.
        on_rejected: called with the failure of each paragraph that is never sent.
    """

    PREFETCH_CALLS = 4
    """Number of full calls to read ahead, so that paragraphs of similar length share a call."""
    YIELD_EVERY = 256
    """Number of paragraphs to read from a plain iterable before other tasks run."""

    def __init__(
        self,
        score_batch: ScoreBatch,
        desired_calls: Callable[[], int],
        settings: Settings,
        limits: ServiceLimits,
        *,
        ordered: bool,
        on_rejected: Callable[[Failure], None] = lambda _: None,
    ) -> None:
        self._score_batch = score_batch
        self._desired_calls = desired_calls
        self._settings = settings
        self._limits = limits
        self._ordered = ordered
        self._on_rejected = on_rejected
        bounds = CallBounds.from_settings(settings, limits)
        self._queue = LengthSortedQueue(bounds)
        self._prefetch_items = min(self.PREFETCH_CALLS * bounds.items, settings.lookahead_items)
        self._calls: set[asyncio.Task[None]] = set()
        self._outcomes: OrderedDict[int, Outcome] = OrderedDict()
        self._read_count = 0  # paragraphs read from the source
        self._yielded_count = 0  # outcomes yielded to the consumer
        self._held_characters = 0  # characters of paragraphs whose outcomes were not yielded
        self._source_ended = False
        self._start_scheduled = False
        self._reader_waits = False
        self._closed = False
        self._error: BaseException | None = None
        self._room = asyncio.Event()
        self._progress = asyncio.Event()

    async def run(self, source: Source) -> AsyncGenerator[Outcome, None]:
        """Yield the outcomes.

        An exception of the source is raised after the outcomes of the paragraphs before it.
        """
        reader = asyncio.create_task(self._read_source(source))
        try:
            while True:
                self._progress.clear()
                while (outcome := self._next_outcome()) is not None:
                    yield outcome
                if self._error is not None:
                    raise self._error
                if self._source_ended and self._yielded_count == self._read_count:
                    break
                await self._progress.wait()
            await reader
        finally:
            self._closed = True
            reader.cancel()
            for call in self._calls:
                call.cancel()
            await asyncio.gather(reader, *self._calls, return_exceptions=True)

    def _next_outcome(self) -> Outcome | None:
        if self._ordered:
            outcome = self._outcomes.pop(self._yielded_count, None)
        else:
            outcome = self._outcomes.popitem(last=False)[1] if self._outcomes else None
        if outcome is not None:
            self._yielded_count += 1
            self._held_characters -= len(outcome.paragraph.text)
            self._room.set()
        return outcome

    async def _read_source(self, source: Source) -> None:
        try:
            if isinstance(source, AsyncIterable):
                async for item in source:
                    await self._add(item)
            else:
                for number, item in enumerate(source, start=1):
                    await self._add(item)
                    if number % self.YIELD_EVERY == 0:
                        await asyncio.sleep(0)
        finally:
            self._source_ended = True
            self._start_calls()
            self._progress.set()

    async def _add(self, item: str | Paragraph) -> None:
        number = self._read_count
        paragraph = as_paragraph(item, f"paragraph {number} of the source")
        self._read_count += 1
        self._held_characters += len(paragraph.text)
        size, reason = self._check(paragraph)
        if reason is not None:
            failure = Failure(paragraph, grpc.StatusCode.INVALID_ARGUMENT, reason, attempts=0)
            self._outcomes[number] = failure
            self._on_rejected(failure)
            self._progress.set()
        else:
            self._queue.add(QueuedParagraph(len(paragraph.text), number, size, paragraph))
            self._schedule_start()
        if self._is_full():
            self._reader_waits = True
            while not self._has_room_for_call():
                self._room.clear()
                await self._room.wait()
            self._reader_waits = False

    def _check(self, paragraph: Paragraph) -> tuple[int, str | None]:
        """The size of the paragraph in a request in bytes, and the reason why it cannot be sent."""
        if (reason := rejection(paragraph)) is not None:
            return 0, reason
        text_bytes, id_bytes = len(paragraph.text.encode()), len(paragraph.id.encode())
        if 0 < self._limits.max_paragraph_bytes < text_bytes:
            limit = self._limits.max_paragraph_bytes
            return 0, f"text has {text_bytes} bytes in UTF-8; the limit is {limit}: split it into paragraphs"
        if 0 < self._limits.max_paragraph_characters < len(paragraph.text):
            limit = self._limits.max_paragraph_characters
            return 0, f"text has {len(paragraph.text)} characters; the limit is {limit}: split it into paragraphs"
        return text_bytes + id_bytes + ENVELOPE_BYTES, None

    def _is_full(self) -> bool:
        held = self._read_count - self._yielded_count
        return held >= self._settings.lookahead_items or self._held_characters >= self._settings.lookahead_characters

    def _has_room_for_call(self) -> bool:
        # With room for one paragraph only, a slow consumer would cause calls of one paragraph.
        held = self._read_count - self._yielded_count
        return held <= self._settings.lookahead_items - self._settings.batch_items and self._held_characters <= max(
            0, self._settings.lookahead_characters - self._settings.batch_characters
        )

    def _schedule_start(self) -> None:
        # In the next loop iteration, so that a fast source first fills the queue.
        if not self._start_scheduled:
            self._start_scheduled = True
            asyncio.get_running_loop().call_soon(self._start_calls)

    def _start_calls(self) -> None:
        self._start_scheduled = False
        while self._queue and len(self._calls) < self._desired_calls() and not self._closed:
            has_read_ahead = self._source_ended or self._reader_waits or len(self._queue) >= self._prefetch_items
            if self._calls and not has_read_ahead:
                break  # the calls in flight keep the service busy while the source is read
            call = asyncio.create_task(self._call(self._queue.take()))
            self._calls.add(call)
            call.add_done_callback(self._end_call)

    async def _call(self, queued: Sequence[QueuedParagraph]) -> None:
        outcomes = await self._score_batch([each.paragraph for each in queued])
        for each, outcome in zip(queued, outcomes, strict=True):
            self._outcomes[each.number] = outcome

    def _end_call(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if call.cancelled():
            self._error = RuntimeError("a call was cancelled: was the client closed while it was scoring?")
        elif error := call.exception():
            self._error = error
        self._start_calls()
        self._progress.set()
