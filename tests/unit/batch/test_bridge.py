"""Batches come back whole and in order, whatever the client does in between."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import grpc
import pytest
from undertone_batch.bridge import Bridge
from undertone_client import Failure, Outcome, Paragraph


def failure(text: str) -> Failure:
    return Failure(Paragraph(text), grpc.StatusCode.INVALID_ARGUMENT, "scripted", attempts=0)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


async def refuse_in_pairs(paragraphs: AsyncIterator[Paragraph]) -> AsyncGenerator[Outcome, None]:
    """Answers two at a time, across the batches' borders, as calls do."""
    held: list[Outcome] = []
    async for paragraph in paragraphs:
        held.append(Failure(paragraph, grpc.StatusCode.INTERNAL, "asked", attempts=1))
        if len(held) == 2:
            for outcome in held:
                yield outcome
            held.clear()
    for outcome in held:
        yield outcome


def test_batches_keep_their_order_and_their_borders(loop: asyncio.AbstractEventLoop) -> None:
    known = failure("known")
    batches: list[list[Paragraph | Failure]] = [
        [Paragraph("a"), known, Paragraph("b")],
        [],
        [known],
        [Paragraph("c"), known],
        [known, Paragraph("d"), Paragraph("e")],
    ]
    with Bridge(loop, refuse_in_pairs) as bridge:
        for batch in batches:
            bridge.send(batch)
        bridge.finish()
        received = [bridge.receive() for _ in batches]
    texts = [[outcome.paragraph.text for outcome in outcomes] for outcomes in received]
    assert texts == [["a", "known", "b"], [], ["known"], ["c", "known"], ["known", "d", "e"]]
    assert received[0][1] is known


def test_what_the_client_raises_is_raised_by_receive(loop: asyncio.AbstractEventLoop) -> None:
    async def broken(paragraphs: AsyncIterator[Paragraph]) -> AsyncGenerator[Outcome, None]:
        raise ConnectionError("no service")
        yield

    with Bridge(loop, broken) as bridge:
        bridge.send([Paragraph("a")])
        with pytest.raises(ConnectionError, match="no service"):
            bridge.receive()


def test_leaving_early_ends_the_stream(loop: asyncio.AbstractEventLoop) -> None:
    ended = threading.Event()

    async def endless(paragraphs: AsyncIterator[Paragraph]) -> AsyncGenerator[Outcome, None]:
        try:
            async for paragraph in paragraphs:
                yield failure(paragraph.text)
        finally:
            ended.set()

    with Bridge(loop, endless) as bridge:
        bridge.send([Paragraph("a")])
        assert len(bridge.receive()) == 1
    assert ended.wait(60)
