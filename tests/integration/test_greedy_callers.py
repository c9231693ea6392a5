"""Callers with few long texts beside callers with one word: the lane is shared fairly."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.testing import FakeTFServing, write_version

from tests.integration.support.callers import Stub
from tests.integration.support.processes import TIMEOUT_SECONDS, Launcher, Sidecar, until

GREEDY_CALLERS, SMALL_CALLERS = 8, 8
CHUNKS = 30
LONG_TEXT = " ".join("a" * (8 + 22 * CHUNKS))
"""A text of 30 chunks of 32 tokens, the maximum of the fake model."""

QUEUE_TOKENS = 4 * CHUNKS * 32 - 128
"""Four of the long texts fill the queue once a batch of the first one has left it."""

MAX_BATCHES_BEFORE = 1 + GREEDY_CALLERS + SMALL_CALLERS
"""A small request waits for the batch in flight, and for at most one request of each caller."""


@pytest.fixture
async def model_server() -> AsyncIterator[FakeTFServing]:
    serving = FakeTFServing("emotions", 1)
    yield serving
    await serving.stop()


@pytest.fixture
async def sidecar(model_server: FakeTFServing, launch: Launcher, tmp_path: Path) -> Sidecar:
    """A serving sidecar whose queue holds four of the long texts."""
    write_version(tmp_path / "emotions", 1)
    port = await model_server.start("localhost:0")
    flags = ("--chunk-overlap=8", "--batch-tokens=128", f"--max-queue-tokens={QUEUE_TOKENS}", "--model-calls=1")
    started = launch.sidecar(tmp_path / "emotions", f"localhost:{port}", *flags, "--trust-caller-metadata")
    await asyncio.to_thread(started.until_serving)
    return started


async def classify(stub: Stub, caller: str, text: str) -> str:
    """Sends one text. Returns the name of the status code."""
    request = classifier_pb2.ClassifyRequest(text=text)
    try:
        await stub.Classify(request, metadata=[("x-undertone-caller", caller)], timeout=TIMEOUT_SECONDS)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def test_one_word_callers_are_answered_beside_callers_that_fill_the_queue(
    model_server: FakeTFServing, sidecar: Sidecar
) -> None:
    async with grpc.aio.insecure_channel(sidecar.target) as channel:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        assert await classify(stub, "first", "rain") == "OK"
        model_server.hold()
        greedy = [asyncio.create_task(classify(stub, f"greedy-{number}", LONG_TEXT)) for number in range(GREEDY_CALLERS)]
        # The queue is full once a long text is refused.
        await asyncio.wait(greedy, timeout=TIMEOUT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        held = len(model_server.shapes)
        small = [asyncio.create_task(classify(stub, f"small-{number}", "rain")) for number in range(SMALL_CALLERS)]
        await asyncio.to_thread(
            until,
            lambda: sidecar.metric("undertone_tokenize_seconds_count") == 1 + GREEDY_CALLERS + SMALL_CALLERS,
            "all texts are tokenized",
        )
        model_server.release()
        assert await asyncio.gather(*small) == ["OK"] * SMALL_CALLERS
        shapes = model_server.shapes[held:]
        answers = await asyncio.gather(*greedy)
    rows = sum(rows for rows, length in shapes[:MAX_BATCHES_BEFORE] if length == 16)
    assert rows == SMALL_CALLERS
    assert 2 <= answers.count("OK") <= 4
    assert set(answers) == {"OK", "RESOURCE_EXHAUSTED"}
