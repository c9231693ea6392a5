"""A pool of nodes of one type, and its provisioner.

The provisioner, like the Cluster Autoscaler and Karpenter, creates nodes for pods that fit on no
node, and removes nodes that have been empty for a while. Nodes take time to boot, and a boot can
fail. Pods are packed: each goes to the fullest node that has room, so that scaling down empties
nodes. Nodes are not removed by moving their pods.
"""

import asyncio
import math
import random
from collections import deque
from dataclasses import dataclass, field

from undertone_planner.errors import PlannerError


@dataclass(frozen=True, slots=True)
class NodePoolSettings:
    """Settings of a pool. CPUs are those that pods can request (allocatable).

    initial_nodes: nodes at the start, which have the images. There are at least as many as the pods
        at the start need.
    min_nodes, max_nodes: bounds on their number.
    scan_seconds: interval at which the provisioner looks for pending pods. The default is the
        Cluster Autoscaler's.
    boot_seconds: from the request of a node until pods start on it.
    boot_failure_rate: share of the boots that fail. The provisioner notices it after
        `boot_timeout_seconds` and requests another node.
    empty_seconds: time after which an empty node is removed. The default is the Cluster
        Autoscaler's.
    image_pull_seconds: time to pull the images of a pod to a node that does not have them.
    spot: the nodes are interruptible; for `Fleet.reclaim_share` and for prices.
    """

    cpus: float = 16.0
    initial_nodes: int = 0
    min_nodes: int = 0
    max_nodes: int | None = None
    scan_seconds: float = 10.0
    boot_seconds: float = 60.0
    boot_failure_rate: float = 0.0
    boot_timeout_seconds: float = 900.0
    empty_seconds: float = 600.0
    image_pull_seconds: float = 0.0
    spot: bool = False


@dataclass(slots=True, eq=False)
class Node:
    """A node. `free_cpus` are not requested by pods. A cordoned node gets no new pods."""

    name: str
    free_cpus: float
    has_image: bool
    cordoned: bool = False
    pods: int = 0
    emptied: int = 0
    """Counts the times at which the node lost its last pod or got a new one."""


@dataclass(slots=True, eq=False)
class _Pending:
    cpus: float
    node: "asyncio.Future[Node]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class NodePool:
    """Schedules pods to nodes. Use within a running loop; `close` ends its tasks."""

    def __init__(self, settings: NodePoolSettings, random: random.Random, *, pods: int = 0, cpus: float = 1.0) -> None:
        """`pods` that request `cpus` each get nodes at once, besides `initial_nodes`."""
        self.settings = settings
        self.nodes: list[Node] = []
        self.boot_failures = 0
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._pending: deque[_Pending] = deque()
        self._booting: set[asyncio.Task[None]] = set()
        self._scan: asyncio.Task[None] | None = None
        self._created = 0
        self._check(cpus)
        initial = max(settings.initial_nodes, math.ceil(pods / int(settings.cpus / cpus + 1e-9)))
        for _ in range(initial):
            self._add(has_image=True)
        self._boot(settings.min_nodes - initial)

    @property
    def booting(self) -> int:
        """Nodes that are requested and not yet ready."""
        return len(self._booting)

    async def place(self, cpus: float) -> Node:
        """Wait until a node has room for a pod that requests these CPUs, and take it.

        Raises:
            PlannerError: no node is large enough.
        """
        self._check(cpus)
        node = self.take(cpus)
        if node is not None:
            return node
        pending = _Pending(cpus)
        self._pending.append(pending)
        if self._scan is None:
            self._scan = asyncio.create_task(self._provision(), name="provisioner")
        try:
            return await pending.node
        except asyncio.CancelledError:
            if pending.node.done() and not pending.node.cancelled():
                self.release(pending.node.result(), cpus)
            raise

    def take(self, cpus: float) -> Node | None:
        """Take room for a pod now. None if no node has it."""
        node = self._find(cpus)
        if node is not None:
            self._take(node, cpus)
        return node

    def _check(self, cpus: float) -> None:
        if cpus > self.settings.cpus:
            raise PlannerError(f"a pod requests {cpus:g} CPUs, but nodes have {self.settings.cpus:g}: use larger nodes")

    def release(self, node: Node, cpus: float) -> None:
        """Give back the place of a pod that has ended."""
        node.free_cpus += cpus
        node.pods -= 1
        node.emptied += 1
        if not node.pods and node in self.nodes:
            self._loop.call_later(self.settings.empty_seconds, self._remove_if_empty, node, node.emptied)
        self._place_pending()

    def remove(self, node: Node) -> None:
        """Remove a node at once, as at the end of a spot instance. Its pods are not told."""
        if node in self.nodes:
            self.nodes.remove(node)

    async def close(self) -> None:
        """Cancel the provisioner and all boots."""
        tasks = [*self._booting, *([self._scan] if self._scan else [])]
        for task in tasks:
            task.cancel()
        for pending in self._pending:
            pending.node.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _find(self, cpus: float) -> Node | None:
        fitting = [node for node in self.nodes if not node.cordoned and node.free_cpus + 1e-9 >= cpus]
        return min(fitting, key=lambda node: node.free_cpus, default=None)

    def _take(self, node: Node, cpus: float) -> None:
        node.free_cpus -= cpus
        node.pods += 1
        node.emptied += 1

    def _place_pending(self) -> None:
        for pending in list(self._pending):
            if pending.node.done():
                self._pending.remove(pending)
            elif (node := self._find(pending.cpus)) is not None:
                self._pending.remove(pending)
                self._take(node, pending.cpus)
                pending.node.set_result(node)

    async def _provision(self) -> None:
        while True:
            await asyncio.sleep(self.settings.scan_seconds)
            self._place_pending()
            if not self._pending:
                self._scan = None
                return
            self._boot(self._wanted_nodes() - self.booting)

    def _wanted_nodes(self) -> int:
        """Nodes that the pending pods need, packed in order (first fit)."""
        rooms: list[float] = []
        for pending in self._pending:
            for index, room in enumerate(rooms):
                if room + 1e-9 >= pending.cpus:
                    rooms[index] -= pending.cpus
                    break
            else:
                rooms.append(self.settings.cpus - pending.cpus)
        return len(rooms)

    def _boot(self, count: int) -> None:
        room = math.inf if self.settings.max_nodes is None else self.settings.max_nodes - len(self.nodes) - self.booting
        for _ in range(int(min(count, room))):
            task = asyncio.create_task(self._boot_node(), name="node boots")
            self._booting.add(task)
            task.add_done_callback(self._booting.discard)

    async def _boot_node(self) -> None:
        while self._random.random() < self.settings.boot_failure_rate:
            self.boot_failures += 1
            await asyncio.sleep(self.settings.boot_timeout_seconds)
        await asyncio.sleep(self.settings.boot_seconds)
        self._add(has_image=False)
        self._place_pending()

    def _add(self, *, has_image: bool) -> Node:
        node = Node(f"node-{self._created}", self.settings.cpus, has_image)
        self._created += 1
        self.nodes.append(node)
        self._loop.call_later(self.settings.empty_seconds, self._remove_if_empty, node, node.emptied)
        return node

    def _remove_if_empty(self, node: Node, emptied: int) -> None:
        if not node.pods and node.emptied == emptied and len(self.nodes) > self.settings.min_nodes:
            self.remove(node)
