"""Calls with deadlines against a service: open loop, callers who retry at once, and health."""

import asyncio
import contextlib
import math
import random
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_cli.quantiles import quantile
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from undertone_bench.load_generator import CallResult, open_loop, poisson_arrivals
from undertone_bench.options import progress
from undertone_bench.processes import CpuMeter
from undertone_bench.workload import Paragraph

NEVER: Final = math.inf
"""The deadline of callers without a deadline."""

LEAD_IN_SECONDS: Final = 2.0
"""Time under load before a measurement, in which the queue fills."""

_RETRY_SECONDS: Final = 0.01
_HEALTH_TIMEOUT_SECONDS: Final = 1.0
_HEALTH_SECONDS: Final = 0.1
_SETTLE_SECONDS: Final = 1.0
"""Time between two measurements, in which the calls of the first one end."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What callers saw during `seconds`, and what the service used.

    Attributes:
        seconds: Duration.
        codes: Number of calls by status code. A call whose deadline passed is DEADLINE_EXCEEDED.
        latencies: Seconds of each successful call, from the time at which it was due.
        cpu_seconds: CPU seconds by process name. Empty for a service of another command.
        healthy: Share of health checks that were answered with SERVING in time.
    """

    seconds: float
    codes: Mapping[str, int]
    latencies: tuple[float, ...]
    cpu_seconds: Mapping[str, float]
    healthy: float

    @property
    def goodput(self) -> float:
        """Answers within their deadline per second."""
        return len(self.latencies) / self.seconds

    @property
    def cpu_seconds_per_answer(self) -> float:
        """CPU seconds of all processes of the service for each answer. 0 if they are unknown."""
        return sum(self.cpu_seconds.values()) / max(1, len(self.latencies))


class DeadlineLoad:
    """A load generator without retries or limits of its own."""

    def __init__(self, target: str, paragraphs: Sequence[Paragraph], pids: Mapping[str, int]) -> None:
        self._channel = grpc.aio.insecure_channel(target)
        # On the same connection, health checks would wait for calls that exceed its streams.
        self._health_channel = grpc.aio.insecure_channel(target, options=(("grpc.use_local_subchannel_pool", 1),))
        self._classifier = classifier_pb2_grpc.ClassifierStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._health_channel)
        self._requests = [classifier_pb2.ClassifyRequest(text=paragraph.text) for paragraph in paragraphs]
        self._pids = pids
        self._random = random.Random(7)
        self._codes: Counter[str] = Counter()
        self._latencies: list[float] = []

    async def open_loop(self, rate: float, deadlines: Sequence[float], seconds: float) -> Measurement:
        """Poisson arrivals at `rate` per second, each with one of the deadlines in seconds."""
        return await self._measure(self._arrivals(rate, deadlines), seconds)

    async def closed_loop(self, callers: int, deadlines: Sequence[float], seconds: float) -> Measurement:
        """Callers without a pause. Each retries a failed call after 10 ms, despite the pushback."""
        return await self._measure(self._callers(callers, deadlines), seconds)

    async def complete_open_loop(self, rate: float, seconds: float) -> Sequence[CallResult[float]]:
        """Poisson arrivals without deadlines for `seconds`, with the results of all calls."""

        async def call(deadline: float) -> bool:
            return await self._call(deadline, time.perf_counter())

        return await open_loop(call, [NEVER], poisson_arrivals(rate, seconds, self._random))

    async def close(self) -> None:
        await self._channel.close()
        await self._health_channel.close()

    async def _measure(self, load: Coroutine[Any, Any, None], seconds: float) -> Measurement:
        task = asyncio.create_task(load)
        try:
            await asyncio.sleep(LEAD_IN_SECONDS)
            self._reset()
            meter, started = CpuMeter(self._pids), time.perf_counter()
            healthy = await self._watch_health(started + seconds)
            elapsed = time.perf_counter() - started
            return Measurement(elapsed, dict(self._codes), tuple(self._latencies), meter.read(), healthy)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await asyncio.sleep(_SETTLE_SECONDS)

    def _reset(self) -> None:
        self._codes, self._latencies = Counter(), []

    async def _arrivals(self, rate: float, deadlines: Sequence[float]) -> None:
        due = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            while True:
                due += self._random.expovariate(rate)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                calls.create_task(self._call(self._random.choice(deadlines), due))

    async def _callers(self, callers: int, deadlines: Sequence[float]) -> None:
        async def caller(deadline: float) -> None:
            while True:
                if not await self._call(deadline, time.perf_counter()):
                    await asyncio.sleep(_RETRY_SECONDS)

        async with asyncio.TaskGroup() as tasks:
            for number in range(callers):
                tasks.create_task(caller(deadlines[number % len(deadlines)]))

    async def _call(self, deadline: float, due: float) -> bool:
        """Whether the call succeeded. `deadline` is in seconds from `due`."""
        timeout = None if deadline == NEVER else max(0.001, due + deadline - time.perf_counter())
        try:
            await self._classifier.Classify(self._random.choice(self._requests), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            self._codes[error.code().name] += 1
            return False
        self._codes[grpc.StatusCode.OK.name] += 1
        self._latencies.append(time.perf_counter() - due)
        return True

    async def _watch_health(self, end: float) -> float:
        """Share of health checks with SERVING, until the time `end`. At least one check is made."""
        checks: list[bool] = []
        while not checks or time.perf_counter() < end:
            try:
                reply = await self._health.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_TIMEOUT_SECONDS)
                checks.append(bool(reply.status == health_pb2.HealthCheckResponse.SERVING))
            except grpc.aio.AioRpcError:
                checks.append(False)
            await asyncio.sleep(min(_HEALTH_SECONDS, max(0.0, end - time.perf_counter())))
        return sum(checks) / len(checks)


async def server_rate(load: DeadlineLoad, capacity: float, bound: float, bisections: int, seconds: float) -> float:
    """MLPerf's server rate: the highest Poisson rate whose p99 latency is within `bound` seconds.

    Bisects `bisections` times between 0 and `capacity`, the rate of saturated callers, from 0.75 of
    it on. Each step takes `seconds`. 0 if no rate was within the bound.
    """
    if not capacity:
        return 0.0
    low, high, share = 0.0, 1.0, 0.75
    for _ in range(bisections):
        results = await load.complete_open_loop(share * capacity, seconds)
        p99 = quantile([result.seconds for result in results], 0.99) if results else NEVER
        progress(f"server rate {share:.3f} of capacity: p99 {p99:.2f} s of {len(results)} calls")
        if p99 <= bound and all(result.ok for result in results):
            low = share
        else:
            high = share
        share = (low + high) / 2
    return low * capacity
