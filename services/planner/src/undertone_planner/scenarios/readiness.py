"""A fleet that is ready: a floor of pods for a job, scaling to zero, and spot nodes.

docs/how-to/fleet.md cites the results. Each scenario takes the settings of a fleet, so that it can
be repeated with calibrated pods.
"""

import asyncio
import contextlib
import math
from dataclasses import dataclass, replace

from undertone_client import Settings
from undertone_client.resilience import BreakerSettings

from undertone_planner.errors import PlannerError
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.course import Course
from undertone_planner.fleet.fleet import Fleet, FleetSettings
from undertone_planner.fleet.keda import JOB_PATIENCE_SECONDS, JOB_PODS, JOB_TRIGGER, KedaSettings
from undertone_planner.fleet.loads import Job, JobSettings, Lengths, Readers, ReaderSettings


@dataclass(frozen=True, slots=True)
class JobPods:
    """The chart's floor of pods for a job with --finish-by (autoscaling.keda.jobs).

    paragraphs_per_second: of a pod.
    headroom: factor of the pods that are just enough.
    min_seconds: the time left counts as at least this long.
    push_seconds: interval at which the job pushes its backlog.
    """

    paragraphs_per_second: float
    headroom: float = 1.25
    min_seconds: float = 600.0
    push_seconds: float = 15.0

    def pods(self, backlog: int, seconds_left: float) -> float:
        """The pods for a backlog of paragraphs. 0 without a backlog, otherwise at least 1."""
        if not backlog:
            return 0.0
        return max(1.0, self.headroom * backlog / (max(seconds_left, self.min_seconds) * self.paragraphs_per_second))

    async def control(self, fleet: Fleet, job: Job, finish_by: float) -> None:
        """Set the trigger's metric without end. `finish_by` is a time of the clock."""
        clock = asyncio.get_running_loop().time
        while True:
            runs = not math.isnan(job.started_at)
            fleet.metrics[JOB_PODS] = self.pods(job.remaining if runs else 0, finish_by - clock())
            await asyncio.sleep(self.push_seconds)


@dataclass(frozen=True, slots=True)
class JobRun:
    """A job on a fleet that scales.

    seconds: duration of the job.
    failed: paragraphs without a score.
    full_seconds: from the start of the job until all pods of its largest number are ready.
    peak_pods: the largest number of ready pods.
    first_answer_seconds: from the start of the job until its first paragraph is answered, within
        the interval of the course.
    empty_seconds: from the end of the job until there are no pods. None if there still are some.
    course: the fleet over time.
    """

    seconds: float
    failed: int
    full_seconds: float
    peak_pods: int
    first_answer_seconds: float
    empty_seconds: float | None
    course: Course


def scale_up(
    settings: FleetSettings, job: JobSettings, *, floor: JobPods | None = None, finish_by_seconds: float = 0.0
) -> JobRun:
    """A job that arrives at a small fleet, with or without a floor of pods.

    Without a floor, the fleet follows the CPU utilization. With one, the job tells how many pods it
    needs to end `finish_by_seconds` after its arrival, before it sends its first call.
    """
    return run(_job_run(settings, job, floor, finish_by_seconds, watch_seconds=0.0))


def scale_to_zero(settings: FleetSettings, job: JobSettings, *, floor: JobPods, finish_by_seconds: float) -> JobRun:
    """A job that waits for the first pod of a fleet. After the job, all pods are removed."""
    keda = replace(settings.keda or KedaSettings(), min_replicas=0)
    without_pods = replace(settings, pods=0, keda=keda)
    patient = replace(job, client=replace(job.client, breaker=BreakerSettings(patience_seconds=JOB_PATIENCE_SECONDS)))
    watch_seconds = 2 * keda.cooldown_seconds
    return run(_job_run(without_pods, patient, floor, finish_by_seconds, watch_seconds=watch_seconds))


async def _job_run(
    settings: FleetSettings, job_settings: JobSettings, floor: JobPods | None, finish_by_seconds: float, *, watch_seconds: float
) -> JobRun:
    if floor is not None:
        keda = settings.keda or KedaSettings(
            min_replicas=0 if settings.autoscaler is None else settings.autoscaler.min_replicas
        )
        settings = replace(settings, keda=replace(keda, triggers=(*keda.triggers, JOB_TRIGGER)))
    job = Job(job_settings)
    async with Fleet(settings) as fleet:
        if floor is not None:
            control = asyncio.create_task(
                floor.control(fleet, job, job_settings.start_seconds + finish_by_seconds), name="backlog"
            )
        async with Course(fleet, [job], interval_seconds=5.0) as course:
            await job.run(fleet)
            await asyncio.sleep(watch_seconds)
        if floor is not None:
            control.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await control
    peak = max(sample.ready for sample in course.samples)
    full = course.seconds_until_ready(peak)
    first = next(sample.seconds for sample in course.samples if sample.answered)
    empty = next((sample.seconds for sample in course.samples if sample.seconds >= job.ended_at and not sample.pods), None)
    return JobRun(
        seconds=job.seconds,
        failed=job.failed,
        full_seconds=(full or 0.0) - job.started_at,
        peak_pods=peak,
        first_answer_seconds=first - job.started_at,
        empty_seconds=None if empty is None else empty - job.ended_at,
        course=course,
    )


@dataclass(frozen=True, slots=True)
class SpotRun:
    """A job on spot nodes beside readers on nodes that are not reclaimed.

    answered, failed: paragraphs of the job.
    reclaimed: nodes that were taken away.
    reader_failures: failed calls of readers.
    reader_p99_seconds: their wait that one in a hundred exceeds.
    """

    answered: int
    failed: int
    reclaimed: int
    reader_failures: int
    reader_p99_seconds: float


def spot(
    batch: FleetSettings,
    online: FleetSettings,
    *,
    lengths: Lengths,
    hours: int,
    notice_seconds: float,
    readers_per_second: float,
    share: float = 0.5,
    drain: bool = True,
    client: Settings | None = None,
) -> SpotRun:
    """A job of some hours on spot nodes, of which a share is reclaimed each hour.

    Calls of the job go to the `batch` pods and calls of readers to the `online` pods.

    Raises:
        PlannerError: `batch` has no nodes.
    """
    if batch.nodes is None:
        raise PlannerError("batch has no nodes: set FleetSettings.nodes to the pool of spot nodes")
    return run(
        _spot(batch, online, lengths, hours, notice_seconds, readers_per_second, share, client or Settings(), drain=drain)
    )


async def _spot(
    batch: FleetSettings,
    online: FleetSettings,
    lengths: Lengths,
    hours: int,
    notice_seconds: float,
    readers_per_second: float,
    share: float,
    client: Settings,
    *,
    drain: bool,
) -> SpotRun:
    readers = Readers(ReaderSettings(rate_per_second=readers_per_second, lengths=lengths))
    job = Job(JobSettings(paragraphs=10**9, lengths=lengths, client=client))
    reclaimed = 0
    async with Fleet(batch) as spot_fleet, Fleet(online, seed=1) as online_fleet:
        reading = asyncio.create_task(readers.run(online_fleet, 3600.0 * hours))
        scoring = asyncio.create_task(job.run(spot_fleet))
        for _ in range(hours):
            await asyncio.sleep(1800)
            reclaimed += await spot_fleet.reclaim_share(share, notice_seconds, drain=drain)
            await asyncio.sleep(1800 - notice_seconds)
        job.stop()
        await asyncio.gather(reading, scoring)
    return SpotRun(
        answered=job.answered,
        failed=job.failed,
        reclaimed=reclaimed,
        reader_failures=readers.failed,
        reader_p99_seconds=readers.quantile(0.99),
    )
