"""Runs the real client against a simulated fleet on a virtual clock."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass

from undertone_client import Outcome, Paragraph, Settings
from undertone_client.resilience import BreakerChanged, BreakerState, Event, LimitChanged
from undertone_client.resilience.resilient_transport import ClientState
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.fleet import Fleet, FleetSettings
from undertone_planner.fleet.transport import fleet_client

Disturb = Callable[[Fleet], Awaitable[None]]
Source = Iterable[Paragraph] | AsyncIterable[Paragraph]


@dataclass(frozen=True, slots=True)
class Report:
    """A completed run.

    `outcomes` are in order of arrival, `arrivals` their times. `limits` and `breaker` are changes
    of the limit and of the circuit breaker's state with their times. `state` is the client's at
    the end. `restarts` counts pods.
    """

    outcomes: list[Outcome]
    arrivals: list[float]
    limits: list[tuple[float, int]]
    breaker: list[tuple[float, BreakerState]]
    state: ClientState
    restarts: int

    @property
    def seconds(self) -> float:
        """Time of the last outcome."""
        return self.arrivals[-1]


async def _score(
    settings: FleetSettings, client_settings: Settings, source: Source, disturb: Disturb | None, *, ordered: bool, seed: int
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

    async with (
        Fleet(settings, seed=seed) as fleet,
        fleet_client(fleet, client_settings, seed=seed, listener=listen) as client,
    ):
        disturbance = None if disturb is None else asyncio.ensure_future(disturb(fleet))
        async for outcome in client.score(source, ordered=ordered):
            outcomes.append(outcome)
            arrivals.append(clock())
        if disturbance is not None:
            if disturbance.done():
                disturbance.result()
            disturbance.cancel()
        return Report(outcomes, arrivals, limits, breaker, client.state(), fleet.restarts)


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
    """Score the source to its end while `disturb` causes faults in the fleet."""
    scoring = _score(fleet or FleetSettings(), settings or Settings(), source, disturb, ordered=ordered, seed=seed)
    return run(scoring, horizon_seconds=horizon_seconds)
