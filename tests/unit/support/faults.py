"""Faults, settings and sleeps for tests of the client."""

import asyncio
import math
from collections.abc import Callable

import grpc
from undertone_client import BreakerSettings, Mode, RetryPolicy, Settings
from undertone_client.testing import Fault

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
CANCELLED, INTERNAL, OK = grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.OK
HANG = Fault(OK, delay_seconds=math.inf)
BATCH_MODE = Settings(mode=Mode.BATCH)
NO_PATIENCE = Settings(breaker=BreakerSettings(patience_seconds=0))
FAST_RETRIES = RetryPolicy(initial_seconds=0.001, max_seconds=0.001)


async def no_sleep(seconds: float) -> None:
    """Return in the next loop iteration."""
    await asyncio.sleep(0)


class Sleeper:
    """Sleeps until `awake` is set, and records the requested durations."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.awake = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self.awake.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another task or the network fulfils."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.002)
