"""A batcher on a virtual clock with a simulated TF Serving, and callers with deadlines.

The model server has two cores and computes abandoned calls to their end.
"""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field

import numpy as np
from undertone_planner.fleet.clock import run
from undertone_sidecar.batching import BatchLimits, MicroBatcher, Request
from undertone_sidecar.errors import SidecarError, status_of
from undertone_sidecar.lengths import PaddedLengths
from undertone_sidecar.testing import SimulatedModelServer

NEVER = math.inf
CORES = 2
LEAD_IN = 3.0
MARGIN = 0.01
BUDGET = 2048


@dataclass(frozen=True, slots=True)
class Model:
    """Duration of a call on one core, and the lengths of paragraphs in tokens.

    `slots` calls run at once, on `run_cores` each. `contention` is as in SimulatedModelServer.
    """

    call_seconds: float
    token_seconds: float
    lengths: tuple[int, ...]
    attention_length: float = math.inf
    slots: int = CORES
    run_cores: float = 1.0
    contention: float = 0.0

    @property
    def padded_lengths(self) -> PaddedLengths:
        return PaddedLengths.up_to(8192, self.attention_length)

    def alone_seconds(self, length: int) -> float:
        """Duration of a call with one paragraph, beside no other call."""
        work = self.call_seconds + self.token_seconds * length * (1 + length / self.attention_length)
        return work / min(self.run_cores, CORES)

    def speed(self, calls: int) -> float:
        """Seconds of work that each of `calls` calls at once does in a second."""
        return min(self.run_cores, CORES / calls) / (1 + self.contention * (calls - 1))

    @property
    def capacity(self) -> float:
        """Paragraphs per second with full batches. Only without `attention_length`."""
        mean = sum(self.lengths) / len(self.lengths)
        return self.slots * self.speed(self.slots) / (mean * (self.token_seconds + self.call_seconds / BUDGET))

    def largest_goodput(self, deadline: float, load: float) -> float:
        """Largest goodput of calls with one paragraph, relative to the capacity.

        As many calls run at once as end within the deadline. A slot is empty until the next random
        arrival, unless a paragraph has arrived shortly before that can still be answered in time.
        """
        work, rate = self.call_seconds + self.token_seconds * max(self.lengths), load * self.capacity
        largest = 0.0
        for calls in range(1, self.slots + 1):
            seconds = work / self.speed(calls)
            wait = deadline - MARGIN - seconds
            if wait >= 0:
                largest = max(largest, calls / (seconds + math.exp(-rate * wait) / rate))
        return largest / self.capacity


@dataclass(slots=True)
class Result:
    """Answered paragraphs in their deadline, by status, and what they cost."""

    offered: int = 0
    answered: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    goodput: float = 0.0
    cpu_seconds: float = 0.0
    refused_too_late: int = 0


class Pod:
    """A batcher with a simulated model server, whose forecast has been measured."""

    def __init__(self, model: Model, *, seed: int = 1, noise: float = 0.05) -> None:
        self.random = random.Random(seed)
        self.model = model
        self.loop = asyncio.get_running_loop()
        self.server = SimulatedModelServer(
            cores=CORES,
            threads=CORES + 7,
            call_seconds=model.call_seconds,
            token_seconds=model.token_seconds,
            run_cores=model.run_cores,
            contention=model.contention,
            attention_length=model.attention_length,
            noise=noise,
            seed=seed,
        )
        limits = BatchLimits(budget=BUDGET, slots=model.slots, queue_tokens=131072, batch_share=0.1)
        self.batcher = MicroBatcher(
            self.server, limits, call_seconds=30, margin_seconds=MARGIN, clock=self.loop.time, jitter=self.random.random
        )
        self.result = Result()

    async def warm_up(self) -> None:
        """Measures calls of several sizes for the forecast."""
        for rows in (1, 1, 1, 1, 1, 1, 2, 4, 8, 16, 32):
            await asyncio.gather(*(self.call(NEVER) for _ in range(rows)))

    async def call(self, deadline_seconds: float, length: int = 0) -> bool:
        """A paragraph with a deadline, as the pipeline handles it. Its length is random if 0."""
        started = self.loop.time()
        length = length or self.random.choice(self.model.lengths)
        self.result.offered += 1
        try:
            cost = self.model.padded_lengths.cost(length)
            request = Request(np.zeros(length, np.int32), length, 1, started + deadline_seconds, cost=cost)
            (scored,) = self.batcher.submit([request])
            async with asyncio.timeout(None if deadline_seconds == NEVER else deadline_seconds - MARGIN):
                await scored
        except (SidecarError, TimeoutError) as error:
            code = "DEADLINE_EXCEEDED" if isinstance(error, TimeoutError) else status_of(error).code.name
            self.result.codes[code] += 1
            self.result.refused_too_late += code == "RESOURCE_EXHAUSTED" and self.loop.time() > started + deadline_seconds
            return False
        self.result.codes["OK"] += 1
        self.result.answered += 1
        return True

    async def measure(self, load: Coroutine[None, None, None], seconds: float) -> Result:
        """The result of `seconds` under a load that has run for LEAD_IN seconds."""
        await self.warm_up()
        task = asyncio.create_task(load)
        await asyncio.sleep(LEAD_IN)
        self.result, cpu_before = Result(), self.server.busy_seconds
        await asyncio.sleep(seconds)
        result, self.result = self.result, Result()
        result.goodput = result.answered / seconds / self.model.capacity
        result.cpu_seconds = (self.server.busy_seconds - cpu_before) / max(1, result.answered)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.batcher.close()
        return result


async def arrivals_at(pod: Pod, load: float, *deadlines: float) -> None:
    """Poisson arrivals at `load` times the capacity, until the task is cancelled."""
    async with asyncio.TaskGroup() as calls:
        while True:
            await asyncio.sleep(pod.random.expovariate(load * pod.model.capacity))
            calls.create_task(pod.call(pod.random.choice(deadlines)))


def open_loop(
    model: Model,
    deadlines: tuple[float, ...],
    load: float,
    *,
    seconds: float = 40.0,
    seed: int = 1,
    slowdown: float = 1.0,
    noise: float = 0.05,
) -> tuple[Result, SimulatedModelServer]:
    """Poisson arrivals at `load` times the capacity.

    The model server slows down by the factor `slowdown` after half of the time.
    """

    async def main() -> tuple[Result, SimulatedModelServer]:
        pod = Pod(model, seed=seed, noise=noise)

        async def load_pod() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(arrivals_at(pod, load, *deadlines))
                await asyncio.sleep(LEAD_IN + seconds / 2)
                pod.server.slowdown = slowdown

        return await pod.measure(load_pod(), seconds), pod.server

    return run(main())


def retrying_callers(model: Model, deadlines: tuple[float, ...], callers: int, *, seconds: float = 12.0) -> Result:
    """A closed loop of callers who retry a failed call after 10 ms, and ignore the pushback."""

    async def main() -> Result:
        pod = Pod(model)

        async def caller() -> None:
            while True:
                if not await pod.call(pod.random.choice(deadlines)):
                    await asyncio.sleep(0.01)

        async def load_pod() -> None:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(callers):
                    tasks.create_task(caller())

        return await pod.measure(load_pod(), seconds)

    return run(main())


def unloaded_cpu(model: Model) -> float:
    """CPU seconds of a paragraph that is alone."""
    return model.call_seconds + model.token_seconds * sum(model.lengths) / len(model.lengths)
