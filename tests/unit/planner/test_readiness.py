"""The scenarios of docs/how-to/fleet.md, on a smaller fleet."""

from dataclasses import replace
from typing import Final

import pytest
from undertone_client import Settings
from undertone_planner.errors import PlannerError
from undertone_planner.fleet.autoscaler import AutoscalerSettings
from undertone_planner.fleet.batching import ServiceTime
from undertone_planner.fleet.course import Course
from undertone_planner.fleet.fleet import FleetSettings
from undertone_planner.fleet.keda import KedaSettings
from undertone_planner.fleet.loads import JobSettings, Lengths
from undertone_planner.fleet.nodes import NodePoolSettings
from undertone_planner.fleet.pod import PodSettings
from undertone_planner.fleet.scaling_rules import CHART_BEHAVIOR
from undertone_planner.fleet.settings import SIDECAR_PROBES
from undertone_planner.plan.named_calibration import NamedCalibration
from undertone_planner.scenarios import readiness_example
from undertone_planner.scenarios.readiness import JobPods, JobRun, SpotRun, scale_to_zero, scale_up, spot

LENGTHS: Final = Lengths.equal(100)
RATE: Final = 20.0
"""Paragraphs per second of a pod."""
CLIENT: Final = Settings(batch_items=128)
FLEET: Final = FleetSettings(
    pods=2,
    pod=PodSettings(
        ServiceTime(0.0, 1 / RATE / 100), batch_tokens=1600, queue=None, queue_tokens=20_000, load_seconds=30, sheds_late=True
    ),
    probes=SIDECAR_PROBES,
    nodes=NodePoolSettings(cpus=8.0, boot_seconds=120, image_pull_seconds=30),
    autoscaler=AutoscalerSettings(min_replicas=2, max_replicas=24, behavior=CHART_BEHAVIOR),
)
JOB: Final = JobSettings(paragraphs=400_000, lengths=LENGTHS, start_seconds=60, client=CLIENT)
FLOOR: Final = JobPods(RATE)


def test_a_floor_scales_the_fleet_in_one_step() -> None:
    by_utilization = scale_up(FLEET, JOB)
    by_floor = scale_up(FLEET, JOB, floor=FLOOR, finish_by_seconds=1000)
    assert (by_utilization.failed, by_floor.failed) == (0, 0)
    assert (by_utilization.peak_pods, by_floor.peak_pods) == (24, 24)
    # One boot, pull and load, 180 s, instead of one for each step of the autoscaler.
    assert by_floor.full_seconds < 300
    assert by_utilization.full_seconds > 2.5 * by_floor.full_seconds
    assert by_floor.seconds < by_utilization.seconds - 300


def test_a_job_wakes_a_fleet_without_pods_which_sleeps_again() -> None:
    job = replace(JOB, paragraphs=100_000)
    result = scale_to_zero(replace(FLEET, keda=KedaSettings()), job, floor=FLOOR, finish_by_seconds=1500)
    assert result.failed == 0
    assert [sample.pods for sample in result.course.samples if sample.seconds < 60] == [0] * 12
    assert 180 < result.first_answer_seconds < 400
    assert result.empty_seconds is not None
    assert 270 <= result.empty_seconds < 400
    assert result.course.samples[-1].pods == 0


@pytest.mark.parametrize("notice_seconds", [30.0, 120.0])
def test_spot_nodes_that_are_reclaimed_every_hour_lose_no_paragraph(notice_seconds: float) -> None:
    batch = replace(FLEET, pods=4, autoscaler=None, nodes=NodePoolSettings(cpus=4, boot_seconds=120, spot=True))
    online = replace(FLEET, pods=2, autoscaler=None, nodes=None)
    result = spot(batch, online, lengths=LENGTHS, hours=1, notice_seconds=notice_seconds, readers_per_second=0.2, client=CLIENT)
    assert (result.failed, result.reader_failures) == (0, 0)
    assert result.reclaimed == 1
    assert result.answered > 0.8 * 4 * RATE * 3600
    assert result.reader_p99_seconds < 1


def test_spot_needs_nodes() -> None:
    with pytest.raises(PlannerError, match="batch has no nodes: set"):
        spot(replace(FLEET, nodes=None), FLEET, lengths=LENGTHS, hours=1, notice_seconds=30, readers_per_second=1)


@pytest.mark.parametrize(
    ("backlog", "seconds_left", "pods"),
    [(0, 3600, 0), (1, 3600, 1), (720_000, 3600, 12.5), (720_000, 7200, 6.25), (720_000, 10, 75), (720_000, -50, 75)],
)
def test_the_floor_of_a_job(backlog: int, seconds_left: float, pods: float) -> None:
    assert FLOOR.pods(backlog, seconds_left) == pytest.approx(pods)


def test_the_example_uses_all_pods_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenarios themselves are above: here are their parameters."""
    calls: list[tuple[FleetSettings, JobSettings]] = []
    run = JobRun(1, 0, 1, 40, 1, None, Course.__new__(Course))

    def record(settings: FleetSettings, job: JobSettings, **_: object) -> JobRun:
        calls.append((settings, job))
        return run

    monkeypatch.setattr(readiness_example, "scale_up", record)
    monkeypatch.setattr(readiness_example, "scale_to_zero", record)
    monkeypatch.setattr(readiness_example, "spot", lambda *_, **__: SpotRun(1, 0, 1, 0, 0.1))
    calibration = NamedCalibration.find("bert-base").calibration
    rows = list(readiness_example.rows(calibration))
    assert len(rows) == 5
    (fleet, job), *_ = calls
    rate = calibration.tokens_per_second / 60
    assert JobPods(rate).pods(job.paragraphs, 3600) == pytest.approx(40, rel=1e-3)
    assert fleet.autoscaler is not None
    assert fleet.autoscaler.max_replicas == 40
