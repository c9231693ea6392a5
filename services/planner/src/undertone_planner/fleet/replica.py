"""The life of a pod: placement on a node, start, probes, restarts, and shutdown."""

import asyncio
import random
from collections.abc import Callable

from undertone_planner.fleet.autoscaler import PodMetric
from undertone_planner.fleet.nodes import Node, NodePool
from undertone_planner.fleet.pod import Pod, State
from undertone_planner.fleet.settings import FleetSettings

BACKOFF_RESET_SECONDS = 600.0
"""A pod that runs this long without a restart starts its restart back-off anew."""


class Replica:
    """A pod with the tasks that control it. `on_ready_changed` is called after each change."""

    def __init__(
        self,
        name: str,
        settings: FleetSettings,
        nodes: NodePool | None,
        random: random.Random,
        on_ready_changed: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.pod = Pod(name, settings.pod, self._loop.time)
        self.node: Node | None = None
        self.restarts = 0
        self._settings = settings
        self._nodes = nodes
        self._random = random
        self._on_ready_changed = on_ready_changed
        self._placed_at = self._loop.time()
        self._running_since: float | None = None
        self._busy_seconds = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self, *, running: bool) -> None:
        """Start the pod. A `running` one is ready now, and takes a place that must be free."""
        if running:
            if self._nodes is not None:
                self.node = self._nodes.take(self._settings.pod.cpus)
            self.pod.state, self.pod.ready = State.RUNNING, True
            self._running_since = self._loop.time()
        self._task = asyncio.create_task(self._run(running=running), name=self.pod.name)

    def cancel(self) -> list["asyncio.Task[None]"]:
        """Stop controlling the pod. Returns the task to wait for."""
        if self._task is None:
            return []
        self._task.cancel()
        return [self._task]

    async def shut_down(self) -> None:
        """Drain the pod if it runs, and give back its place."""
        if self.pod.state is State.RUNNING:
            self.pod.ready = False
            # The preStop hook: the load balancer learns of it before the pod refuses calls.
            await asyncio.sleep(self._settings.endpoints_seconds)
            if self.pod.state is State.RUNNING:
                await self.pod.drain()
        self.leave_node()

    def leave_node(self) -> None:
        """The pod has ended: give back its place."""
        self.pod.ready, self.pod.state = False, State.GONE
        if self.node is not None and self._nodes is not None:
            self._nodes.release(self.node, self._settings.pod.cpus)
            self.node = None

    def metric(self, window_seconds: float) -> PodMetric:
        """The pod as the autoscaler sees it, and the utilization since the last call."""
        pod, now = self.pod, self._loop.time()
        busy, self._busy_seconds = pod.busy_seconds - self._busy_seconds, pod.busy_seconds
        utilization: float | None = busy / window_seconds
        if pod.was_ready and (self._running_since is None or now - self._running_since < window_seconds):
            utilization = None  # its container restarts or has restarted
        return PodMetric(
            utilization=utilization,
            ready=pod.ready,
            pending=pod.state is State.PENDING,
            age_seconds=now - self._placed_at,
            ready_changed_seconds=now - pod.ready_changed_at,
            was_ready=pod.was_ready,
        )

    async def _run(self, *, running: bool) -> None:
        pod, settings = self.pod, self._settings.pod
        backoff = 0.0
        if not running:
            await self._place()
        while True:
            if not running:
                pod.state = State.LOADING
                await asyncio.sleep(settings.load_seconds + settings.warmup_seconds)
                pod.state = State.RUNNING
                self._running_since = self._loop.time()
            running = False
            started = self._loop.time()
            await self._probe()
            pod.crash()
            self._running_since = None
            self._on_ready_changed()
            self.restarts += 1
            if self._loop.time() - started > BACKOFF_RESET_SECONDS:
                backoff = 0.0
            await asyncio.sleep(backoff)
            backoff = min(settings.max_backoff_seconds, 2 * backoff or settings.backoff_seconds)

    async def _place(self) -> None:
        if self._nodes is not None:
            self.node = node = await self._nodes.place(self._settings.pod.cpus)
            self._placed_at = self._loop.time()
            if not node.has_image:
                await asyncio.sleep(self._nodes.settings.image_pull_seconds)
                node.has_image = True

    async def _probe(self) -> None:
        """Probe a running pod until it has crashed or must be restarted."""
        pod, probes = self.pod, self._settings.probes
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
                self._on_ready_changed()
            await asyncio.sleep(probes.period_seconds)
