"""A simulated cluster: pods on nodes, probes, restarts, load balancing and an autoscaler.

It has no sockets and uses the running loop's clock. On a virtual clock (see `clock`), the same
seed and the same calls give the same history.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from undertone_client.testing import FakeClassifier

from undertone_planner.fleet.autoscaler import Autoscaler, AutoscalerSettings
from undertone_planner.fleet.faults import FaultKind, FaultRates
from undertone_planner.fleet.pod import CallError, Pod, PodSettings, State

Metadata = Sequence[tuple[str, str]]

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
BACKOFF_RESET_SECONDS = 600.0
"""A pod that runs this long without a restart starts its restart back-off anew."""


@dataclass(frozen=True, slots=True)
class Probes:
    """The kubelet's probes.

    An answer takes `seconds_per_call` for each call in flight, because the process that answers
    probes also reads requests: an overloaded pod answers late. After `readiness_failures` late
    answers in a row a pod gets no new calls, and after `liveness_failures` it is restarted. One
    answer in time makes it ready.
    """

    period_seconds: float = 5.0
    timeout_seconds: float = 1.0
    seconds_per_call: float = 0.01
    readiness_failures: int = 2
    liveness_failures: int = 6


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """A fleet and its cluster.

    pods: number of pods that are ready at the start.
    spare_capacity: further pods that existing nodes can run. Others wait `provision_seconds`.
    network_seconds: one-way network latency.
    endpoints_seconds: delay until the load balancer knows a change of a pod's readiness.
    choices: pods that the load balancer samples; it takes the least loaded. Envoy's default is 2.
    autoscaler: None keeps the number of pods constant.
    """

    pods: int = 4
    pod: PodSettings = field(default_factory=PodSettings)
    probes: Probes = field(default_factory=Probes)
    autoscaler: AutoscalerSettings | None = None
    spare_capacity: int = 0
    provision_seconds: float = 40.0
    network_seconds: float = 0.001
    endpoints_seconds: float = 1.0
    choices: int = 2


@dataclass(slots=True)
class _Replica:
    pod: Pod
    task: "asyncio.Task[None] | None" = None
    busy_seconds_at_sync: float | None = field(default=None)


class Fleet:
    """Use as `async with Fleet(...) as fleet`. `answer` handles a call as a load balancer would.

    Faults can be set at any time. `fault_rates` fail random calls; EXHAUSTED faults have
    `pushback_ms`. `poison` maps texts to the status of every call that has them. `kill` and
    `rolling_restart` end pods; those in `pods` can be hung or slowed down. `application`
    computes the scores of all pods.
    """

    def __init__(self, settings: FleetSettings, *, seed: int = 0) -> None:
        self.settings = settings
        self.fault_rates = FaultRates()
        self.pushback_ms: int | None = None
        self.poison: Mapping[str, grpc.StatusCode] = {}
        self.application = FakeClassifier()
        self.restarts = 0
        self._random = random.Random(seed)
        self._replicas: list[_Replica] = []
        self._draining: set[asyncio.Task[None]] = set()
        self._endpoints: list[Pod] = []
        self._spare_capacity = settings.spare_capacity
        self._created = 0
        self._autoscaling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for _ in range(self.settings.pods):
            self._add(running=True)
        self._refresh_endpoints()
        if self.settings.autoscaler is not None:
            self._autoscaling = asyncio.create_task(self._autoscale(Autoscaler(self.settings.autoscaler)), name="autoscaler")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        replicas = (replica.task for replica in self._replicas)
        tasks = [task for task in (self._autoscaling, *replicas, *self._draining) if task is not None]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    @property
    def pods(self) -> list[Pod]:
        """Pods that are not being deleted, the oldest first."""
        return [replica.pod for replica in self._replicas]

    async def answer(self, method: str, request: Any, metadata: Metadata = ()) -> tuple[Any, Metadata]:
        """The reply to a call with this metadata, and its trailers.

        Raises:
            CallError: the call failed.
        """
        await asyncio.sleep(self.settings.network_seconds)
        fault = self.fault_rates.draw(self._random)
        if fault is FaultKind.UNAVAILABLE:
            raise CallError(UNAVAILABLE, "injected: connection refused")
        if fault is FaultKind.EXHAUSTED:
            raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "injected: queue full", self.pushback_ms)
        if fault is FaultKind.LOST:
            await asyncio.Event().wait()
        pod = self._pick()
        context = _Context(metadata)
        texts = [paragraph.text for paragraph in getattr(request, "paragraphs", ())]
        if method != "GetModel":
            texts = texts or [request.text]
            await pod.serve(sum(len(text.split()) + 2 for text in texts))
        if fault is FaultKind.RESET:
            raise CallError(UNAVAILABLE, "injected: connection reset after the work")
        if fault is FaultKind.CANCELLED:
            raise CallError(grpc.StatusCode.CANCELLED, "injected: cancelled by the server")
        if self.poison and (poisoned := next((text for text in texts if text in self.poison), None)) is not None:
            raise CallError(self.poison[poisoned], "injected: a paragraph of this call is poison")
        reply = await getattr(self.application, method)(request, context)
        self.application.calls.clear()
        if fault is FaultKind.REFUSED_ITEMS and method == "ClassifyBatch":
            for result in self._random.sample(list(reply.results), k=(len(reply.results) + 1) // 2):
                result.error.code, result.error.message = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "injected: queue full"
        await asyncio.sleep(self.settings.network_seconds)
        return reply, context.trailers

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

    def _add(self, *, running: bool) -> _Replica:
        pod = Pod(f"pod-{self._created}", self.settings.pod, self._loop.time)
        self._created += 1
        replica = _Replica(pod)
        replica.task = asyncio.create_task(self._run(pod, running=running), name=pod.name)
        self._replicas.append(replica)
        if running:
            pod.state, pod.ready = State.RUNNING, True
        return replica

    def _delete(self, replica: _Replica) -> None:
        self._replicas.remove(replica)
        if replica.task is not None:
            replica.task.cancel()
        running = replica.pod.state is State.RUNNING
        replica.pod.ready = False
        self._schedule_endpoints()
        if running:
            task = asyncio.create_task(self._drain(replica.pod), name=f"{replica.pod.name} drains")
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
        if replica.pod.state is not State.PENDING:
            self._spare_capacity += 1

    async def _drain(self, pod: Pod) -> None:
        # The preStop hook: the load balancer learns of the shutdown before the pod refuses calls.
        await asyncio.sleep(self.settings.endpoints_seconds)
        await pod.drain()

    async def _run(self, pod: Pod, *, running: bool) -> None:
        backoff = 0.0
        if not running:
            await self._schedule()
        while True:
            if not running:
                pod.state = State.LOADING
                await asyncio.sleep(self.settings.pod.load_seconds)
                pod.state = State.RUNNING
            running = False
            started = self._loop.time()
            await self._probe(pod)
            pod.crash()
            self._schedule_endpoints()
            self.restarts += 1
            if self._loop.time() - started > BACKOFF_RESET_SECONDS:
                backoff = 0.0
            await asyncio.sleep(backoff)
            backoff = min(self.settings.pod.max_backoff_seconds, 2 * backoff or self.settings.pod.backoff_seconds)

    async def _schedule(self) -> None:
        if self._spare_capacity > 0:
            self._spare_capacity -= 1
        else:
            await asyncio.sleep(self.settings.provision_seconds)

    async def _probe(self, pod: Pod) -> None:
        """Probe a running pod until it has crashed or must be restarted."""
        probes = self.settings.probes
        failures = 0
        await asyncio.sleep(self._random.random() * probes.period_seconds)
        while pod.state is State.RUNNING:
            in_time = not pod.hung and probes.seconds_per_call * pod.in_flight <= probes.timeout_seconds
            failures = 0 if in_time else failures + 1
            if failures >= probes.liveness_failures:
                return
            ready = in_time or (pod.ready and failures < probes.readiness_failures)
            if ready != pod.ready:
                pod.ready = ready
                self._schedule_endpoints()
            await asyncio.sleep(probes.period_seconds)

    def _schedule_endpoints(self) -> None:
        self._loop.call_later(self.settings.endpoints_seconds, self._refresh_endpoints)

    def _refresh_endpoints(self) -> None:
        self._endpoints = [replica.pod for replica in self._replicas if replica.pod.ready]

    def _pick(self) -> Pod:
        """The least loaded of `choices` random pods, as Envoy's least request does."""
        if not self._endpoints:
            raise CallError(UNAVAILABLE, "no healthy upstream")
        sampled = self._random.sample(self._endpoints, min(self.settings.choices, len(self._endpoints)))
        return min(sampled, key=lambda pod: pod.in_flight)

    async def _autoscale(self, autoscaler: Autoscaler) -> None:
        sync = autoscaler.settings.sync_seconds
        for replica in self._replicas:
            replica.busy_seconds_at_sync = replica.pod.busy_seconds
        while True:
            await asyncio.sleep(sync)
            utilizations = []
            for replica in self._replicas:
                busy, before = replica.pod.busy_seconds, replica.busy_seconds_at_sync
                replica.busy_seconds_at_sync = busy
                if replica.pod.ready and before is not None:
                    utilizations.append((busy - before) / sync)
            desired = autoscaler.desired_replicas(self._loop.time(), len(self._replicas), utilizations)
            for _ in range(desired - len(self._replicas)):
                self._add(running=False)
            for _ in range(len(self._replicas) - desired):
                # The controller deletes pods that are not ready first, then the youngest.
                self._delete(min(reversed(self._replicas), key=lambda replica: replica.pod.ready))


class _Context:
    """The part of grpc.aio.ServicerContext that the application uses."""

    def __init__(self, metadata: Metadata) -> None:
        self.trailers: Metadata = ()
        self._metadata = metadata

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def time_remaining(self) -> None:
        return None

    def set_trailing_metadata(self, trailers: Metadata) -> None:
        self.trailers = trailers

    async def abort(self, status: grpc.StatusCode, reason: str, trailers: Metadata = ()) -> None:
        pushback = next((int(value) for _, value in trailers), None)
        raise CallError(status, reason, pushback)
