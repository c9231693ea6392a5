"""The fleet model's batching beside the sidecar's own, for the same arrivals."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
import pytest
from undertone_planner.fleet.batching import Batching, BatchingSettings, ServiceTime
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.work import Lane, Work
from undertone_sidecar.batching.admission import BatchLimits
from undertone_sidecar.batching.batcher import MicroBatcher
from undertone_sidecar.batching.request import Lane as SidecarLane
from undertone_sidecar.batching.request import Request
from undertone_sidecar.testing.simulated_model_server import SimulatedModelServer

SECONDS = 60.0
WARM_UP_SECONDS = 10.0
BATCH_ITEMS = 32
BUDGET = 2048

Serve = Callable[[Lane, int, int], Awaitable[None]]
"""Serves a call: its lane, its number of paragraphs, and the tokens of each."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with this service time, and its load.

    `load` is the rate of the readers, relative to the capacity in full batches. `job_calls` is the
    number of calls that a job has in flight.
    """

    seconds_per_call: float
    seconds_per_token: float
    slots: int
    load: float = 0.0
    job_calls: int = 0

    @property
    def capacity(self) -> float:
        """Tokens per second."""
        return self.slots / (self.seconds_per_call / BUDGET + self.seconds_per_token)


@dataclass(frozen=True, slots=True)
class Result:
    """The job's tokens per second, and the readers' p50 and p99."""

    rate: float
    p50: float
    p99: float


def draw_length(source: random.Random) -> int:
    return 8 * round(min(64.0, max(2.0, source.lognormvariate(np.log(91 / 8), 0.8))))


async def drive(pod: Pod, serve: Serve) -> Result:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    tokens = 0

    async def job(number: int) -> None:
        nonlocal tokens
        source = random.Random(number)
        while True:
            length = draw_length(source)
            await serve(Lane.BATCH, BATCH_ITEMS, length)
            tokens += BATCH_ITEMS * length if loop.time() > WARM_UP_SECONDS else 0

    async def read(length: int) -> None:
        started = loop.time()
        await serve(Lane.ONLINE, 1, length)
        if started > WARM_UP_SECONDS:
            latencies.append(loop.time() - started)

    source = random.Random(7)
    jobs = [asyncio.create_task(job(number)) for number in range(pod.job_calls)]
    readers = []
    rate = pod.load * pod.capacity / 120
    while loop.time() < SECONDS:
        await asyncio.sleep(source.expovariate(rate) if rate else SECONDS)
        if rate:
            readers.append(asyncio.create_task(read(draw_length(source))))
    for task in jobs:
        task.cancel()
    await asyncio.gather(*readers, *jobs, return_exceptions=True)
    p50, p99 = np.quantile(latencies, [0.5, 0.99]) if latencies else (0.0, 0.0)
    return Result(tokens / (SECONDS - WARM_UP_SECONDS), float(p50), float(p99))


async def model(pod: Pod) -> Result:
    time = ServiceTime(pod.seconds_per_call, pod.seconds_per_token)
    batching = Batching(
        BatchingSettings(time, slots=pod.slots, batch_tokens=BUDGET, queue=None), asyncio.get_running_loop().time
    )
    return await drive(pod, lambda lane, count, length: batching.serve(Work(count * length, count, lane)))


async def sidecar(pod: Pod) -> Result:
    server = SimulatedModelServer(
        cores=pod.slots, threads=pod.slots, call_seconds=pod.seconds_per_call, token_seconds=pod.seconds_per_token
    )
    batcher = MicroBatcher(
        server,
        BatchLimits(budget=BUDGET, slots=pod.slots, queue_tokens=1 << 20, batch_share=0.1),
        call_seconds=30.0,
        margin_seconds=0.01,
        clock=asyncio.get_running_loop().time,
        jitter=lambda: 0.5,
    )

    async def serve(lane: Lane, count: int, length: int) -> None:
        ids = np.ones(length, np.int32)
        results = [batcher.submit([Request(ids, length, 1, float("inf"), SidecarLane(lane.value))])[0] for _ in range(count)]
        await asyncio.gather(*results)

    try:
        return await drive(pod, serve)
    finally:
        await batcher.close()


PODS = {
    "job": Pod(0.01, 0.0003, slots=2, job_calls=8),
    "job, long calls": Pod(0.05, 0.0003, slots=1, job_calls=4),
    "readers": Pod(0.01, 0.0003, slots=2, load=0.6),
    "readers, short calls": Pod(0.001, 0.001, slots=2, load=0.6),
    "readers, long calls": Pod(0.05, 0.0003, slots=2, load=0.6),
    "job beside readers": Pod(0.01, 0.0003, slots=2, load=0.2, job_calls=8),
    "job beside readers, one slot": Pod(0.004, 0.0006, slots=1, load=0.3, job_calls=6),
}


@pytest.mark.parametrize("name", PODS)
def test_the_model_predicts_the_sidecar(name: str) -> None:
    predicted, found = run(model(PODS[name])), run(sidecar(PODS[name]))
    assert predicted.rate == pytest.approx(found.rate, rel=0.05)
    assert predicted.p50 == pytest.approx(found.p50, rel=0.1)
    assert predicted.p99 == pytest.approx(found.p99, rel=0.15)
