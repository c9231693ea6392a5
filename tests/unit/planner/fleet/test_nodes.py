import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from undertone_planner.errors import PlannerError
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.fleet import Fleet, FleetSettings
from undertone_planner.fleet.nodes import NodePool, NodePoolSettings
from undertone_planner.fleet.pod import PodSettings, State

T = TypeVar("T")


def run_with_pool(settings: NodePoolSettings, scenario: Callable[[NodePool], Awaitable[T]], *, pods: int = 0) -> T:
    async def main() -> T:
        pool = NodePool(settings, random.Random(0), pods=pods, cpus=2)
        try:
            return await scenario(pool)
        finally:
            await pool.close()

    return run(main())


def now() -> float:
    return asyncio.get_running_loop().time()


def test_pods_without_room_wait_for_nodes() -> None:
    async def scenario(pool: NodePool) -> None:
        placed = await asyncio.gather(*(pool.place(2) for _ in range(10)))
        assert now() == 10 + 60  # the provisioner's scan, and the boot
        assert len(pool.nodes) == 3  # 4 pods each
        assert sorted(sum(node is other for other in placed) for node in pool.nodes) == [2, 4, 4]
        assert not any(node.has_image for node in pool.nodes)

    run_with_pool(NodePoolSettings(cpus=8), scenario)


def test_a_pod_goes_to_the_fullest_node_with_room() -> None:
    async def scenario(pool: NodePool) -> None:
        first, *_ = [await pool.place(2) for _ in range(5)]
        assert [node.pods for node in pool.nodes] == [4, 1]
        pool.release(first, 2)
        assert await pool.place(2) is first
        assert now() == 0

    run_with_pool(NodePoolSettings(cpus=8, initial_nodes=2), scenario)


def test_empty_nodes_are_removed_except_the_minimum() -> None:
    async def scenario(pool: NodePool) -> None:
        placed = [await pool.place(8) for _ in range(3)]
        await asyncio.sleep(1000)
        assert len(pool.nodes) == 3
        for node in placed:
            pool.release(node, 8)
        await asyncio.sleep(599)
        assert len(pool.nodes) == 3
        await pool.place(2)  # the first node is in use again
        await asyncio.sleep(2)
        assert len(pool.nodes) == 1

    run_with_pool(NodePoolSettings(cpus=8, initial_nodes=3, min_nodes=1), scenario)


def test_a_failed_boot_is_repeated_after_its_timeout() -> None:
    async def scenario(pool: NodePool) -> None:
        await pool.place(2)
        assert now() == 10 + 900 * pool.boot_failures + 60
        assert pool.boot_failures > 0

    run_with_pool(NodePoolSettings(boot_failure_rate=0.9), scenario)


def test_the_maximum_bounds_the_nodes() -> None:
    async def scenario(pool: NodePool) -> None:
        waiting = [asyncio.create_task(pool.place(2)) for _ in range(9)]
        await asyncio.sleep(1000)
        assert sum(task.done() for task in waiting) == 8
        pool.release(await waiting[0], 2)
        await asyncio.sleep(0)
        assert all(task.done() for task in waiting)

    run_with_pool(NodePoolSettings(cpus=8, max_nodes=2), scenario)


def test_a_cancelled_pod_takes_no_room() -> None:
    async def scenario(pool: NodePool) -> None:
        waiting = [asyncio.create_task(pool.place(2)) for _ in range(2)]
        await asyncio.sleep(20)
        waiting[0].cancel()
        node = await waiting[1]
        await asyncio.sleep(0)
        assert (node.pods, node.free_cpus) == (1, 6)
        waiting = [asyncio.create_task(pool.place(8)) for _ in range(2)]
        await asyncio.sleep(0)
        pool.release(node, 2)
        waiting[0].cancel()  # after it got the room, and before it runs
        await asyncio.sleep(0.1)
        assert await waiting[1] is node

    run_with_pool(NodePoolSettings(cpus=8), scenario)


def test_a_pod_larger_than_a_node_is_an_error() -> None:
    async def scenario(pool: NodePool) -> None:
        with pytest.raises(PlannerError, match="requests 9 CPUs, but nodes have 8: use larger nodes"):
            await pool.place(9)

    run_with_pool(NodePoolSettings(cpus=8), scenario)


@examples(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 300), st.sampled_from([1.0, 2.0, 3.5]), st.floats(1, 500)), max_size=30), st.integers(0, 3)
)
def test_no_node_is_overcommitted_and_every_pod_runs(pods: list[tuple[float, float, float]], initial: int) -> None:
    async def scenario(pool: NodePool) -> None:
        async def pod(start: float, cpus: float, seconds: float) -> None:
            await asyncio.sleep(start)
            node = await pool.place(cpus)
            assert node.free_cpus > -1e-6
            await asyncio.sleep(seconds)
            pool.release(node, cpus)

        await asyncio.gather(*(pod(*each) for each in pods))
        assert all(node.pods == 0 and math.isclose(node.free_cpus, 7) for node in pool.nodes)
        await asyncio.sleep(700)
        assert not pool.nodes

    run_with_pool(NodePoolSettings(cpus=7, initial_nodes=initial), scenario)


def test_the_start_of_a_pod_takes_boot_pull_load_and_warm_up() -> None:
    async def main() -> None:
        settings = FleetSettings(
            pods=1,
            pod=PodSettings(cpus=4, load_seconds=7, warmup_seconds=3),
            nodes=NodePoolSettings(cpus=8, boot_seconds=60, image_pull_seconds=30),
        )
        async with Fleet(settings) as fleet:
            fleet.scale(4)  # one on the first node, which has the image, and two on a new one
            states: dict[str, list[float]] = {pod.name: [] for pod in fleet.pods}
            for _ in range(200):
                await asyncio.sleep(1)
                for pod in fleet.pods:
                    if pod.state is State.RUNNING:
                        states[pod.name].append(now())
            assert [seconds[0] for seconds in states.values()] == pytest.approx([1, 10, 110, 110], abs=1)

    run(main())
