import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import pytest
from undertone_client.testing import expected_probabilities
from undertone_planner.fleet.autoscaler import AutoscalerSettings
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.faults import FaultRates
from undertone_planner.fleet.fleet import Fleet, FleetSettings, Probes
from undertone_planner.fleet.pod import CallError, PodSettings, ServiceTime
from undertone_protos.v1 import classifier_pb2 as pb

T = TypeVar("T")

ONE_SECOND = ServiceTime(seconds_per_call=1.0, seconds_per_token=0.0)
REQUEST = pb.ClassifyRequest(text="rain on the harbour")


def run_with_fleet(settings: FleetSettings, scenario: Callable[[Fleet], Awaitable[T]]) -> T:
    async def main() -> T:
        async with Fleet(settings) as fleet:
            return await scenario(fleet)

    return run(main(), horizon_seconds=100_000)


def now() -> float:
    return asyncio.get_running_loop().time()


async def classify(fleet: Fleet) -> grpc.StatusCode:
    try:
        await fleet.answer("Classify", REQUEST)
    except CallError as error:
        return error.status
    return grpc.StatusCode.OK


async def classify_repeatedly(fleet: Fleet, callers: int) -> None:
    async def caller() -> None:
        while True:
            if await classify(fleet) is not grpc.StatusCode.OK:
                await asyncio.sleep(1)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())


async def load(fleet: Fleet, callers: int, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await classify_repeatedly(fleet, callers)


def test_a_pod_serves_one_call_at_a_time_for_its_service_time() -> None:
    async def scenario(fleet: Fleet) -> None:
        replies = await asyncio.gather(*(fleet.answer("Classify", REQUEST) for _ in range(3)))
        assert now() == pytest.approx(3 * (0.5 + 6 * 0.25) + 2 * fleet.settings.network_seconds)
        assert replies[0][0].probabilities == pytest.approx(expected_probabilities(REQUEST.text))

    run_with_fleet(FleetSettings(pods=1, pod=PodSettings(ServiceTime(0.5, 0.25))), scenario)


def test_a_full_queue_refuses_with_pushback() -> None:
    async def scenario(fleet: Fleet) -> None:
        calls = await asyncio.gather(*(fleet.answer("Classify", REQUEST) for _ in range(5)), return_exceptions=True)
        refused = [call for call in calls if isinstance(call, CallError)]
        assert [(error.status, error.pushback_ms) for error in refused] == [(grpc.StatusCode.RESOURCE_EXHAUSTED, 200)] * 2

    run_with_fleet(FleetSettings(pods=1, pod=PodSettings(ONE_SECOND, queue=2)), scenario)


def test_a_cancelled_call_is_skipped() -> None:
    async def scenario(fleet: Fleet) -> None:
        calls = [asyncio.create_task(classify(fleet)) for _ in range(3)]
        await asyncio.sleep(0.5)
        calls[1].cancel()
        assert await calls[2] is grpc.StatusCode.OK
        assert now() == pytest.approx(2, abs=0.1)

    run_with_fleet(FleetSettings(pods=1, pod=PodSettings(ONE_SECOND)), scenario)


def test_a_killed_pod_resets_its_calls_and_restarts() -> None:
    async def scenario(fleet: Fleet) -> None:
        calls = [asyncio.create_task(classify(fleet)) for _ in range(3)]
        await asyncio.sleep(0.5)
        fleet.kill(fleet.pods[0])
        assert {await call for call in calls} == {grpc.StatusCode.UNAVAILABLE}
        assert now() == 0.5
        assert await classify(fleet) is grpc.StatusCode.UNAVAILABLE
        await asyncio.sleep(60)
        assert await classify(fleet) is grpc.StatusCode.OK
        assert fleet.restarts == 1

    run_with_fleet(FleetSettings(pods=1, pod=PodSettings(ONE_SECOND)), scenario)


def test_a_hung_pod_is_restarted() -> None:
    async def scenario(fleet: Fleet) -> None:
        pod = fleet.pods[0]
        pod.hung = True
        call = asyncio.create_task(classify(fleet))
        assert await call is grpc.StatusCode.UNAVAILABLE
        assert 25 <= now() <= 35  # six probes, five seconds apart
        await asyncio.sleep(60)
        assert await classify(fleet) is grpc.StatusCode.OK

    run_with_fleet(FleetSettings(pods=1), scenario)


def test_an_overloaded_pod_fails_its_probes_and_is_restarted() -> None:
    probes = Probes(seconds_per_call=0.1, timeout_seconds=1.0)

    async def scenario(fleet: Fleet) -> None:
        await load(fleet, callers=10, seconds=100)
        assert fleet.restarts == 0
        await load(fleet, callers=30, seconds=100)
        assert fleet.restarts >= 1

    run_with_fleet(FleetSettings(pods=1, pod=PodSettings(ONE_SECOND, queue=100), probes=probes), scenario)


def test_repeated_crashes_double_the_restart_delay() -> None:
    starts: list[float] = []

    async def scenario(fleet: Fleet) -> None:
        for _ in range(5):
            fleet.kill(fleet.pods[0])
            while not fleet.pods[0].ready:  # noqa: ASYNC110 - polls as kubectl does
                await asyncio.sleep(1)
            starts.append(now())

    run_with_fleet(FleetSettings(pods=1), scenario)
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert all(10 * 2**number <= gap - 20 <= 10 * 2**number + 12 for number, gap in enumerate(gaps))


def test_a_rolling_restart_refuses_no_call() -> None:
    async def scenario(fleet: Fleet) -> None:
        before = fleet.pods
        statuses: set[grpc.StatusCode] = set()

        async def caller() -> None:
            while True:
                statuses.add(await classify(fleet))

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        await fleet.rolling_restart()
        await asyncio.sleep(10)
        for task in callers:
            task.cancel()
        assert statuses == {grpc.StatusCode.OK}
        assert not set(before) & set(fleet.pods)
        assert len(fleet.pods) == 4

    run_with_fleet(FleetSettings(pods=4, pod=PodSettings(ONE_SECOND)), scenario)


def test_a_loaded_fleet_scales_up_and_later_down() -> None:
    async def scenario(fleet: Fleet) -> None:
        await load(fleet, callers=10, seconds=600)
        scaled_up = len(fleet.pods)
        assert 11 <= scaled_up <= 15  # 10 calls in flight at 70 % utilization, within the tolerance
        await asyncio.sleep(270)
        assert len(fleet.pods) >= scaled_up - 1
        await asyncio.sleep(600)
        assert len(fleet.pods) == 2

    autoscaler = AutoscalerSettings(min_replicas=2, max_replicas=40)
    run_with_fleet(FleetSettings(pods=2, pod=PodSettings(ONE_SECOND, queue=100), autoscaler=autoscaler), scenario)


def test_faults_have_their_shares_and_are_reproducible() -> None:
    shares = {"unavailable": 0.1, "reset": 0.05, "cancelled": 0.05, "exhausted": 0.1}

    async def scenario(fleet: Fleet) -> list[grpc.StatusCode]:
        fleet.fault_rates = FaultRates(**shares)
        return [await classify(fleet) for _ in range(2000)]

    statuses = run_with_fleet(FleetSettings(), scenario)
    assert statuses == run_with_fleet(FleetSettings(), scenario)  # the same seed, the same history
    counts = {status: statuses.count(status) / 2000 for status in set(statuses)}
    assert counts[grpc.StatusCode.UNAVAILABLE] == pytest.approx(0.15, abs=0.03)
    assert counts[grpc.StatusCode.CANCELLED] == pytest.approx(0.05, abs=0.02)
    assert counts[grpc.StatusCode.RESOURCE_EXHAUSTED] == pytest.approx(0.1, abs=0.02)
