"""Load for the tests of alerts and dashboards. Its calls cover all metrics of the sidecar."""

import asyncio
import itertools
import string
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.testing import FakeTFServing

from tests.integration.support.callers import Stub

DEADLINE_SECONDS = 5.0


def full_text(start: str = "") -> str:
    """A text of 30 one-letter words, starting with `start`.

    With the two special tokens of the model it has 32 tokens, the maximum, so it needs no padding.
    """
    return " ".join(f"{start}{2 * string.ascii_lowercase}"[:30])


class Load:
    """The calls of the callers. With `short`, texts have one word, so most tokens are padding."""

    def __init__(self, stub: Stub, deadline_seconds: float) -> None:
        self.short = False
        self._stub = stub
        self._deadline_seconds = deadline_seconds
        self._numbers = itertools.count()

    async def call(self) -> None:
        number = next(self._numbers)
        text, policy = ("a" if self.short else full_text()), classifier_pb2.OVERLENGTH_POLICY_UNSPECIFIED
        if number % 20 == 0:
            text = ""
        elif number % 20 in (7, 14):
            text = f"{full_text()} {full_text()}"
            policy = classifier_pb2.OVERLENGTH_POLICY_TRUNCATE if number % 20 == 7 else policy
        request = classifier_pb2.ClassifyRequest(text=text, overlength_policy=policy)
        try:
            await self._stub.Classify(request, timeout=self._deadline_seconds)
        except grpc.aio.AioRpcError as error:
            # Rejected callers wait before the next call.
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                await asyncio.sleep(1)

    async def call_forever(self) -> None:
        while True:
            await self.call()
            await asyncio.sleep(0.05)


@asynccontextmanager
async def calling(target: str, *, callers: int, deadline_seconds: float = DEADLINE_SECONDS) -> AsyncIterator[Load]:
    """Runs `callers` concurrent callers until the block ends."""
    async with grpc.aio.insecure_channel(target) as channel:
        load = Load(classifier_pb2_grpc.ClassifierStub(channel), deadline_seconds)
        async with _running(*(load.call_forever() for _ in range(callers))):
            yield load


@asynccontextmanager
async def paced(*servings: FakeTFServing, seconds: float = 0.05) -> AsyncIterator[asyncio.Event]:
    """Lets the model servers answer every `seconds`. Yields an event that stops the answers."""
    stopped = asyncio.Event()

    async def pace() -> None:
        while not stopped.is_set():
            for serving in servings:
                serving.release()
            await asyncio.sleep(0.005)
            for serving in servings:
                serving.hold()
            await asyncio.sleep(seconds - 0.005)

    async with _running(pace()):
        yield stopped


@asynccontextmanager
async def _running(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
