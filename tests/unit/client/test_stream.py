"""The guarantees of a stream, against a service that is a function and answers in any order."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.settings import Settings
from undertone_client.stream import Stream
from undertone_client.values import Failure, Model, Outcome, Paragraph, Score, ServiceLimits, Timings

LIMITS = ServiceLimits(max_paragraph_bytes=300, max_paragraph_characters=250, max_batch_paragraphs=7, max_batch_bytes=1500)
MODEL, TIMINGS = Model("m", 1, "fp32"), Timings(0, 0, 0, 0)
TEXTS = st.lists(st.text(max_size=20).map(lambda text: text * 15), max_size=60)


class Service:
    """Answers after a random number of loop iterations and records its calls."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.batches: list[list[Paragraph]] = []
        self.running = 0
        self.most_running = 0

    async def __call__(self, paragraphs: Sequence[Paragraph]) -> list[Outcome]:
        self.batches.append(list(paragraphs))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        for _ in range(self._random.randrange(6)):
            await asyncio.sleep(0)
        self.running -= 1
        return [self._answer(paragraph) for paragraph in paragraphs]

    def _answer(self, paragraph: Paragraph) -> Outcome:
        if self._random.random() < 0.2:
            return Failure(paragraph, grpc.StatusCode.UNAVAILABLE, "down", 3)
        return Score(paragraph, "joy", ("joy",), (1.0,), 3, truncated=False, chunks=1, timings=TIMINGS, model=MODEL)


def numbered(texts: Iterable[str]) -> list[Paragraph]:
    return [Paragraph(text, str(index)) for index, text in enumerate(texts)]


async def slowly(paragraphs: Iterable[Paragraph], seed: int) -> AsyncIterator[Paragraph]:
    generator = random.Random(seed)
    for paragraph in paragraphs:
        for _ in range(generator.randrange(3)):
            await asyncio.sleep(0)
        yield paragraph


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(1, 4), st.integers(4, 20), st.booleans(), st.booleans(), st.integers(0, 99))
def test_each_paragraph_gets_one_outcome_within_all_bounds(
    texts: list[str], in_flight: int, lookahead: int, ordered: bool, slow: bool, seed: int
) -> None:
    paragraphs = numbered(texts)
    service = Service(seed)
    client_settings = Settings(batch_items=4, batch_characters=400, lookahead_items=lookahead)

    async def score() -> list[Outcome]:
        stream = Stream(service, lambda: in_flight, client_settings, LIMITS, ordered=ordered)
        return [outcome async for outcome in stream.run(slowly(paragraphs, seed) if slow else paragraphs)]

    outcomes = asyncio.run(score())
    ids = [outcome.paragraph.id for outcome in outcomes]
    assert sorted(ids, key=int) == [paragraph.id for paragraph in paragraphs]
    if ordered:
        assert ids == [paragraph.id for paragraph in paragraphs]
    assert service.most_running <= in_flight
    for batch in service.batches:
        assert len(batch) <= 4
        if len(batch) > 1:
            assert sum(len(paragraph.text) for paragraph in batch) <= 400
            assert sum(len(paragraph.text.encode()) for paragraph in batch) <= LIMITS.max_batch_bytes
        for paragraph in batch:
            assert len(paragraph.text) <= LIMITS.max_paragraph_characters
            assert len(paragraph.text.encode()) <= LIMITS.max_paragraph_bytes


@pytest.mark.parametrize("ordered", [True, False])
async def test_the_source_is_read_no_further_than_the_lookahead(ordered: bool) -> None:
    taken = 0

    def source() -> Iterator[str]:
        nonlocal taken
        for index in range(500):
            taken += 1
            yield f"paragraph {index}"

    client_settings = Settings(batch_items=4, lookahead_items=16)
    yielded = 0
    async for _ in Stream(Service(), lambda: 4, client_settings, LIMITS, ordered=ordered).run(source()):
        yielded += 1
        for _ in range(10):
            await asyncio.sleep(0)  # a slow consumer
        assert taken - yielded <= 16
    assert yielded == 500


async def test_the_lookahead_is_bounded_in_characters() -> None:
    held = 0
    most = 0

    def source() -> Iterator[str]:
        nonlocal held, most
        for _ in range(60):
            held += 1
            most = max(most, held)
            yield "x" * 100

    client_settings = Settings(batch_items=4, lookahead_items=1000, lookahead_characters=1000)
    async for _ in Stream(Service(), lambda: 4, client_settings, LIMITS, ordered=True).run(source()):
        held -= 1
    assert most <= 11


async def test_calls_continue_while_the_consumer_is_busy() -> None:
    service = Service()
    client_settings = Settings(batch_items=4, lookahead_items=16)
    stream = Stream(service, lambda: 1, client_settings, LIMITS, ordered=True).run(f"paragraph {index}" for index in range(40))
    await anext(stream)
    for _ in range(100):
        await asyncio.sleep(0)
    assert [len(batch) for batch in service.batches] == [4, 4, 4, 4]
    await stream.aclose()


async def test_a_call_starts_before_a_slow_source_fills_a_call() -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "first"
        await more.wait()
        yield "second"

    stream = Stream(Service(), lambda: 4, Settings(), LIMITS, ordered=True).run(source())
    assert (await anext(stream)).paragraph.text == "first"
    more.set()
    assert [outcome.paragraph.text async for outcome in stream] == ["second"]


async def test_calls_start_while_a_plain_iterable_is_read() -> None:
    service = Service()
    calls_by_then: list[int] = []

    def source() -> Iterator[str]:
        for index in range(1500):
            calls_by_then.append(len(service.batches))
            yield f"paragraph {index}"

    outcomes = [outcome async for outcome in Stream(service, lambda: 4, Settings(), LIMITS, ordered=True).run(source())]
    assert len(outcomes) == 1500
    assert calls_by_then[600] > 0


async def test_paragraphs_of_similar_length_share_a_call() -> None:
    service = Service()
    texts = ["x" * (10 if index % 2 else 100) for index in range(56)]
    client_settings = Settings(batch_items=7, lookahead_items=56)
    stream = Stream(service, lambda: 4, client_settings, LIMITS, ordered=True)
    assert len([outcome async for outcome in stream.run(texts)]) == 56
    assert all(len({len(paragraph.text) for paragraph in batch}) == 1 for batch in service.batches)


async def test_an_exception_of_the_source_is_raised_after_the_outcomes_before_it() -> None:
    def source() -> Iterator[str]:
        yield "one"
        yield "two"
        raise LookupError("bad source")

    stream = Stream(Service(), lambda: 4, Settings(), LIMITS, ordered=True).run(source())
    seen = [(await anext(stream)).paragraph.text for _ in range(2)]
    assert seen == ["one", "two"]
    with pytest.raises(LookupError, match="bad source"):
        await anext(stream)


async def test_paragraphs_that_cannot_be_sent_fail_alone() -> None:
    service = Service(seed=1)
    texts = ["fine", "\ud800", "x" * 251, "é" * 200, "fine too"]
    outcomes = [outcome async for outcome in Stream(service, lambda: 4, Settings(), LIMITS, ordered=True).run(texts)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Failure) and outcome.attempts == 0]
    assert [outcome.paragraph.text for outcome in refused] == texts[1:4]
    assert {outcome.status for outcome in refused} == {grpc.StatusCode.INVALID_ARGUMENT}
    for outcome, reason in zip(refused, ("lone surrogate", "251 characters", "400 bytes"), strict=True):
        assert reason in outcome.reason
        assert "x" * 20 not in outcome.reason


async def test_closing_the_stream_early_cancels_the_calls() -> None:
    ended = asyncio.Event()

    async def forever(paragraphs: Sequence[Paragraph]) -> list[Outcome]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    stream = Stream(forever, lambda: 4, Settings(), LIMITS, ordered=True).run(["one"])
    waiting = asyncio.create_task(anext(stream))
    for _ in range(5):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await stream.aclose()
    assert ended.is_set()


async def test_an_unexpected_error_of_a_call_is_raised() -> None:
    async def broken(paragraphs: Sequence[Paragraph]) -> list[Outcome]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _ = [outcome async for outcome in Stream(broken, lambda: 4, Settings(), LIMITS, ordered=True).run(["one"])]


async def test_an_item_that_is_not_a_paragraph_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="not int"):
        _ = [outcome async for outcome in Stream(Service(), lambda: 4, Settings(), LIMITS, ordered=True).run([1])]  # type: ignore[list-item]
