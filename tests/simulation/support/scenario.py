"""The real client against a fake fleet on a virtual clock, and what became of it."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass

from undertone_bench.simulation.clock import run
from undertone_bench.simulation.fleet import Fleet, FleetSettings
from undertone_bench.simulation.transport import fleet_client
from undertone_client import Outcome, Paragraph, Settings
from undertone_client.resilience import BreakerChanged, BreakerState, Event, LimitChanged
from undertone_client.resilience.stack import ClientState

Disturb = Callable[[Fleet], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Report:
    """A run that came to its end: the outcomes in the order of their arrival with the seconds of it, the limits and the states
    of the circuit breaker with the seconds of each change, the client at the end, and the restarts of pods."""

    outcomes: list[Outcome]
    arrivals: list[float]
    limits: list[tuple[float, int]]
    breaker: list[tuple[float, BreakerState]]
    state: ClientState
    restarts: int

    @property
    def seconds(self) -> float:
        """When the last outcome came."""
        return self.arrivals[-1]


Source = Iterable[Paragraph] | AsyncIterable[Paragraph]


async def _score(
    fleet: FleetSettings, settings: Settings, source: Source, disturb: Disturb | None, *, ordered: bool, seed: int
) -> Report:
    clock = asyncio.get_running_loop().time
    outcomes: list[Outcome] = []
    arrivals: list[float] = []
    limits: list[tuple[float, int]] = []
    breaker: list[tuple[float, BreakerState]] = []

    def listen(event: Event) -> None:
        if isinstance(event, LimitChanged):
            limits.append((clock(), event.value))
        elif isinstance(event, BreakerChanged):
            breaker.append((clock(), event.state))

    async with Fleet(fleet, seed=seed) as cluster, fleet_client(cluster, settings, seed=seed, listener=listen) as client:
        trouble = None if disturb is None else asyncio.ensure_future(disturb(cluster))
        async for outcome in client.score(source, ordered=ordered):
            outcomes.append(outcome)
            arrivals.append(clock())
        if trouble is not None:
            if trouble.done():
                trouble.result()
            trouble.cancel()
        return Report(outcomes, arrivals, limits, breaker, client.state(), cluster.restarts)


def score(
    source: Source,
    *,
    fleet: FleetSettings | None = None,
    settings: Settings | None = None,
    disturb: Disturb | None = None,
    ordered: bool = False,
    seed: int = 0,
    horizon_seconds: float = 24 * 3600,
) -> Report:
    """Score everything, while `disturb` makes trouble, until the last outcome has come."""
    scoring = _score(fleet or FleetSettings(), settings or Settings(), source, disturb, ordered=ordered, seed=seed)
    return run(scoring, horizon_seconds=horizon_seconds)
