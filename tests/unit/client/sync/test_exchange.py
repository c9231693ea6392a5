"""The stream of the synchronous client."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from undertone_client import Paragraph, Settings, UnavailableError
from undertone_client.sync import Client, exchange
from undertone_client.testing import FakeClassifier

from tests.unit.client.sync.test_client import wait_until
from tests.unit.support.faults import NO_PATIENCE, no_sleep

SMALL = Settings(batch_items=2, lookahead_items=8)
MOST_HELD = SMALL.lookahead_items + 3 * exchange.BUFFERED_CALLS * SMALL.batch_items
"""The lookahead, and the buffers: of paragraphs, of outcomes, and the one that a side works on."""


class Source(Iterator[str]):
    """Endless texts. Counts them, and records the threads that read them."""

    def __init__(self) -> None:
        self.count = 0
        self.threads: set[threading.Thread] = set()

    def __next__(self) -> str:
        self.threads.add(threading.current_thread())
        self.count += 1
        return f"text {self.count}"


@pytest.mark.parametrize("ordered", [True, False])
def test_every_paragraph_has_one_outcome(client: Client, ordered: bool) -> None:
    texts = [f"paragraph {index}" for index in range(1000)]
    found = [outcome.paragraph.text for outcome in client.score(texts, ordered=ordered)]
    assert (found if ordered else sorted(found)) == (texts if ordered else sorted(texts))
    assert list(client.score([])) == []


def test_the_source_is_read_in_the_thread_of_the_caller_and_not_far_ahead(threaded_service: FakeClassifier) -> None:
    source = Source()
    with Client(threaded_service.target, settings=SMALL) as client:
        outcomes = client.score(source)
        for number in range(1, 101):
            assert next(outcomes).paragraph.text == f"text {number}"
            assert source.count - number <= MOST_HELD
    assert source.threads == {threading.current_thread()}


def test_long_paragraphs_bound_what_is_read_ahead(threaded_service: FakeClassifier) -> None:
    source = Source()
    settings = Settings(batch_characters=10, lookahead_characters=20)
    with Client(threaded_service.target, settings=settings) as client:
        next(client.score(Paragraph("word " * 20, text) for text in source))
    assert source.count < 10


def test_an_outcome_does_not_wait_for_the_end_of_a_slow_source(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "SLOW_SECONDS", 0.0)
    received = 0

    def slow() -> Iterator[str]:
        for number in range(3):
            yield f"text {number}"
            # Reading goes on until an outcome is ready. Each outcome is ready before the next text.
            wait_until(lambda: client.state().counts.attempts.get("OK", 0) >= number + 2)  # noqa: B023
            assert received >= number - 1

    for outcome in client.score(slow()):
        assert outcome.paragraph.text == f"text {received}"
        received += 1
    assert received == 3


def test_an_exception_of_the_source_follows_the_outcomes_before_it(client: Client) -> None:
    def broken() -> Iterator[str]:
        yield "one"
        yield "two"
        raise OSError("disk")

    outcomes = client.score(broken())
    assert [next(outcomes).paragraph.text for _ in range(2)] == ["one", "two"]
    with pytest.raises(OSError, match="disk"):
        next(outcomes)


def test_invalid_sources_and_items_are_rejected(client: Client) -> None:
    with pytest.raises(TypeError, match="use classify"):
        next(client.score("text"))
    with pytest.raises(TypeError, match="takes a plain iterable, not async_generator"):
        next(client.score(no_texts()))  # type: ignore[arg-type]
    outcomes = client.score(["one", 2])  # type: ignore[list-item]
    assert next(outcomes).paragraph.text == "one"
    with pytest.raises(TypeError, match="paragraph 1 of the source must be a str"):
        next(outcomes)


async def no_texts() -> AsyncIterator[str]:
    for text in ["text"]:
        yield text


def test_nothing_is_read_while_the_service_is_unavailable() -> None:
    source = Source()
    with Client("127.0.0.1:1", settings=NO_PATIENCE, sleep=no_sleep) as client, pytest.raises(UnavailableError):
        next(client.score(source))
    assert source.count == 0


@pytest.mark.parametrize("close", [True, False])
def test_an_abandoned_generator_cancels_its_calls(threaded_service: FakeClassifier, client: Client, close: bool) -> None:
    threaded_service.gates["text 40"] = asyncio.Event()  # is never set
    outcomes = client.score(Source(), ordered=False)
    while all("text 40" not in call.texts for call in threaded_service.calls):
        next(outcomes)
    if close:
        outcomes.close()
    del outcomes
    wait_until(lambda: threaded_service.in_flight == 0 and client.state().in_flight == 0)
    assert client.classify("text").tokens == 3
