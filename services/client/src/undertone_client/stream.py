"""A stream of paragraphs in, a stream of outcomes out: bounded calls in flight, bounded memory, exactly one outcome each."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence

import grpc

from undertone_client.settings import Settings
from undertone_client.values import Failure, Limits, Outcome, Paragraph
from undertone_client.window import ENVELOPE_BYTES, Bounds, Entry, Window

Send = Callable[[Sequence[Paragraph]], Awaitable[list[Outcome]]]
Source = Iterable[str | Paragraph] | AsyncIterable[str | Paragraph]

RIPE_CALLS = 4
"""A slow source is not waited for once the window holds this many full calls to choose from."""

BREATH_ITEMS = 256
"""So many paragraphs are taken from a plain iterable in a row, before calls and their answers have their turn."""


class Stream:
    """Scores one source. Used once.

    Three parties share the state, all on the event loop: the pump takes paragraphs from the source while there is room, the
    calls turn them into outcomes, and the consumer takes those away, which makes room. `send` answers a call's paragraphs in
    order and never raises `ServiceError`. `demand` says, at any time, how many calls to keep on offer; more than run at once,
    so that a limit that could grow is seen to be used up. `refused` hears of the paragraphs that are not sent at all.
    """

    def __init__(
        self,
        send: Send,
        demand: Callable[[], int],
        settings: Settings,
        limits: Limits,
        *,
        ordered: bool,
        refused: Callable[[Failure], None] = lambda _: None,
    ) -> None:
        self._send = send
        self._demand = demand
        self._settings = settings
        self._limits = limits
        self._ordered = ordered
        self._refused = refused
        bounds = Bounds.of(settings, limits)
        self._window = Window(bounds)
        self._ripe = min(RIPE_CALLS * bounds.items, settings.lookahead_items)
        self._calls: set[asyncio.Task[None]] = set()
        self._done: OrderedDict[int, Outcome] = OrderedDict()
        self._taken = 0
        self._given = 0
        self._characters = 0
        self._exhausted = False
        self._advancing = False
        self._waiting = False  # the pump, for room
        self._closed = False
        self._fault: BaseException | None = None
        self._room = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self, source: Source) -> AsyncGenerator[Outcome, None]:
        """The outcomes. What the source raises is raised after the outcomes of the paragraphs that it gave before."""
        pump = asyncio.create_task(self._pump(source))
        try:
            while True:
                self._news.clear()
                while (outcome := self._next()) is not None:
                    yield outcome
                if self._fault is not None:
                    raise self._fault
                if self._exhausted and self._given == self._taken:
                    break
                await self._news.wait()
            await pump
        finally:
            self._closed = True
            pump.cancel()
            for call in self._calls:
                call.cancel()
            await asyncio.gather(pump, *self._calls, return_exceptions=True)

    def _next(self) -> Outcome | None:
        if self._ordered:
            outcome = self._done.pop(self._given, None)
        else:
            outcome = self._done.popitem(last=False)[1] if self._done else None
        if outcome is not None:
            self._given += 1
            self._characters -= len(outcome.paragraph.text)
            self._room.set()
        return outcome

    async def _pump(self, source: Source) -> None:
        try:
            if isinstance(source, AsyncIterable):
                async for item in source:
                    await self._take(item)
            else:
                for number, item in enumerate(source, start=1):
                    await self._take(item)
                    if number % BREATH_ITEMS == 0:
                        await asyncio.sleep(0)
        finally:
            self._exhausted = True
            self._advance()
            self._news.set()

    async def _take(self, item: str | Paragraph) -> None:
        paragraph = Paragraph(item) if isinstance(item, str) else item
        if not isinstance(paragraph, Paragraph):
            raise TypeError(f"a paragraph is a str or a Paragraph, not {type(item).__name__}")
        ordinal = self._taken
        self._taken += 1
        self._characters += len(paragraph.text)
        size, refusal = self._measure(paragraph)
        if refusal is not None:
            failure = Failure(paragraph, grpc.StatusCode.INVALID_ARGUMENT, refusal, attempts=0)
            self._done[ordinal] = failure
            self._refused(failure)
            self._news.set()
        else:
            self._window.add(Entry(len(paragraph.text), ordinal, size, paragraph))
            self._advance_soon()
        if self._full():
            self._waiting = True
            while not self._roomy():
                self._room.clear()
                await self._room.wait()
            self._waiting = False

    def _measure(self, paragraph: Paragraph) -> tuple[int, str | None]:
        try:
            size = len(paragraph.text.encode())
            named = len(paragraph.id.encode())
        except UnicodeEncodeError as error:
            return 0, f"not encodable as UTF-8: lone surrogate at character {error.start}"
        if 0 < self._limits.max_paragraph_bytes < size:
            return size, f"{size} bytes of text, the service accepts {self._limits.max_paragraph_bytes}"
        if 0 < self._limits.max_paragraph_characters < len(paragraph.text):
            return (
                size,
                f"{len(paragraph.text)} characters of text, the service accepts {self._limits.max_paragraph_characters}",
            )
        return size + named + ENVELOPE_BYTES, None

    def _full(self) -> bool:
        held = self._taken - self._given
        return held >= self._settings.lookahead_items or self._characters >= self._settings.lookahead_characters

    def _roomy(self) -> bool:
        # Room for a whole call: a consumer that is slower than the service would have it called for each single paragraph.
        held = self._taken - self._given
        return held <= self._settings.lookahead_items - self._settings.batch_items and self._characters <= max(
            0, self._settings.lookahead_characters - self._settings.batch_characters
        )

    def _advance_soon(self) -> None:
        # Not at once: a source that is quick fills the window first, so that there is something to choose from.
        if not self._advancing:
            self._advancing = True
            asyncio.get_running_loop().call_soon(self._advance)

    def _advance(self) -> None:
        self._advancing = False
        while self._window and len(self._calls) < self._demand() and not self._closed:
            if not (self._exhausted or not self._calls or len(self._window) >= self._ripe or self._waiting):
                break
            call = asyncio.create_task(self._call(self._window.take()))
            self._calls.add(call)
            call.add_done_callback(self._called)

    async def _call(self, entries: Sequence[Entry]) -> None:
        outcomes = await self._send([entry.paragraph for entry in entries])
        for entry, outcome in zip(entries, outcomes, strict=True):
            self._done[entry.ordinal] = outcome

    def _called(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if call.cancelled():
            self._fault = RuntimeError("a call was cancelled from outside: was the client closed while it was scoring?")
        elif error := call.exception():
            self._fault = error
        self._advance()
        self._news.set()
