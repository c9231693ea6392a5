"""Calls of the service, checks of their results, and continuous load."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, TypeAlias

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.support.processes import TIMEOUT_SECONDS, Sidecar, until

Stub: TypeAlias = "classifier_pb2_grpc.ClassifierAsyncStub"  # a name of the type stubs only
Reply: TypeAlias = classifier_pb2.ClassifyResponse
Probabilities: TypeAlias = Sequence[float]

TOLERANCE: Final = 1e-5
"""Maximum difference between a probability and that of the same text in a call of its own."""

MODEL_TOKENS: Final = 64
"""Maximum tokens of the tiny model."""

_WORDS: Final = ("the", "and", "was", "her", "his", "sea", "rain", "letter", "door", "night", "laughed", "wept", "waited")


def paragraphs(count: int, *, longest: int = 60, seed: int = 0) -> list[str]:
    """Distinct paragraphs of 1 to `longest` words. Each word is one token of the tiny model."""
    rng = random.Random(seed)
    return [" ".join(rng.choices(_WORDS, k=rng.randint(1, longest))) + f" {number}" for number in range(count)]


async def ask(stub: Stub, text: str, policy: int = 0) -> Reply:
    request = classifier_pb2.ClassifyRequest(text=text, overlength_policy=policy)  # type: ignore[arg-type]
    return await stub.Classify(request, timeout=TIMEOUT_SECONDS)


async def ask_batch(stub: Stub, texts: Sequence[str], policy: int = 0) -> classifier_pb2.ClassifyBatchResponse:
    request = classifier_pb2.ClassifyBatchRequest(
        paragraphs=[classifier_pb2.Paragraph(text=text, id=str(index)) for index, text in enumerate(texts)],
        overlength_policy=policy,  # type: ignore[arg-type]
    )
    return await stub.ClassifyBatch(request, timeout=TIMEOUT_SECONDS)


async def classify_code(stub: Stub, identifier: str) -> grpc.StatusCode:
    """The status of a call with this id."""
    call = stub.Classify(classifier_pb2.ClassifyRequest(text="rain", id=identifier), timeout=TIMEOUT_SECONDS)
    return await call.code()


async def answers_alone(stub: Stub, texts: Sequence[str]) -> dict[str, Probabilities]:
    """Probabilities of each text in a call of its own."""
    return {text: (await ask(stub, text)).probabilities for text in texts}


def assert_correct(replies: Sequence[tuple[str, Reply]], answers: Mapping[str, Probabilities]) -> None:
    for text, reply in replies:
        assert reply.probabilities == pytest.approx(answers[text], abs=TOLERANCE, rel=0)
        assert reply.label == reply.labels[max(range(len(reply.labels)), key=reply.probabilities.__getitem__)]


async def wait_for_calls(sidecar: Sidecar, **calls: int) -> None:
    """Waits until there are this many calls of each method in flight."""

    def are_in_flight() -> bool:
        return all(sidecar.calls_running(method) == count for method, count in calls.items())

    await asyncio.to_thread(until, are_in_flight, f"calls in flight: {calls}")


class Load:
    """Results of continuous load: replies and failed calls."""

    def __init__(self) -> None:
        self.replies: list[tuple[str, Reply]] = []
        self.refusals: list[grpc.aio.AioRpcError] = []

    async def more_replies(self, count: int) -> None:
        """Waits for `count` further replies."""
        await _wait_for_growth(self.replies, count)

    async def more_refusals(self, count: int) -> None:
        """Waits for `count` further failed calls."""
        await _wait_for_growth(self.refusals, count)


@contextlib.asynccontextmanager
async def under_load(stub: Stub, texts: Sequence[str], *, callers: int = 16) -> AsyncIterator[Load]:
    """Runs callers that send one text after the other.

    Waits at the end for the last reply of each.
    """
    load, stopped = Load(), asyncio.Event()

    async def caller(first: int) -> None:
        for text in itertools.cycle([*texts[first:], *texts[:first]]):
            if stopped.is_set():
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
        stopped.set()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await asyncio.gather(*tasks)


@contextlib.asynccontextmanager
async def neighbours(target: str) -> AsyncIterator[None]:
    """Runs callers on a connection of their own, and a health watch.

    They are answered before and after the block. None of their calls may fail.
    """
    async with grpc.aio.insecure_channel(target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        async with under_load(classifier_pb2_grpc.ClassifierStub(channel), ["the rain"], callers=2) as load:
            await load.more_replies(2)
            yield
            await load.more_replies(2)
        assert load.refusals == []
        assert not watch.done()
        watch.cancel()


async def _wait_for_growth(results: Sequence[object], count: int) -> None:
    wanted = len(results) + count
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(results) < wanted:  # noqa: ASYNC110 - many tasks add results
            await asyncio.sleep(0.01)
