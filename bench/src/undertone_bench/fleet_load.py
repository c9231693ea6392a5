"""Loads of a fleet, the same for real pods and for the fleet model.

The load is asyncio code that reads the time from its event loop: the wall clock, or the virtual
clock of the model. So differences between both come from the fleet alone.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from undertone_client import Client, Failure, LimitSettings, Paragraph, ServiceError, Settings

from undertone_bench.load_generator import open_loop, poisson_arrivals

RAMP_UP_SECONDS: Final = 5.0
"""Time under load before the measurement, in which the batch client's limit converges."""

JOB: Final = Settings(timeout_seconds=120.0, batch_items=8)
"""The client's settings of the batch job.

Small calls, because a call at the edge of the measurement counts wholly or not at all.
"""

READERS: Final = Settings(timeout_seconds=120.0, limit=LimitSettings.fixed(100_000))
"""The client's settings of the readers, who are many clients with few calls each."""


@dataclass(frozen=True, slots=True)
class FleetLoad:
    """A load.

    Attributes:
        name: Name in the report.
        batch: Whether a batch job runs, which always has paragraphs left: a closed loop.
        reader_rate: Readers' calls per second, as a Poisson process: an open loop.
        kill: Whether a pod is killed a third of the way.
    """

    name: str
    batch: bool = False
    reader_rate: float = 0.0
    kill: bool = False


@dataclass(frozen=True, slots=True)
class FleetResult:
    """What callers saw during the measurement.

    Attributes:
        batch_tokens_per_second: Tokens of the batch job's answered paragraphs.
        latencies: Seconds of each answered call of a reader, from the time at which it was due.
        failed: Failed paragraphs and calls, after the client's retries.
    """

    batch_tokens_per_second: float
    latencies: tuple[float, ...]
    failed: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Paragraphs of a load, whose ids are indices of `tokens`, their numbers of tokens."""

    paragraphs: Sequence[Paragraph]
    tokens: Sequence[int]

    @classmethod
    def of(cls, texts: Sequence[str], tokens: Sequence[int]) -> "Sample":
        return cls([Paragraph(text, id=str(number)) for number, text in enumerate(texts)], tokens)


async def run_load(
    load: FleetLoad,
    sample: Sample,
    *,
    batch: Client,
    readers: Client,
    kill: Callable[[], Awaitable[None]],
    seconds: float,
    seed: int = 7,
) -> FleetResult:
    """Run the load for the ramp-up and `seconds`, and measure the latter.

    Both clients are open. `kill` kills a pod, which then starts again by itself.
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    measured = 0
    failed = 0

    end = RAMP_UP_SECONDS + seconds

    def counts() -> bool:
        return RAMP_UP_SECONDS <= clock() - started < end

    async def run_job() -> None:
        nonlocal measured, failed
        async with contextlib.aclosing(batch.score(itertools.cycle(sample.paragraphs), ordered=False)) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, Failure):
                    failed += 1
                elif counts():
                    measured += sample.tokens[int(outcome.paragraph.id or 0)]

    async def read(call: tuple[float, Paragraph]) -> bool:
        nonlocal failed
        try:
            await readers.classify(call[1])
        except ServiceError:
            failed += 1
            return False
        return True

    async def kill_later() -> None:
        await asyncio.sleep(RAMP_UP_SECONDS + seconds / 3)
        await kill()

    tasks = []
    if load.batch:
        tasks.append(asyncio.create_task(run_job(), name="batch job"))
    if load.kill:
        tasks.append(asyncio.create_task(kill_later(), name="kill"))
    try:
        arrivals = poisson_arrivals(load.reader_rate, end, random.Random(seed)) if load.reader_rate else []
        calls = list(zip(arrivals, itertools.cycle(sample.paragraphs)))
        results = await open_loop(read, calls, arrivals, clock=clock)
        await asyncio.sleep(max(0.0, started + end - clock()))
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    latencies = tuple(result.seconds for result in results if result.ok and result.item[0] >= RAMP_UP_SECONDS)
    return FleetResult(measured / seconds, latencies, failed)
