"""A plan in the fleet model: the real client's limit and retries on a virtual clock.

The fleet is simulated until it is in a steady state; the rest of the job is extrapolated.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from undertone_cli.quantiles import quantile
from undertone_client import LimitSettings, Settings
from undertone_client.resilience import BreakerSettings

from undertone_planner.fleet.autoscaler import AutoscalerSettings
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.fleet import Fleet
from undertone_planner.fleet.keda import JOB_PATIENCE_SECONDS, JOB_PODS, JOB_TRIGGER, KedaSettings
from undertone_planner.fleet.loads import Job, JobSettings, Readers, ReaderSettings
from undertone_planner.fleet.loads import Lengths as Shares
from undertone_planner.fleet.nodes import NodePoolSettings
from undertone_planner.fleet.scaling_rules import CHART_BEHAVIOR
from undertone_planner.fleet.settings import FleetSettings, chart_fleet
from undertone_planner.plan.batch_course import SYNC_SECONDS, Point
from undertone_planner.plan.lengths import Lengths
from undertone_planner.plan.load import PADDING, Batch
from undertone_planner.plan.plan import Plan
from undertone_planner.plan.waiting import P99

WINDOW_SECONDS: Final = 180.0
"""Time over which the steady state is measured."""
SETTLE_SECONDS: Final = 150.0
"""Time without a change of the pods before the window."""
HORIZON_SECONDS: Final = 4 * 3600.0
"""The longest simulated time."""
READER_CALLS: Final = 4000
"""Calls of readers from which their p99 is measured, or fewer within half of HORIZON_SECONDS."""

Progress = Callable[[float, int], None]
"""Receives the simulated seconds and the number of ready pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRun:
    """The result of a simulation.

    Attributes:
        course: Points of the simulated time, then the extrapolated end of the job. Empty without a
            batch.
        simulated_seconds: The simulated part.
        pods: Ready pods in the steady state.
        steady_rate: Paragraphs a second of the batch in the steady state.
        p99_seconds: 99th percentile of the duration of readers' calls in the steady state. None
            without calls of readers, and infinite if more than 1 % of their calls fail.
        failed: Paragraphs of the batch without a score.
        is_steady: Whether the fleet was steady within the horizon.
    """

    course: tuple[Point, ...]
    simulated_seconds: float
    pods: int
    steady_rate: float
    p99_seconds: float | None
    failed: int
    is_steady: bool


def simulate(plan: Plan, *, seed: int = 0, progress: Progress | None = None) -> SimulatedRun:
    """Simulate the batch job and the readers of a plan.

    Reclaims of spot nodes slow all pods evenly.
    """
    return run(_Simulation(plan, seed, progress).run(), horizon_seconds=2 * HORIZON_SECONDS)


def fleet_settings(plan: Plan) -> FleetSettings:
    """The fleet of a plan. It starts with the `start_pods` of the plan."""
    setting, speed = plan.setting, plan.setting.speed
    node, values = setting.node, setting.values
    calibration = replace(
        setting.calibration,
        cpus=values.pod_cpus,
        seconds_per_call=speed.seconds_per_call / setting.availability,
        seconds_per_token=speed.seconds_per_token / setting.availability,
        model_calls=speed.model_calls,
    )
    autoscaler = AutoscalerSettings(
        target_utilization=1 / setting.growth,
        min_replicas=plan.start_pods,
        max_replicas=plan.pods,
        sync_seconds=SYNC_SECONDS,
        behavior=CHART_BEHAVIOR,
    )
    nodes = NodePoolSettings(
        cpus=setting.pods_per_node * values.pod_cpus,
        max_nodes=setting.max_nodes,
        boot_seconds=node.boot_seconds,
        image_pull_seconds=node.pull_seconds,
        spot=setting.spot,
    )
    scaled = plan.load.batch is not None and values.autoscaler != "none"
    return chart_fleet(
        calibration,
        pods=plan.start_pods,
        nodes=nodes,
        autoscaler=autoscaler if scaled else None,
        keda=KedaSettings((JOB_TRIGGER,), polling_seconds=SYNC_SECONDS) if plan.start_pods == 0 else None,
    )


class _Simulation:
    def __init__(self, plan: Plan, seed: int, progress: Progress | None) -> None:
        self._plan, self._progress = plan, progress
        lengths, batch, readers = plan.load.lengths, plan.load.batch, plan.load.readers
        self._job = None if batch is None else Job(_job_settings(plan, batch), seed)
        self._readers = None
        if readers is not None:
            settings = ReaderSettings(rate_per_second=readers.per_second, lengths=_shares(lengths, 1.0))
            self._readers = Readers(settings, seed + 1)
        self._points: list[Point] = []

    async def run(self) -> SimulatedRun:
        async with Fleet(fleet_settings(self._plan)) as fleet:
            fleet.metrics[JOB_PODS] = 1.0  # a running job without --finish-by
            tasks = []
            if self._readers is not None:
                tasks.append(asyncio.create_task(self._readers.run(fleet, 2 * HORIZON_SECONDS)))
            job = None
            if self._job is not None:
                job = asyncio.create_task(self._job.run(fleet))
                tasks.append(job)
            try:
                is_steady = await self._settle(fleet, job)
                return await self._measure(fleet, job, is_steady=is_steady)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _settle(self, fleet: Fleet, job: "asyncio.Task[None] | None") -> bool:
        """Wait until the pods do not change (true), the job ends (true), or the horizon."""
        now = asyncio.get_running_loop().time
        changed, pods = now(), -1
        settle = SETTLE_SECONDS if job is not None else 60.0
        while now() < HORIZON_SECONDS:
            ready = self._record(fleet, job)
            if ready != pods or len(fleet.pods) != ready or not ready:
                changed, pods = now(), ready
            if (job is not None and job.done()) or now() - changed >= settle:
                return True
            await self._sleep(job)
        return False

    async def _measure(self, fleet: Fleet, job: "asyncio.Task[None] | None", *, is_steady: bool) -> SimulatedRun:
        now = asyncio.get_running_loop().time
        started, tokens = now(), _served(fleet)
        calls, failures = self._reader_calls()
        window = WINDOW_SECONDS
        if self._plan.load.readers is not None:
            calls_seconds = min(READER_CALLS / self._plan.load.readers.per_second, HORIZON_SECONDS / 2)
            window = max(window if job else 0.0, calls_seconds)
        while now() - started < window and not (job is not None and job.done()):
            await self._sleep(job)
            self._record(fleet, job)
        if job is not None and job.done():
            job.result()
        rate = self._rate(_served(fleet) - tokens, now() - started)
        return SimulatedRun(
            course=self._course(rate),
            simulated_seconds=now(),
            pods=self._points[-1].pods,
            steady_rate=rate,
            p99_seconds=self._p99(calls, failures),
            failed=0 if self._job is None else self._job.failed,
            is_steady=is_steady,
        )

    async def _sleep(self, job: "asyncio.Task[None] | None") -> None:
        if job is None:
            await asyncio.sleep(SYNC_SECONDS)
        else:
            await asyncio.wait((job,), timeout=SYNC_SECONDS)

    def _record(self, fleet: Fleet, job: "asyncio.Task[None] | None") -> int:
        """Add a point of now, and complete the one before. Returns the number of ready pods."""
        seconds, pods = asyncio.get_running_loop().time(), sum(pod.ready for pod in fleet.pods)
        backlog = 0.0 if self._job is None or (job is not None and job.done()) else float(self._job.remaining)
        if self._points:
            last = self._points.pop()
            elapsed = seconds - last.seconds
            rate = (last.backlog - backlog) / elapsed if elapsed > 0 else 0.0
            self._points.append(replace(last, paragraphs_per_second=rate))
        self._points.append(Point(seconds=seconds, pods=pods, paragraphs_per_second=0.0, backlog=backlog))
        if self._progress is not None:
            self._progress(seconds, pods)
        return pods

    def _rate(self, tokens: float, seconds: float) -> float:
        """Paragraphs of the batch a second, from the tokens, because lengths differ."""
        if self._job is None or seconds <= 0:
            return 0.0
        lengths, readers = self._plan.load.lengths, self._plan.load.readers
        others = 0.0 if readers is None else readers.per_second * lengths.mean * seconds
        return max(0.0, tokens - others) / (lengths.mean * PADDING * seconds)

    def _course(self, rate: float) -> tuple[Point, ...]:
        if self._job is None:
            return ()
        last = self._points[-1]
        if last.backlog <= 0 or rate <= 0:
            return tuple(self._points)
        end = replace(last, seconds=last.seconds + last.backlog / rate, backlog=0.0)
        return (*self._points[:-1], replace(last, paragraphs_per_second=rate), end)

    def _reader_calls(self) -> tuple[int, int]:
        return (0, 0) if self._readers is None else (len(self._readers.latencies), self._readers.failed)

    def _p99(self, calls: int, failures: int) -> float | None:
        if self._readers is None:
            return None
        latencies, failed = self._readers.latencies[calls:], self._readers.failed - failures
        if not latencies and not failed:
            return None
        return quantile([*latencies, *([math.inf] * failed)], P99)


def _job_settings(plan: Plan, batch: Batch) -> JobSettings:
    client = Settings(
        limit=LimitSettings(max_in_flight=batch.max_in_flight),
        breaker=BreakerSettings(patience_seconds=JOB_PATIENCE_SECONDS),
        batch_items=batch.call_paragraphs,
        timeout_seconds=plan.client_timeout,
    )
    lengths = _shares(plan.load.lengths, PADDING)
    return JobSettings(paragraphs=batch.paragraphs, lengths=lengths, clients=plan.clients, client=client)


def _shares(lengths: Lengths, factor: float) -> Shares:
    return Shares(tuple(factor * tokens for tokens in lengths.tokens), tuple(float(count) for count in lengths.counts))


def _served(fleet: Fleet) -> float:
    return sum(pod.served_tokens for pod in fleet.pods)
