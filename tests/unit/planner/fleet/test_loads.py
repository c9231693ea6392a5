import asyncio
import math

import pytest
from undertone_client import LimitSettings, Settings
from undertone_planner.fleet.batching import ServiceTime
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.course import Course
from undertone_planner.fleet.faults import FaultRates
from undertone_planner.fleet.fleet import Fleet, FleetSettings
from undertone_planner.fleet.loads import Job, JobSettings, Lengths, Readers, ReaderSettings
from undertone_planner.fleet.nodes import NodePoolSettings
from undertone_planner.fleet.pod import PodSettings
from undertone_planner.fleet.settings import SIDECAR_PROBES

POD = PodSettings(ServiceTime(0.0, 0.001), batch_tokens=1000, queue=None, queue_tokens=20_000)
FLEET = FleetSettings(pods=4, pod=POD, probes=SIDECAR_PROBES, network_seconds=0.0)
LENGTHS = Lengths.equal(20)


def test_a_job_saturates_the_fleet_and_each_paragraph_has_one_outcome() -> None:
    async def scenario() -> Job:
        job = Job(JobSettings(paragraphs=40_001, lengths=LENGTHS, start_seconds=5, clients=3))
        async with Fleet(FLEET) as fleet, Course(fleet, [job]) as course:
            await job.run(fleet)
        assert course.samples[-1].answered == 40_001
        assert course.rate(20, 150) == pytest.approx(200, rel=0.1)
        return job

    job = run(scenario())
    assert (job.answered, job.failed, job.remaining) == (40_001, 0, 0)
    assert job.started_at == 5
    assert job.paragraphs_per_second == pytest.approx(4 * 1000 / 20, rel=0.1)


def test_a_job_loses_nothing_while_pods_are_killed() -> None:
    async def scenario() -> Job:
        job = Job(JobSettings(paragraphs=20_000, lengths=LENGTHS))
        async with Fleet(FLEET) as fleet:
            running = asyncio.create_task(job.run(fleet))
            for pod in fleet.pods:
                await asyncio.sleep(15)
                fleet.kill(pod)
            await running
            assert fleet.restarts == 4
        return job

    job = run(scenario())
    assert (job.answered, job.failed) == (20_000, 0)


def test_failed_paragraphs_of_a_job_are_counted() -> None:
    async def scenario() -> Job:
        job = Job(JobSettings(paragraphs=640, lengths=LENGTHS, client=Settings(timeout_seconds=0.001)))
        async with Fleet(FLEET) as fleet:
            await job.run(fleet)
        return job

    job = run(scenario())
    assert (job.answered, job.failed, job.remaining) == (0, 640, 0)


def readers(rate: float, fleet: FleetSettings = FLEET, seconds: float = 600.0, lengths: Lengths = LENGTHS) -> Readers:
    async def scenario() -> Readers:
        found = Readers(ReaderSettings(rate_per_second=rate, lengths=lengths), seed=1)
        async with Fleet(fleet) as simulated:
            await found.run(simulated, seconds)
        return found

    return run(scenario())


def test_readers_arrive_as_a_poisson_process_at_their_rate() -> None:
    found = readers(20, seconds=200)
    assert len(found.latencies) == pytest.approx(4000, rel=0.05)
    assert found.failed == 0
    assert found.quantile(0.5) == pytest.approx(0.02, rel=0.3)


def test_the_wait_of_readers_is_that_of_queueing_theory() -> None:
    """One server, exponential arrivals and equal service times: Pollaczek-Khinchine."""
    pod = PodSettings(ServiceTime(0.1, 0.0), queue=None)
    fleet = FleetSettings(pods=1, pod=pod, probes=SIDECAR_PROBES, network_seconds=0.0)
    for utilization in (0.4, 0.7):
        found = readers(utilization / 0.1, fleet, seconds=1000)
        wait = 0.1 * utilization / (2 * (1 - utilization))
        assert sum(found.latencies) / len(found.latencies) == pytest.approx(0.1 + wait, rel=0.15)


def test_readers_beside_a_job_are_served_first() -> None:
    async def scenario() -> tuple[Readers, Job]:
        found, job = (
            Readers(ReaderSettings(rate_per_second=10, lengths=LENGTHS)),
            Job(JobSettings(paragraphs=10**6, lengths=LENGTHS)),
        )
        async with Fleet(FLEET) as fleet:
            running = asyncio.create_task(job.run(fleet))
            await asyncio.sleep(10)
            await found.run(fleet, 60)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return found, job

    found, job = run(scenario())
    assert found.failed == 0
    assert found.quantile(0.99) < 1.5  # two full batches, not the queue of the job
    assert job.answered > 60 * 150


def test_readers_without_pods_get_a_clear_answer() -> None:
    fleet = FleetSettings(pods=0)
    found = readers(1, fleet, seconds=20)
    assert set(found.failures) == {"UNAVAILABLE"}
    assert math.isnan(found.quantile(0.5))


@pytest.mark.parametrize(("notice_seconds", "drain"), [(30.0, True), (120.0, True), (120.0, False)])
def test_reclaimed_nodes_lose_no_paragraph_of_a_job(notice_seconds: float, drain: bool) -> None:
    fleet_settings = FleetSettings(pods=4, pod=POD, probes=SIDECAR_PROBES, nodes=NodePoolSettings(cpus=2, spot=True))

    async def scenario() -> Job:
        job = Job(JobSettings(paragraphs=40_000, lengths=LENGTHS, client=Settings(limit=LimitSettings.fixed(40))))
        async with Fleet(fleet_settings) as fleet:
            assert fleet.nodes is not None
            running = asyncio.create_task(job.run(fleet))
            await asyncio.sleep(20)
            before = list(fleet.nodes.nodes)
            assert await fleet.reclaim_share(0.5, notice_seconds, drain=drain) == 2
            assert len(set(before) & set(fleet.nodes.nodes)) == 2
            await running
            assert len(fleet.pods) == 4
        return job

    job = run(scenario())
    assert (job.answered, job.failed) == (40_000, 0)


def test_the_load_balancer_repeats_calls_of_a_killed_pod() -> None:
    settings = FleetSettings(pods=4, pod=PodSettings(ServiceTime(1, 0)), balancer=FLEET.balancer.__class__(retries=2))

    async def scenario() -> Readers:
        found = Readers(ReaderSettings(rate_per_second=2, lengths=LENGTHS))
        async with Fleet(settings) as fleet:
            running = asyncio.create_task(found.run(fleet, 60))
            await asyncio.sleep(20)
            fleet.kill(fleet.pods[0])
            await running
        return found

    assert run(scenario()).failed == 0


def test_lengths_are_drawn_by_their_shares() -> None:
    import random

    lengths, generator = Lengths((10, 100), (3, 1)), random.Random(0)
    assert lengths.mean == 32.5
    drawn = [lengths.draw(generator) for _ in range(4000)]
    assert drawn.count(100) == pytest.approx(1000, rel=0.1)


def test_faults_are_not_injected_into_work() -> None:
    """`WorkRequest`s are for planning: faults of single calls belong to requests of the API."""

    async def scenario() -> Readers:
        found = Readers(ReaderSettings(rate_per_second=5, lengths=LENGTHS))
        async with Fleet(FLEET) as fleet:
            fleet.fault_rates = FaultRates(unavailable=1.0)
            await found.run(fleet, 10)
        return found

    assert run(scenario()).failed == 0
