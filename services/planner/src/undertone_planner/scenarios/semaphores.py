"""The paper's Table 2 on a simulated fleet: throughput by semaphore, with an autoscaler.

tests/simulation/README.md describes the fleet and the result.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from undertone_client import CallState, Failure, LimitSettings, Paragraph, Policy, ServiceError, Settings
from undertone_client.wire import single_request

from undertone_planner.fleet.autoscaler import AutoscalerSettings
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.fleet import Fleet, FleetSettings, Probes
from undertone_planner.fleet.nodes import NodePoolSettings
from undertone_planner.fleet.pod import PodSettings, ServiceTime
from undertone_planner.fleet.transport import FleetTransport, fleet_client

SEMAPHORES: Final = (10, 25, 50, 75)

MAX_CONSECUTIVE_FAILURES: Final = 64
"""A client stops after this many failures in a row, as `undertone score` does."""

PARAGRAPH: Final = "word " * 18
"""20 tokens, which take a pod 3 s."""

FLEET: Final = FleetSettings(
    pods=8,
    pod=PodSettings(ServiceTime(seconds_per_call=0.2, seconds_per_token=0.14), queue=200, load_seconds=20.0),
    probes=Probes(period_seconds=5.0, timeout_seconds=1.0, seconds_per_call=0.13, readiness_failures=2, liveness_failures=3),
    autoscaler=AutoscalerSettings(target_utilization=0.7, min_replicas=8, max_replicas=100),
    nodes=NodePoolSettings(cpus=2.0, initial_nodes=12, scan_seconds=10.0, boot_seconds=30.0, empty_seconds=3600.0),
)


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one client. `answers` are times, `pods` is the number at the end."""

    name: str
    answers: list[float]
    failed: int
    restarts: int
    pods: int
    seconds: float

    @property
    def rate(self) -> float:
        """Scored paragraphs per second."""
        return len(self.answers) / self.seconds

    @property
    def final_rate(self) -> float:
        """Scored paragraphs per second in the last third of the time."""
        return sum(second > self.seconds * 2 / 3 for second in self.answers) / (self.seconds / 3)


def plain(semaphore: int, seconds: float) -> Result:
    """The paper's first client: a semaphore, four attempts, no circuit breaker."""
    return run(_plain(semaphore, seconds))


def fixed(limit: int, seconds: float) -> Result:
    """Undertone's client with a fixed limit."""
    return run(_undertone(f"fixed {limit}", LimitSettings.fixed(limit), seconds))


def adaptive(seconds: float) -> Result:
    """Undertone's client with its default settings."""
    return run(_undertone("adaptive", LimitSettings(), seconds))


def results(seconds: float) -> Iterable[Result]:
    """All clients.

    Each scores an endless stream of equal paragraphs, one per call as in the paper.
    """
    yield from (plain(semaphore, seconds) for semaphore in SEMAPHORES)
    yield from (fixed(semaphore, seconds) for semaphore in SEMAPHORES)
    yield adaptive(seconds)


async def _plain(semaphore: int, seconds: float) -> Result:
    now = asyncio.get_running_loop().time
    answers: list[float] = []
    failed = 0

    async with Fleet(FLEET) as fleet:
        transport = FleetTransport(fleet, timeout_seconds=60)
        request = single_request(Paragraph(PARAGRAPH), Policy.CHUNK_MEAN)

        async def worker() -> None:
            nonlocal failed
            while True:
                for _ in range(4):
                    with contextlib.suppress(ServiceError):
                        await transport.send(request, CallState())
                        answers.append(now())
                        break
                    await asyncio.sleep(2)
                else:
                    failed += 1

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as workers:
                for _ in range(semaphore):
                    workers.create_task(worker())
        return Result(f"plain {semaphore}", answers, failed, fleet.restarts, len(fleet.pods), seconds)


async def _undertone(name: str, limit: LimitSettings, seconds: float) -> Result:
    now = asyncio.get_running_loop().time
    answers: list[float] = []
    failed = consecutive_failures = 0
    settings = Settings(limit=limit, batch_items=1, timeout_seconds=60)
    async with Fleet(FLEET) as fleet, fleet_client(fleet, settings) as client:
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(seconds),
                contextlib.aclosing(client.score(itertools.repeat(PARAGRAPH), ordered=False)) as outcomes,
            ):
                async for outcome in outcomes:
                    if isinstance(outcome, Failure):
                        failed, consecutive_failures = failed + 1, consecutive_failures + 1
                        if consecutive_failures == MAX_CONSECUTIVE_FAILURES:
                            break
                    else:
                        consecutive_failures = 0
                        answers.append(now())
        return Result(name, answers, failed, fleet.restarts, len(fleet.pods), seconds)
