import asyncio

import pytest
from undertone_planner.fleet.autoscaler import Autoscaler, AutoscalerSettings
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.fleet import Fleet, FleetSettings
from undertone_planner.fleet.keda import Keda, KedaSettings, MetricType, Schedule, Trigger
from undertone_planner.fleet.pod import PodSettings

QUEUE = Trigger("queue_seconds", 0.25, MetricType.VALUE)
FLOOR = Trigger("pods_wanted", 1.0)


@pytest.mark.parametrize(
    ("trigger", "metrics", "expected"),
    [
        (FLOOR, {"pods_wanted": 37.0}, 37),
        (FLOOR, {"pods_wanted": 36.2}, 37),
        (FLOOR, {"pods_wanted": 10.9}, 10),  # within the tolerance of 10 pods
        (FLOOR, {}, None),
        (QUEUE, {"queue_seconds": 0.5}, 16),  # twice the threshold, 8 ready pods
        (QUEUE, {"queue_seconds": 0.26}, 10),
        (QUEUE, {"queue_seconds": 0.0}, 0),
    ],
)
def test_a_trigger_proposes_replicas(trigger: Trigger, metrics: dict[str, float], expected: int | None) -> None:
    keda = Keda(KedaSettings((trigger,)))
    assert keda.proposals(0, Autoscaler(AutoscalerSettings()), 10, 8, metrics) == [expected]


def test_a_schedule_is_a_floor_within_its_time() -> None:
    keda, autoscaler = Keda(KedaSettings(schedules=(Schedule(100, 200, 30),))), Autoscaler(AutoscalerSettings())
    assert [keda.proposals(now, autoscaler, 5, 5, {})[0] for now in (99, 100, 199, 200)] == [1, 30, 30, 1]


def test_the_first_pods_start_when_a_trigger_is_active_and_end_after_the_cooldown() -> None:
    keda = Keda(KedaSettings((Trigger("backlog", 100, activation_threshold=5),), cooldown_seconds=300))
    assert keda.activate(0, 0, {}) == 0
    assert keda.activate(30, 0, {"backlog": 5}) == 0
    assert keda.activate(60, 0, {"backlog": 6}) == 1
    assert keda.activate(90, 4, {"backlog": 0}) == 4
    assert keda.activate(359, 4, {"backlog": 0}) == 4
    assert keda.activate(360, 4, {"backlog": 0}) == 0


def test_a_minimum_above_zero_keeps_its_pods() -> None:
    assert Keda(KedaSettings((FLOOR,), min_replicas=2)).activate(10_000, 2, {}) == 2


def test_a_fleet_wakes_from_zero_follows_its_floor_and_sleeps_again() -> None:
    course: dict[float, int] = {}

    async def scenario() -> None:
        settings = FleetSettings(
            pods=0,
            pod=PodSettings(load_seconds=20),
            autoscaler=AutoscalerSettings(target_utilization=None, max_replicas=40),
            keda=KedaSettings((FLOOR,), cooldown_seconds=300),
        )
        async with Fleet(settings) as fleet:
            for second in range(0, 2000, 20):
                fleet.metrics["pods_wanted"] = 24.0 if 100 <= second < 600 else 0.0
                course[second] = len(fleet.pods)
                await asyncio.sleep(20)

    run(scenario())
    assert course[100] == 0
    assert course[140] in range(1, 25)
    assert course[200] == 24  # three steps of doubling or four more pods
    assert {course[second] for second in range(200, 600, 20)} == {24}
    assert course[1000] == 0  # after the cooldown
