import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_bench.cluster.controllers import Deployment
from undertone_bench.cluster.pods import Pod, UpdateLimits, scaled
from undertone_sidecar.testing import FakeClock


class FakePod(Pod):
    """A pod that is ready `startup` seconds after its creation, unless `broken` is set."""

    def __init__(self, name: str, clock: FakeClock, startup: float) -> None:
        super().__init__(name, {"terminationGracePeriodSeconds": 30}, Path())
        self.broken = False
        self._clock = clock
        self._ready_at = clock() + startup

    def start(self) -> None:
        pass

    def update(self) -> None:
        ready = self._clock() >= self._ready_at and not self.broken
        self.ready_since = (self.ready_since or self._clock()) if ready else None


class Fleet:
    """A Deployment of fake pods, whose first pods are available."""

    def __init__(self, *, replicas: int, surge: int = 1, unavailable: int = 0, min_ready: int = 0, startup: float = 5) -> None:
        self.clock = FakeClock(1.0)
        self.created = 0
        self._startup = startup

        def create() -> FakePod:
            self.created += 1
            return FakePod(f"pod-{self.created}", self.clock, self._startup)

        self.deployment = Deployment(
            create, replicas=replicas, limits=UpdateLimits(surge, unavailable, min_ready), clock=self.clock
        )
        self.advance(startup + min_ready + 2)

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.deployment.reconcile()
            self.clock.advance(1)
        self.deployment.reconcile()

    def alive(self) -> list[FakePod]:
        return [pod for pod in self.deployment.pods if not pod.terminating]

    def available(self, min_ready: int) -> int:
        return sum(pod.ready_since is not None and self.clock() - pod.ready_since >= min_ready for pod in self.alive())


@given(
    replicas=st.integers(1, 6),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 2),
    min_ready=st.integers(0, 20),
    startup=st.integers(1, 8),
)
def test_a_rollout_keeps_its_bounds_and_replaces_all_pods(
    replicas: int, surge: int, unavailable: int, min_ready: int, startup: int
) -> None:
    if not surge and not unavailable:
        surge = 1
    fleet = Fleet(replicas=replicas, surge=surge, unavailable=unavailable, min_ready=min_ready, startup=startup)
    old = set(fleet.alive())

    async def roll_out() -> None:
        rollout = asyncio.create_task(fleet.deployment.rollout())
        await asyncio.sleep(0)
        for _ in range((replicas + 2) * (min_ready + startup + 3)):
            fleet.advance(1)
            assert len(fleet.alive()) <= replicas + surge
            assert fleet.available(min_ready) >= replicas - unavailable
        rollout.cancel()

    asyncio.run(roll_out())
    assert len(fleet.alive()) == replicas
    assert not old & set(fleet.alive())


def test_a_deleted_pod_is_replaced_at_once() -> None:
    fleet = Fleet(replicas=2)
    fleet.alive()[0].delete()
    fleet.advance(1)
    assert len(fleet.alive()) == 2
    assert len(fleet.deployment.ready_pods()) == 1


async def test_an_eviction_waits_until_another_pod_is_ready() -> None:
    fleet = Fleet(replicas=2)
    first, second = fleet.alive()
    await fleet.deployment.evict(first, max_unavailable=1)
    assert first.terminating
    eviction = asyncio.create_task(fleet.deployment.evict(second, max_unavailable=1))
    await asyncio.sleep(0)
    assert not second.terminating
    fleet.advance(8)
    await eviction
    assert second.terminating


async def test_a_pod_that_is_not_ready_is_evicted_at_once() -> None:
    fleet = Fleet(replicas=2)
    first, second = fleet.alive()
    first.broken = True
    fleet.advance(1)
    await fleet.deployment.evict(first, max_unavailable=1)
    assert first.terminating
    assert not second.terminating


@pytest.mark.parametrize(
    ("value", "up", "expected"), [("10%", True, 1), ("25%", True, 1), ("25%", False, 0), ("50%", False, 1), (3, True, 3)]
)
def test_percentages_are_rounded_as_kubernetes_does(value: int | str, *, up: bool, expected: int) -> None:
    assert scaled(value, 2, up=up) == expected
