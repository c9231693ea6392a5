"""Callers whose calls, all in all, touch everything that is measured, and a model server whose pace is bounded."""

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


def full(start: str = "") -> str:
    """A text of one-letter words, those of `start` first. With the model's two special tokens 32, its most: not padded."""
    return " ".join(f"{start}{2 * string.ascii_lowercase}"[:30])


class Load:
    """What the callers send. `short` has them send texts of one word, which are mostly padding."""

    def __init__(self, stub: Stub) -> None:
        self.short = False
        self._stub = stub
        self._numbers = itertools.count()

    async def call(self) -> None:
        number = next(self._numbers)
        text, policy = ("a" if self.short else full()), classifier_pb2.OVERLENGTH_POLICY_UNSPECIFIED
        if number % 20 == 0:
            text = ""
        elif number % 20 in (7, 14):
            text = f"{full()} {full()}"
            policy = classifier_pb2.OVERLENGTH_POLICY_TRUNCATE if number % 20 == 7 else policy
        request = classifier_pb2.ClassifyRequest(text=text, overlength_policy=policy)
        try:
            await self._stub.Classify(request, timeout=DEADLINE_SECONDS)
        except grpc.aio.AioRpcError as error:
            # Who is refused comes back later.
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                await asyncio.sleep(1)

    async def call_on_and_on(self) -> None:
        while True:
            await self.call()
            await asyncio.sleep(0.05)


@asynccontextmanager
async def calling(target: str, *, callers: int) -> AsyncIterator[Load]:
    """So many callers, until the block ends."""
    async with grpc.aio.insecure_channel(target) as channel:
        load = Load(classifier_pb2_grpc.ClassifierStub(channel))
        async with _running(*(load.call_on_and_on() for _ in range(callers))):
            yield load


@asynccontextmanager
async def at_a_pace(*servings: FakeTFServing) -> AsyncIterator[asyncio.Event]:
    """Answers of the model servers every 50 ms; none once the event is set."""
    hangs = asyncio.Event()

    async def pace() -> None:
        while not hangs.is_set():
            for serving in servings:
                serving.release()
            await asyncio.sleep(0.005)
            for serving in servings:
                serving.hold()
            await asyncio.sleep(0.045)

    async with _running(pace()):
        yield hangs


@asynccontextmanager
async def _running(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
