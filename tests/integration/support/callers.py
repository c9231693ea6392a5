"""What callers ask, whether the answer is the right one, and callers who ask without pause."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, TypeAlias

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.support.processes import PATIENCE_SECONDS

Stub: TypeAlias = "classifier_pb2_grpc.ClassifierAsyncStub"  # a name of the type stubs only
Reply: TypeAlias = classifier_pb2.ClassifyResponse
Probabilities: TypeAlias = Sequence[float]

TOLERANCE: Final = 1e-5
"""Largest difference between a probability and that of the same text asked alone."""

MODEL_TOKENS: Final = 64
"""What the tiny model reads at once."""

_WORDS: Final = ("the", "and", "was", "her", "his", "sea", "rain", "letter", "door", "night", "laughed", "wept", "waited")


def paragraphs(count: int, *, longest: int = 60, seed: int = 0) -> list[str]:
    """Different paragraphs of 1 to `longest` words, each word one token of the tiny model."""
    choose = random.Random(seed)
    return [" ".join(choose.choices(_WORDS, k=choose.randint(1, longest))) + f" {number}" for number in range(count)]


async def ask(stub: Stub, text: str, policy: int = 0) -> Reply:
    request = classifier_pb2.ClassifyRequest(text=text, overlength_policy=policy)  # type: ignore[arg-type]
    return await stub.Classify(request, timeout=PATIENCE_SECONDS)


async def ask_batch(stub: Stub, texts: Sequence[str], policy: int = 0) -> classifier_pb2.ClassifyBatchResponse:
    request = classifier_pb2.ClassifyBatchRequest(
        paragraphs=[classifier_pb2.Paragraph(text=text, id=str(index)) for index, text in enumerate(texts)],
        overlength_policy=policy,  # type: ignore[arg-type]
    )
    return await stub.ClassifyBatch(request, timeout=PATIENCE_SECONDS)


async def answers_alone(stub: Stub, texts: Sequence[str]) -> dict[str, Probabilities]:
    """The answer that each text gets when nothing else is asked."""
    return {text: (await ask(stub, text)).probabilities for text in texts}


def assert_right(replies: Sequence[tuple[str, Reply]], answers: Mapping[str, Probabilities]) -> None:
    for text, reply in replies:
        assert reply.probabilities == pytest.approx(answers[text], abs=TOLERANCE, rel=0)
        assert reply.label == reply.labels[max(range(len(reply.labels)), key=reply.probabilities.__getitem__)]


class Load:
    """What became of the calls of callers who ask without pause."""

    def __init__(self) -> None:
        self.replies: list[tuple[str, Reply]] = []
        self.refusals: list[grpc.aio.AioRpcError] = []

    async def more_replies(self, count: int) -> None:
        """Waits for so many more."""
        await _longer(self.replies, count)

    async def more_refusals(self, count: int) -> None:
        """Waits for so many more."""
        await _longer(self.refusals, count)


@contextlib.asynccontextmanager
async def under_load(stub: Stub, texts: Sequence[str], *, callers: int = 16) -> AsyncIterator[Load]:
    """While the block runs, callers ask one text after the other. Ends when each has the answer to its last call."""
    load, leaving = Load(), asyncio.Event()

    async def caller(first: int) -> None:
        for text in itertools.cycle([*texts[first:], *texts[:first]]):
            if leaving.is_set():
                return
            try:
                load.replies.append((text, await ask(stub, text)))
            except grpc.aio.AioRpcError as error:
                load.refusals.append(error)
                await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(caller(number % len(texts))) for number in range(callers)]
    try:
        yield load
    finally:
        leaving.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*tasks)


async def _longer(results: Sequence[object], count: int) -> None:
    wanted = len(results) + count
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(results) < wanted:  # noqa: ASYNC110 - both kinds come one by one, from many tasks
            await asyncio.sleep(0.01)
