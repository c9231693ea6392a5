"""The paper's Table 2 on the fake fleet: what a semaphore of 10, 25, 50 or 75 does to a fleet that scales itself.

    .venv/bin/python -m undertone_bench.simulation.semaphores

Arms: `plain` is the client that the paper began with: asyncio, a semaphore, four attempts two seconds apart, no circuit
breaker. `fixed` is this package's client with the same number as `LimitSettings.fixed`, `adaptive` the client as it comes.
Each works for twenty minutes on an endless stream of equal paragraphs, one in a call, as in the paper, or until it gives up.
README.md says what the fleet is like.
"""

import argparse
import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from undertone_client import CallState, Failure, LimitSettings, Paragraph, Policy, ServiceError, Settings
from undertone_client.wire import single_request

from undertone_bench.simulation.autoscaler import AutoscalerSettings
from undertone_bench.simulation.clock import run
from undertone_bench.simulation.fleet import Fleet, FleetSettings, Probes
from undertone_bench.simulation.pod import PodSettings, Speed
from undertone_bench.simulation.transport import FleetTransport, fleet_client

SEMAPHORES: Final = (10, 25, 50, 75)
SECONDS: Final = 1200.0
PATIENCE: Final = 64
"""So many paragraphs in a row that fail with UNAVAILABLE, all retries used up, end a run of `undertone score`: here, too."""
PARAGRAPH: Final = "word " * 18
"""Of 20 tokens, which take a pod 3 s."""

FLEET: Final = FleetSettings(
    pods=8,
    pod=PodSettings(Speed(seconds_per_call=0.2, seconds_per_token=0.14), queue=200, load_seconds=20.0),
    probes=Probes(period_seconds=5.0, timeout_seconds=1.0, upkeep_seconds=0.13, unready_after=2, restart_after=3),
    autoscaler=AutoscalerSettings(target=0.7, least=8, most=100),
    room=4,
    provision_seconds=40.0,
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a client has achieved: scored paragraphs a second on the whole and in the last third of its time, paragraphs
    without a score, restarts of pods, pods at the end, and the seconds of every answer."""

    name: str
    answers: list[float]
    failed: int
    restarts: int
    pods: int
    seconds: float = SECONDS

    @property
    def rate(self) -> float:
        return len(self.answers) / self.seconds

    @property
    def last_rate(self) -> float:
        return sum(second > self.seconds * 2 / 3 for second in self.answers) / (self.seconds / 3)


async def _plain(semaphore: int, seconds: float) -> Result:
    now = asyncio.get_running_loop().time
    answers: list[float] = []
    failed = 0

    async with Fleet(FLEET) as fleet:
        transport = FleetTransport(fleet, timeout_seconds=60)
        request = single_request(Paragraph(PARAGRAPH), Policy.CHUNK_MEAN)

        async def work() -> None:
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
                    workers.create_task(work())
        return Result(f"plain {semaphore}", answers, failed, fleet.restarts, len(fleet.pods), seconds)


async def _client(name: str, limit: LimitSettings, seconds: float) -> Result:
    now = asyncio.get_running_loop().time
    answers: list[float] = []
    failed = in_a_row = 0
    settings = Settings(limit=limit, batch_items=1, timeout_seconds=60)
    async with Fleet(FLEET) as fleet, fleet_client(fleet, settings) as client:
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(seconds),
                contextlib.aclosing(client.score(itertools.repeat(PARAGRAPH), ordered=False)) as outcomes,
            ):
                async for outcome in outcomes:
                    if isinstance(outcome, Failure):
                        failed, in_a_row = failed + 1, in_a_row + 1
                        if in_a_row == PATIENCE:
                            break
                    else:
                        in_a_row = 0
                        answers.append(now())
        return Result(name, answers, failed, fleet.restarts, len(fleet.pods), seconds)


def plain(semaphore: int, seconds: float = SECONDS) -> Result:
    """The paper's first client."""
    return run(_plain(semaphore, seconds))


def fixed(calls: int, seconds: float = SECONDS) -> Result:
    """This package's client, told a number."""
    return run(_client(f"fixed {calls}", LimitSettings.fixed(calls), seconds))


def adaptive(seconds: float = SECONDS) -> Result:
    """This package's client, told nothing."""
    return run(_client("adaptive", LimitSettings(), seconds))


def results(seconds: float = SECONDS) -> Iterable[Result]:
    """Every arm."""
    yield from (plain(semaphore, seconds) for semaphore in SEMAPHORES)
    yield from (fixed(semaphore, seconds) for semaphore in SEMAPHORES)
    yield adaptive(seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="virtual seconds of each arm (default 1200)")
    given = parser.parse_args()
    print(f"{'client':<12}{'a second':>10}{'at the end':>12}{'unscored':>10}{'restarts':>10}{'pods':>6}")
    for result in results(given.seconds):
        numbers = f"{result.failed:>10}{result.restarts:>10}{result.pods:>6}"
        print(f"{result.name:<12}{result.rate:>10.2f}{result.last_rate:>12.2f}{numbers}", flush=True)


if __name__ == "__main__":
    main()
