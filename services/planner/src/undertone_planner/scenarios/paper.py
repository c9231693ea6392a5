"""The paper's cluster: Table 2, Figure 2, and the 95 million paragraphs.

Ganiev et al., NAACL 2021 industry track. docs/reference/fleet-model.md says which parameters the
paper gives, and which are assumed.
"""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Final

from undertone_client import CallState, ServiceError, Settings

from undertone_planner.errors import PlannerError
from undertone_planner.fleet.autoscaler import AutoscalerSettings
from undertone_planner.fleet.balancer import CHART_BALANCER
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.course import Course
from undertone_planner.fleet.fleet import Fleet, FleetSettings, Probes
from undertone_planner.fleet.keda import JOB_TRIGGER, KedaSettings
from undertone_planner.fleet.loads import Job, JobSettings, Lengths
from undertone_planner.fleet.nodes import NodePoolSettings
from undertone_planner.fleet.pod import PodSettings, ServiceTime
from undertone_planner.fleet.settings import SIDECAR_PROBES
from undertone_planner.fleet.transport import WorkRequest, WorkTransport
from undertone_planner.fleet.work import Lane, Work
from undertone_planner.scenarios.readiness import JobPods

LENGTHS: Final = Lengths((30.0, 80.0, 220.0), (0.4, 0.4, 0.2))
"""Tokens of the paragraphs. Only their variation matters, because the mean time is given."""

ATTEMPTS: Final = 5
"""The first attempt and four retries, after which the paper's client skips a paragraph."""
PARAGRAPHS: Final = 95_000_000
HOURS: Final = 96
"""The paper's job, and its time."""


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """The paper's cluster and job.

    fleet: pods, nodes and autoscaler.
    tasks: Spark tasks at once. Each has a semaphore of its own.
    seconds: duration of a run.
    timeout_seconds: deadline of an attempt.
    retry_seconds: wait of the paper's client before a retry.
    call_paragraphs: paragraphs of a call of Undertone's client (--batch-items). A pod computes 3 in
        a second, so the default of 32 would make long calls.
    """

    fleet: FleetSettings
    tasks: int
    seconds: float = 3600.0
    timeout_seconds: float = 60.0
    retry_seconds: float = 2.0
    call_paragraphs: int = 8

    @property
    def capacity(self) -> float:
        """Paragraphs per second of all pods."""
        autoscaler, time = self.fleet.autoscaler, self.fleet.pod.service_time
        pods = self.fleet.pods if autoscaler is None else autoscaler.max_replicas
        return pods * self.fleet.pod.slots / time.seconds(LENGTHS.mean)

    def scaled_down(self, *, pods: int, time: int) -> "PaperSettings":
        """A cluster with a fraction of the pods and tasks, and calls that take longer.

        It does a fraction 1 / (`pods` x `time`) of the calls, and scales in the same time.

        Raises:
            PlannerError: the fleet has no autoscaler.
        """
        fleet, autoscaler = self.fleet, self.fleet.autoscaler
        if autoscaler is None:
            raise PlannerError("the fleet has no autoscaler: set FleetSettings.autoscaler")
        service = fleet.pod.service_time
        longer = ServiceTime(service.seconds_per_call * time, service.seconds_per_token * time)
        low, high = autoscaler.min_replicas // pods, autoscaler.max_replicas // pods
        return replace(
            self,
            fleet=replace(
                fleet,
                pods=fleet.pods // pods,
                pod=replace(fleet.pod, service_time=longer),
                autoscaler=replace(autoscaler, min_replicas=low, max_replicas=high),
            ),
            tasks=self.tasks // pods,
            timeout_seconds=self.timeout_seconds * time,
            retry_seconds=self.retry_seconds * time,
            call_paragraphs=max(1, self.call_paragraphs // time),
        )


PAPER: Final = PaperSettings(
    fleet=FleetSettings(
        pods=10,
        pod=PodSettings(
            ServiceTime(seconds_per_call=0.0, seconds_per_token=1 / 3 / LENGTHS.mean), queue=None, cpus=2.0, load_seconds=60.0
        ),
        probes=Probes(period_seconds=10.0, seconds_per_call=1 / 60, readiness_failures=3, liveness_failures=3),
        nodes=NodePoolSettings(cpus=8.0, scan_seconds=10.0, boot_seconds=240.0, image_pull_seconds=60.0),
        autoscaler=AutoscalerSettings(target_utilization=0.7, min_replicas=10, max_replicas=100),
    ),
    tasks=10,
)
"""The paper's cluster."""


@dataclass(frozen=True, slots=True)
class PaperResult:
    """One run.

    name: the client.
    answered, failed: paragraphs.
    course: the fleet over time.
    restarts: restarts of pods.
    """

    name: str
    answered: int
    failed: int
    course: Course
    restarts: int
    seconds: float
    capacity_pods: int

    @property
    def final_rate(self) -> float:
        """Answered paragraphs per second in the last sixth of the run."""
        return self.course.rate(self.seconds * 5 / 6, self.seconds)

    @property
    def peak_per_minute(self) -> float:
        """The largest number of answered paragraphs in a minute."""
        answered = {round(sample.seconds): sample.answered for sample in self.course.samples}
        return max(answered[second + 60] - count for second, count in answered.items() if second + 60 in answered)

    @property
    def scaled_seconds(self) -> float | None:
        """Time until all pods are ready. None if they never were."""
        return self.course.seconds_until_ready(self.capacity_pods)

    def hours(self, paragraphs: float, *, starts: int) -> float:
        """Duration of a job of this many paragraphs, which starts the fleet `starts` times.

        It is extrapolated: each start takes the time of this run, and the rest of the job goes at
        its final rate.
        """
        rest = paragraphs - starts * self.answered
        return (starts * self.seconds + rest / self.final_rate) / 3600


@dataclass(slots=True)
class PlainJob:
    """The paper's first client: a semaphore for each task, four retries, no circuit breaker."""

    settings: PaperSettings
    semaphore: int
    answered: int = 0
    failed: int = 0

    async def run(self, fleet: Fleet) -> None:
        """Score without end, one paragraph a call."""
        transport = WorkTransport(fleet, self.settings.timeout_seconds)
        async with asyncio.TaskGroup() as workers:
            for _ in range(self.settings.tasks * self.semaphore):
                workers.create_task(self._score(fleet, transport))

    async def _score(self, fleet: Fleet, transport: WorkTransport) -> None:
        while True:
            request = WorkRequest.of(Work(LENGTHS.draw(fleet.random), 1, Lane.BATCH))
            for _ in range(ATTEMPTS):
                with contextlib.suppress(ServiceError):
                    await transport.send(request, CallState())
                    self.answered += 1
                    break
                await asyncio.sleep(self.settings.retry_seconds)
            else:
                self.failed += 1


def plain(semaphore: int, settings: PaperSettings = PAPER) -> PaperResult:
    """The paper's first client with this semaphore in each task."""
    return run(_run(f"semaphore {semaphore}", settings, PlainJob(settings, semaphore)))


def undertone(settings: PaperSettings = PAPER) -> PaperResult:
    """Undertone on the same cluster, whose pods are not faster than the paper's.

    Each task has the client with its defaults. The pods' sidecars bound their queues and answer
    probes under any load. KEDA gives the job its pods before it calls (--finish-by).
    """
    fleet = settings.fleet
    pods = replace(fleet.pod, batch_tokens=2048, queue_tokens=131_072, queue_paragraphs=8192, sheds_late=True, pushback_ms=None)
    low = 0 if fleet.autoscaler is None else fleet.autoscaler.min_replicas
    keda = KedaSettings((JOB_TRIGGER,), min_replicas=low)
    ours = replace(fleet, pod=pods, probes=SIDECAR_PROBES, balancer=CHART_BALANCER, keda=keda)
    client = Settings(timeout_seconds=settings.timeout_seconds, batch_items=settings.call_paragraphs)
    job = Job(JobSettings(paragraphs=PARAGRAPHS, lengths=LENGTHS, clients=settings.tasks, client=client))
    floor = JobPods(fleet.pod.slots / fleet.pod.service_time.seconds(LENGTHS.mean))
    return run(_run("Undertone", replace(settings, fleet=ours), job, floor))


async def _run(name: str, settings: PaperSettings, job: PlainJob | Job, floor: JobPods | None = None) -> PaperResult:
    autoscaler = settings.fleet.autoscaler
    async with Fleet(settings.fleet) as fleet, Course(fleet, [job]) as course:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.seconds), asyncio.TaskGroup() as tasks:
                if floor is not None and isinstance(job, Job):
                    tasks.create_task(floor.control(fleet, job, HOURS * 3600))
                await job.run(fleet)
        return PaperResult(
            name=name,
            answered=job.answered,
            failed=job.failed,
            course=course,
            restarts=fleet.restarts,
            seconds=settings.seconds,
            capacity_pods=settings.fleet.pods if autoscaler is None else autoscaler.max_replicas,
        )
