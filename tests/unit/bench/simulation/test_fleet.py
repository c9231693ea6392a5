"""The fake fleet behaves as a cluster does: what the scenarios rest on."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import pytest
from undertone_bench.simulation.autoscaler import Autoscaler, AutoscalerSettings
from undertone_bench.simulation.clock import run
from undertone_bench.simulation.faults import FaultRates
from undertone_bench.simulation.fleet import Fleet, FleetSettings, Probes
from undertone_bench.simulation.pod import CallError, PodSettings, ServiceTime
from undertone_client.testing import expected_probabilities
from undertone_protos.v1 import classifier_pb2 as pb

T = TypeVar("T")

ONE_SECOND = ServiceTime(seconds_per_call=1.0, seconds_per_token=0.0)
REQUEST = pb.ClassifyRequest(text="rain on the harbour")


def within(settings: FleetSettings, scenario: Callable[[Fleet], Awaitable[T]]) -> T:
    async def main() -> T:
        async with Fleet(settings) as fleet:
            return await scenario(fleet)

    return run(main(), horizon_seconds=100_000)


def now() -> float:
    return asyncio.get_running_loop().time()


async def ask(fleet: Fleet) -> grpc.StatusCode:
    try:
        await fleet.answer("Classify", REQUEST)
    except CallError as error:
        return error.status
    return grpc.StatusCode.OK


async def keep_asking(fleet: Fleet, callers: int) -> None:
    async def caller() -> None:
        while True:
            if await ask(fleet) is not grpc.StatusCode.OK:
                await asyncio.sleep(1)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())


async def busy(fleet: Fleet, callers: int, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await keep_asking(fleet, callers)


def test_a_pod_works_on_one_call_after_the_other_and_costs_what_its_tokens_cost() -> None:
    async def scenario(fleet: Fleet) -> None:
        replies = await asyncio.gather(*(fleet.answer("Classify", REQUEST) for _ in range(3)))
        assert now() == pytest.approx(3 * (0.5 + 6 * 0.25) + 2 * fleet.settings.network_seconds)
        assert replies[0][0].probabilities == pytest.approx(expected_probabilities(REQUEST.text))

    within(FleetSettings(pods=1, pod=PodSettings(ServiceTime(0.5, 0.25))), scenario)


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    async def scenario(fleet: Fleet) -> None:
        calls = await asyncio.gather(*(fleet.answer("Classify", REQUEST) for _ in range(5)), return_exceptions=True)
        refused = [call for call in calls if isinstance(call, CallError)]
        assert [(error.status, error.pushback_ms) for error in refused] == [(grpc.StatusCode.RESOURCE_EXHAUSTED, 200)] * 2

    within(FleetSettings(pods=1, pod=PodSettings(ONE_SECOND, queue=2)), scenario)


def test_a_caller_that_has_given_up_is_skipped() -> None:
    async def scenario(fleet: Fleet) -> None:
        calls = [asyncio.create_task(ask(fleet)) for _ in range(3)]
        await asyncio.sleep(0.5)
        calls[1].cancel()
        assert await calls[2] is grpc.StatusCode.OK
        assert now() == pytest.approx(2, abs=0.1)

    within(FleetSettings(pods=1, pod=PodSettings(ONE_SECOND)), scenario)


def test_a_pod_that_is_killed_resets_its_calls_and_comes_back() -> None:
    async def scenario(fleet: Fleet) -> None:
        calls = [asyncio.create_task(ask(fleet)) for _ in range(3)]
        await asyncio.sleep(0.5)
        fleet.kill(fleet.pods[0])
        assert {await call for call in calls} == {grpc.StatusCode.UNAVAILABLE}
        assert now() == 0.5
        assert await ask(fleet) is grpc.StatusCode.UNAVAILABLE
        await asyncio.sleep(60)
        assert await ask(fleet) is grpc.StatusCode.OK
        assert fleet.restarts == 1

    within(FleetSettings(pods=1, pod=PodSettings(ONE_SECOND)), scenario)


def test_a_hung_pod_answers_nobody_and_is_restarted() -> None:
    async def scenario(fleet: Fleet) -> None:
        pod = fleet.pods[0]
        pod.hung = True
        call = asyncio.create_task(ask(fleet))
        assert await call is grpc.StatusCode.UNAVAILABLE
        assert 25 <= now() <= 35  # six probes, five seconds apart
        await asyncio.sleep(60)
        assert await ask(fleet) is grpc.StatusCode.OK

    within(FleetSettings(pods=1), scenario)


def test_a_pod_with_too_much_to_do_fails_its_probes_and_is_killed() -> None:
    probes = Probes(seconds_per_call=0.1, timeout_seconds=1.0)

    async def scenario(fleet: Fleet) -> None:
        await busy(fleet, callers=10, seconds=100)
        assert fleet.restarts == 0
        await busy(fleet, callers=30, seconds=100)
        assert fleet.restarts >= 1

    within(FleetSettings(pods=1, pod=PodSettings(ONE_SECOND, queue=100), probes=probes), scenario)


def test_a_pod_that_crashes_again_and_again_is_restarted_ever_later() -> None:
    starts: list[float] = []

    async def scenario(fleet: Fleet) -> None:
        for _ in range(5):
            fleet.kill(fleet.pods[0])
            while not fleet.pods[0].ready:  # noqa: ASYNC110 - a poll, as kubectl's
                await asyncio.sleep(1)
            starts.append(now())

    within(FleetSettings(pods=1), scenario)
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert all(10 * 2**number <= gap - 20 <= 10 * 2**number + 12 for number, gap in enumerate(gaps))


def test_a_rolling_restart_refuses_nobody() -> None:
    async def scenario(fleet: Fleet) -> None:
        before = fleet.pods
        statuses: set[grpc.StatusCode] = set()

        async def caller() -> None:
            while True:
                statuses.add(await ask(fleet))

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        await fleet.rolling_restart()
        await asyncio.sleep(10)
        for task in callers:
            task.cancel()
        assert statuses == {grpc.StatusCode.OK}
        assert not set(before) & set(fleet.pods)
        assert len(fleet.pods) == 4

    within(FleetSettings(pods=4, pod=PodSettings(ONE_SECOND)), scenario)


def test_a_busy_fleet_grows_to_its_target_and_shrinks_much_later() -> None:
    async def scenario(fleet: Fleet) -> None:
        await busy(fleet, callers=10, seconds=600)
        grown = len(fleet.pods)
        assert 11 <= grown <= 15  # fewer than ten are busy at once, as they meet; 70 %, within the tolerance
        await asyncio.sleep(270)
        assert len(fleet.pods) >= grown - 1
        await asyncio.sleep(600)
        assert len(fleet.pods) == 2

    autoscaler = AutoscalerSettings(min_replicas=2, max_replicas=40)
    within(FleetSettings(pods=2, pod=PodSettings(ONE_SECOND, queue=100), autoscaler=autoscaler), scenario)


@pytest.mark.parametrize(
    ("pods", "utilisations", "desired"),
    [
        (4, [1.0] * 4, 6),  # ceil(4 * 1.0 / 0.7)
        (4, [0.75] * 4, 4),  # within the tolerance
        (6, [1.0] * 4, 6),  # the two that start count as idle: 67 %
        (8, [1.0] * 4, 8),  # they would even turn the direction round
        (10, [1.0] * 9, 13),
        (4, [], 4),  # no metrics, no opinion
        (1, [4.0], 5),  # ceil(5.7), but no more than four pods more
        (90, [1.0] * 90, 100),  # the most
        (4, [0.1] * 4, 1),
    ],
)
def test_the_autoscaler_counts_as_kubernetes_does(pods: int, utilisations: list[float], desired: int) -> None:
    assert Autoscaler(AutoscalerSettings()).desired_replicas(0, pods, utilisations) == desired


def test_the_autoscaler_waits_before_it_shrinks() -> None:
    autoscaler = Autoscaler(AutoscalerSettings(stabilization_seconds=300))
    assert autoscaler.desired_replicas(0, 8, [0.7] * 8) == 8
    assert autoscaler.desired_replicas(150, 8, [0.2] * 8) == 8
    assert autoscaler.desired_replicas(299, 8, [0.2] * 8) == 8
    assert autoscaler.desired_replicas(301, 8, [0.2] * 8) == 3


def test_calls_meet_their_fates_in_their_shares() -> None:
    shares = {"unavailable": 0.1, "reset": 0.05, "cancelled": 0.05, "exhausted": 0.1}

    async def scenario(fleet: Fleet) -> list[grpc.StatusCode]:
        fleet.fault_rates = FaultRates(**shares)
        return [await ask(fleet) for _ in range(2000)]

    statuses = within(FleetSettings(), scenario)
    assert statuses == within(FleetSettings(), scenario)  # the same seed, the same history
    counts = {status: statuses.count(status) / 2000 for status in set(statuses)}
    assert counts[grpc.StatusCode.UNAVAILABLE] == pytest.approx(0.15, abs=0.03)
    assert counts[grpc.StatusCode.CANCELLED] == pytest.approx(0.05, abs=0.02)
    assert counts[grpc.StatusCode.RESOURCE_EXHAUSTED] == pytest.approx(0.1, abs=0.02)
