import asyncio
from dataclasses import replace

import pytest
from undertone_planner.fleet.balancer import CHART_BALANCER, BalancerSettings
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.fleet import Fleet, FleetSettings
from undertone_planner.fleet.outliers import Outliers
from undertone_planner.fleet.pod import PodSettings
from undertone_planner.fleet.work import Work


def test_consecutive_failures_eject_a_pod_until_the_evaluation_after_its_time() -> None:
    outliers = Outliers(CHART_BALANCER)
    for _ in range(4):
        assert outliers.failed("a", 3.0, 2) is None
    outliers.answered("a")
    ends = [outliers.failed("a", 3.0, 2) for _ in range(5)]
    assert ends == [None] * 4 + [20.0]
    assert outliers.is_ejected("a")
    outliers.restore("a")
    assert [outliers.failed("a", 21.0, 2) for _ in range(5)][-1] == 50.0  # twice as long


def test_at_most_a_share_of_the_pods_is_ejected_but_one_always_can_be() -> None:
    outliers = Outliers(CHART_BALANCER)
    ejected = [pod for pod in range(10) for _ in range(5) if outliers.failed(pod, 0.0, 10) is not None]
    assert ejected == [0, 1, 2]
    alone = Outliers(CHART_BALANCER)
    assert [alone.failed("a", 0.0, 2) for _ in range(5)][-1] is not None


@pytest.mark.parametrize("balancer", [CHART_BALANCER, replace(CHART_BALANCER, ejection_failures=None)])
def test_a_killed_pod_gets_calls_again_after_its_ejection(balancer: BalancerSettings) -> None:
    settings = FleetSettings(
        pods=2,
        pod=PodSettings(queue=None, load_seconds=1.0),
        balancer=balancer,
        endpoints_seconds=0.5,
    )

    async def scenario() -> float:
        async with Fleet(settings) as fleet:
            killed = fleet.pods[0]
            fleet.kill(killed)
            served = killed.served_tokens
            while killed.served_tokens == served:
                await asyncio.gather(*(fleet.serve(Work(1)) for _ in range(8)))
                await asyncio.sleep(0.1)
            return asyncio.get_running_loop().time()

    seconds = run(scenario())
    assert (seconds > 10) == (balancer is CHART_BALANCER)
