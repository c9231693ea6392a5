"""Controllers of the cluster: Deployment, EndpointSlice and eviction."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from undertone_bench.cluster.pods import InferencePod, Pod, UpdateLimits

P = TypeVar("P", bound=Pod)

_TICK_SECONDS: Final = 0.2
"""Interval at which a controller compares the pods with its target."""


class Deployment(Generic[P]):
    """Keeps a number of pods, and replaces them in rolling updates.

    Attributes:
        pods: All pods that are not gone. Terminating pods are among them.
    """

    def __init__(
        self,
        create: Callable[[], P],
        *,
        replicas: int,
        limits: UpdateLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Creates a Deployment without pods.

        Args:
            create: Creates a pod that is not started.
            replicas: Number of pods.
            limits: Limits of rolling updates.
            clock: Time in seconds, to which Pod.ready_since refers.
        """
        self.pods: list[P] = []
        self._create = create
        self._replicas = replicas
        self._limits = limits
        self._clock = clock
        self._generation = 0
        self._generations: dict[str, int] = {}

    async def run(self) -> None:
        """Runs until cancelled. Kills all pods at the end."""
        try:
            while True:
                self.reconcile()
                await asyncio.sleep(_TICK_SECONDS)
        finally:
            await asyncio.gather(*(pod.close() for pod in self.pods))

    def reconcile(self) -> None:
        """Creates and deletes pods, one step towards the target."""
        self.pods = [pod for pod in self.pods if not pod.gone.is_set()]
        for pod in self.pods:
            pod.update()
        alive = [pod for pod in self.pods if not pod.terminating]
        new = [pod for pod in alive if self._generations[pod.name] == self._generation]
        old = [pod for pod in alive if self._generations[pod.name] != self._generation]
        surge = self._limits.surge if old else 0
        while len(alive) < self._replicas + surge and len(new) < self._replicas:
            pod = self._create()
            self._generations[pod.name] = self._generation
            pod.start()
            for group in (self.pods, alive, new):
                group.append(pod)
        least = self._replicas - self._limits.unavailable
        # Old pods that are not available go first, but not before new pods are available.
        spare = len(alive) - least - sum(not self._is_available(pod) for pod in new)
        unavailable = [pod for pod in old if not self._is_available(pod)]
        for pod in unavailable[: max(0, spare)]:
            pod.delete()
        available = [pod for pod in alive if self._is_available(pod)]
        for pod in [pod for pod in old if pod in available][: max(0, len(available) - least)]:
            pod.delete()

    def _is_available(self, pod: P) -> bool:
        return pod.ready_since is not None and self._clock() - pod.ready_since >= self._limits.min_ready

    def ready_pods(self) -> list[P]:
        """The pods that are ready and not terminating."""
        return [pod for pod in self.pods if pod.ready_since is not None and not pod.terminating]

    async def rollout(self) -> None:
        """Replaces all pods. Returns when `kubectl rollout status` would."""
        self._generation += 1
        self.reconcile()
        await self.wait_available()

    async def wait_available(self) -> None:
        """Waits until all pods are those of the last rollout, and available."""
        while True:
            alive = [pod for pod in self.pods if not pod.terminating]
            updated = [pod for pod in alive if self._generations[pod.name] == self._generation and self._is_available(pod)]
            if len(alive) == len(updated) == self._replicas:
                return
            await asyncio.sleep(_TICK_SECONDS)

    async def evict(self, pod: P, *, max_unavailable: int) -> None:
        """Evicts a pod as soon as the PodDisruptionBudget allows it, as `kubectl drain` does."""
        while not pod.terminating:
            healthy = len(self.ready_pods())
            if pod.ready_since is None or healthy > self._replicas - max_unavailable:
                pod.delete()
                return
            await asyncio.sleep(_TICK_SECONDS)


class Endpoints:
    """Publishes the addresses of the pods that are ready and not terminating, or of all pods."""

    def __init__(
        self,
        deployment: Deployment[InferencePod],
        publish: Callable[[list[str]], None],
        *,
        all_pods: bool,
        delay_seconds: float = 1.0,
    ) -> None:
        """`all_pods` is publishNotReadyAddresses of the Service.

        `delay_seconds` is the time until DNS knows a change.
        """
        self._all_pods = all_pods
        self._deployment = deployment
        self._publish = publish
        self._delay_seconds = delay_seconds

    async def run(self) -> None:
        """Runs until cancelled."""
        published: list[str] | None = None
        async with asyncio.TaskGroup() as group:
            while True:
                pods = self._deployment.pods if self._all_pods else self._deployment.ready_pods()
                addresses = sorted(pod.address for pod in pods)
                if addresses != published:
                    published = addresses
                    group.create_task(self._publish_later(addresses))
                await asyncio.sleep(_TICK_SECONDS)

    async def _publish_later(self, addresses: list[str]) -> None:
        await asyncio.sleep(self._delay_seconds)
        self._publish(addresses)
