import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import grpc
import pytest
from undertone_batch.task_stream import TaskStream
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


async def fail_in_pairs(paragraphs: AsyncIterator[Paragraph]) -> AsyncGenerator[Outcome, None]:
    """Returns two failures at a time, across the bounds of batches, as calls of the client do."""
    pending: list[Outcome] = []
    async for paragraph in paragraphs:
        pending.append(Failure(paragraph, grpc.StatusCode.INTERNAL, "scripted", attempts=1))
        if len(pending) == 2:
            for outcome in pending:
                yield outcome
            pending.clear()
    for outcome in pending:
        yield outcome


def test_batches_are_received_complete_and_in_order(loop: asyncio.AbstractEventLoop) -> None:
    invalid = failure("invalid")
    batches: list[list[Paragraph | Failure]] = [
        [Paragraph("a"), invalid, Paragraph("b")],
        [],
        [invalid],
        [Paragraph("c"), invalid],
        [invalid, Paragraph("d"), Paragraph("e")],
    ]
    with TaskStream(loop, fail_in_pairs) as stream:
        for batch in batches:
            stream.send(batch)
        stream.finish()
        received = [stream.receive() for _ in batches]
    texts = [[outcome.paragraph.text for outcome in outcomes] for outcomes in received]
    assert texts == [["a", "invalid", "b"], [], ["invalid"], ["c", "invalid"], ["invalid", "d", "e"]]
    assert received[0][1] is invalid


def test_receive_raises_the_clients_exception(loop: asyncio.AbstractEventLoop) -> None:
    async def fail(paragraphs: AsyncIterator[Paragraph]) -> AsyncGenerator[Outcome, None]:
        raise ConnectionError("no service")
        yield

    with TaskStream(loop, fail) as stream:
        stream.send([Paragraph("a")])
        with pytest.raises(ConnectionError, match="no service"):
            stream.receive()


def test_leaving_the_context_cancels_the_calls(loop: asyncio.AbstractEventLoop) -> None:
    cancelled = threading.Event()

    async def score(paragraphs: AsyncIterator[Paragraph]) -> AsyncGenerator[Outcome, None]:
        try:
            async for paragraph in paragraphs:
                yield failure(paragraph.text)
        finally:
            cancelled.set()

    with TaskStream(loop, score) as stream:
        stream.send([Paragraph("a")])
        assert len(stream.receive()) == 1
    assert cancelled.wait(60)
