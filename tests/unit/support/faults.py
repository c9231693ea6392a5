"""What the tests of the layers script the fake service with, and their sleep."""

import asyncio
import math
from collections.abc import Callable

import grpc
from undertone_client import BreakerSettings, Mode, RetryPolicy, Settings
from undertone_client.testing import Fault

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
CANCELLED, INTERNAL, OK = grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.OK
HANG = Fault(OK, delay_seconds=math.inf)
BATCH = Settings(mode=Mode.BATCH)
IMPATIENT = Settings(breaker=BreakerSettings(patience_seconds=0))
SOON = RetryPolicy(initial_seconds=0.001, max_seconds=0.001)


async def at_once(seconds: float) -> None:
    """Does not sleep."""
    await asyncio.sleep(0)


class Sleeper:
    """Sleeps until it is woken, and notes how long it was asked to."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.woken = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self.woken.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task or the network does."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.002)
