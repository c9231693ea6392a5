"""A simulated cluster: pods on nodes, probes, restarts, load balancing and autoscalers.

It has no sockets and uses the running loop's clock. On a virtual clock (see `clock`), the same
seed and the same calls give the same history.
"""

import asyncio
import math
import random
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import grpc
from undertone_client.testing import FakeClassifier

from undertone_planner.fleet.answers import Metadata, answer
from undertone_planner.fleet.autoscaler import Autoscaler
from undertone_planner.fleet.balancer import RetryGate, choose
from undertone_planner.fleet.faults import FaultRates
from undertone_planner.fleet.keda import Keda
from undertone_planner.fleet.nodes import Node, NodePool
from undertone_planner.fleet.outliers import Outliers
from undertone_planner.fleet.pod import Pod
from undertone_planner.fleet.replica import Replica
from undertone_planner.fleet.settings import FleetSettings, Probes
from undertone_planner.fleet.work import CallError, Work

__all__ = ["Fleet", "FleetSettings", "Probes"]

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
RETRY_BACKOFF_SECONDS = 0.025
"""Envoy waits up to this long before its first repetition, and twice as long before each other."""


class Fleet:
    """Use as `async with Fleet(...) as fleet`. `answer` handles a call as a load balancer would.

    `metrics` are the values of KEDA's triggers by name, which the caller sets.

    Faults can be set at any time. `fault_rates` fail random calls; EXHAUSTED faults have
    `pushback_ms`. `poison` maps texts to the status of every call that has them. `kill`,
    `rolling_restart` and `reclaim` end pods; those in `pods` can be hung or slowed down.
    `application` computes the scores of all pods.
    """

    def __init__(self, settings: FleetSettings, *, seed: int = 0) -> None:
        self.settings = settings
        self.fault_rates = FaultRates()
        self.pushback_ms: int | None = None
        self.poison: Mapping[str, grpc.StatusCode] = {}
        self.metrics: dict[str, float] = {}
        self.application = FakeClassifier()
        self.nodes: NodePool | None = None
        self.random = random.Random(seed)
        self._replicas: list[Replica] = []
        self._deleted_restarts = 0
        self._shutdowns: dict[asyncio.Task[None], Replica] = {}
        self._known: list[Pod] = []
        self._endpoints: list[Pod] = []
        self._outliers = Outliers(settings.balancer)
        self._created = 0
        self._controllers: list[asyncio.Task[None]] = []
        self._gate = RetryGate(settings.balancer)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        settings = self.settings
        if settings.nodes is not None:
            self.nodes = NodePool(settings.nodes, self.random, pods=settings.pods, cpus=settings.pod.cpus)
        for _ in range(settings.pods):
            self._add(running=True)
        self._refresh_endpoints()
        keda = None if settings.keda is None else Keda(settings.keda)
        if settings.autoscaler is not None:
            autoscaler = settings.autoscaler
            if keda is not None:
                autoscaler = replace(autoscaler, min_replicas=max(1, keda.settings.min_replicas))
            self._control(self._autoscale(Autoscaler(autoscaler), keda), "autoscaler")
        if keda is not None:
            self._control(self._activate(keda), "keda")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = [*self._controllers, *self._shutdowns]
        for task in tasks:
            task.cancel()
        for replica in self._replicas:
            tasks += replica.cancel()
        if self.nodes is not None:
            await self.nodes.close()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    @property
    def pods(self) -> list[Pod]:
        """Pods that are not being deleted, the oldest first."""
        return [replica.pod for replica in self._replicas]

    @property
    def network_seconds(self) -> float:
        """One-way network latency."""
        return self.settings.network_seconds

    @property
    def is_available(self) -> bool:
        """Whether the load balancer knows a pod that is ready."""
        return bool(self._endpoints)

    @property
    def restarts(self) -> int:
        """Restarts of all pods so far."""
        return self._deleted_restarts + sum(replica.restarts for replica in self._replicas)

    async def answer(
        self, method: str, request: Any, metadata: Metadata = (), deadline: float = math.inf
    ) -> tuple[Any, Metadata]:
        """The reply to a call with this metadata, and its trailers.

        Raises:
            CallError: the call failed.
        """
        return await answer(self, method, request, metadata, deadline)

    async def serve(self, work: Work, deadline: float = math.inf) -> None:
        """Return when a call has been served. The load balancer repeats some failures.

        `deadline` is in seconds of the loop's clock; pods use it for shedding and do not end calls.

        Raises:
            CallError: the call failed.
        """
        gate, settings = self._gate, self.settings.balancer
        tried: list[Pod] = []
        gate.calls += 1
        try:
            while True:
                pod = choose(self._endpoints, settings, self.random, tried)
                if pod is None:
                    raise CallError(UNAVAILABLE, "no healthy upstream")
                pod.active += 1
                try:
                    await pod.serve(work, deadline)
                    self._outliers.answered(pod)
                    return
                except CallError as error:
                    self._check_outlier(pod, error)
                    if error.status is not UNAVAILABLE or len(tried) >= settings.retries or not gate.is_open:
                        raise
                finally:
                    pod.active -= 1
                tried.append(pod)
                gate.retries += 1
                try:
                    await asyncio.sleep(self.random.random() * RETRY_BACKOFF_SECONDS * 2 ** (len(tried) - 1))
                finally:
                    gate.retries -= 1
        finally:
            gate.calls -= 1

    def kill(self, pod: Pod) -> None:
        """Kill the pod's process.

        The pod restarts, and the load balancer learns of it with a delay.
        """
        pod.crash()
        self._schedule_endpoints()

    async def rolling_restart(self) -> None:
        """Replace the pods one by one. Each old pod drains after its replacement is ready."""
        for old in list(self._replicas):
            new = self._add(running=False)
            while not new.pod.ready:  # noqa: ASYNC110 - a deployment controller polls, too
                await asyncio.sleep(1)
            self._delete(old)

    async def reclaim(self, node: Node, notice_seconds: float, *, drain: bool = True) -> None:
        """Take a node away after a notice, as the provider of spot instances does.

        With `drain`, a handler of the notice evicts the pods at once: they drain while their
        replacements start. Without, they run until the node ends.
        """
        node.cordoned = True
        if drain:
            self._evict(node)
        await asyncio.sleep(notice_seconds)
        self._evict(node)
        for replica in self._shutdowns.values():
            if replica.node is node:
                replica.pod.crash()
        if self.nodes is not None:
            self.nodes.remove(node)

    async def reclaim_share(self, share: float, notice_seconds: float, *, drain: bool = True) -> int:
        """Reclaim a share of the nodes, chosen at random. Returns their number."""
        if self.nodes is None:
            return 0
        nodes = [node for node in self.nodes.nodes if not node.cordoned]
        chosen = self.random.sample(nodes, round(share * len(nodes)))
        await asyncio.gather(*(self.reclaim(node, notice_seconds, drain=drain) for node in chosen))
        return len(chosen)

    def scale(self, replicas: int) -> None:
        """Create or delete pods. Pods that are not ready are deleted first, then the youngest."""
        for _ in range(replicas - len(self._replicas)):
            self._add(running=False)
        for _ in range(len(self._replicas) - replicas):
            self._delete(min(reversed(self._replicas), key=lambda replica: replica.pod.ready))

    def _add(self, *, running: bool) -> Replica:
        replica = Replica(f"pod-{self._created}", self.settings, self.nodes, self.random, self._schedule_endpoints)
        self._created += 1
        self._replicas.append(replica)
        replica.start(running=running)
        return replica

    def _delete(self, replica: Replica) -> None:
        self._replicas.remove(replica)
        self._deleted_restarts += replica.restarts
        replica.cancel()
        task = asyncio.create_task(replica.shut_down(), name=f"{replica.pod.name} shuts down")
        self._shutdowns[task] = replica
        task.add_done_callback(lambda done: self._shutdowns.pop(done, None))
        replica.pod.ready = False
        self._schedule_endpoints()

    def _evict(self, node: Node) -> None:
        """Replace all pods of a node."""
        for replica in [replica for replica in self._replicas if replica.node is node]:
            self._delete(replica)
            self._add(running=False)

    def _schedule_endpoints(self) -> None:
        self._loop.call_later(self.settings.endpoints_seconds, self._refresh_endpoints)

    def _refresh_endpoints(self) -> None:
        self._known = [replica.pod for replica in self._replicas if replica.pod.ready]
        self._exclude_outliers()

    def _exclude_outliers(self) -> None:
        self._endpoints = [pod for pod in self._known if not self._outliers.is_ejected(pod)]

    def _check_outlier(self, pod: Pod, error: CallError) -> None:
        """Eject a pod whose connections fail."""
        if error.status is not UNAVAILABLE:
            self._outliers.answered(pod)
        elif (end := self._outliers.failed(pod, self._loop.time(), len(self._known))) is not None:
            self._exclude_outliers()
            self._loop.call_at(end, self._restore, pod)

    def _restore(self, pod: Pod) -> None:
        self._outliers.restore(pod)
        self._exclude_outliers()

    def _control(self, controller: Any, name: str) -> None:
        self._controllers.append(asyncio.create_task(controller, name=name))

    async def _autoscale(self, autoscaler: Autoscaler, keda: Keda | None) -> None:
        sync = autoscaler.settings.sync_seconds
        while True:
            await asyncio.sleep(sync)
            now, replicas = self._loop.time(), len(self._replicas)
            metrics = [replica.metric(sync) for replica in self._replicas]
            ready = sum(metric.ready for metric in metrics)
            proposals = keda.proposals(now, autoscaler, replicas, ready, self.metrics) if keda and replicas else ()
            self.scale(autoscaler.desired_replicas(now, replicas, metrics, proposals))

    async def _activate(self, keda: Keda) -> None:
        while True:
            self.scale(keda.activate(self._loop.time(), len(self._replicas), self.metrics))
            await asyncio.sleep(keda.settings.polling_seconds)
