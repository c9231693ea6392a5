"""A fake cluster: pods on nodes, probes, restarts, load balancing and an autoscaler. No sockets; time is the running loop's.

The same seed and the same calls give the same history, to the last restart, on a virtual clock (see `clock`).
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from undertone_client.testing import FakeClassifier

from undertone_bench.simulation.autoscaler import Autoscaler, AutoscalerSettings
from undertone_bench.simulation.faults import FaultKind, FaultRates
from undertone_bench.simulation.pod import BrokenCallError, Pod, PodSettings, State

Metadata = Sequence[tuple[str, str]]

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
FORGIVEN_SECONDS = 600.0
"""A pod that ran so long without a restart starts its back-off anew."""


@dataclass(frozen=True, slots=True)
class Probes:
    """The kubelet's questions. An answer waits for `upkeep_seconds` of every call that the pod holds, because the process that
    answers probes is the one that reads requests: a pod with too much to do is late.

    After `unready_after` late answers in a row a pod gets no new calls, and after `restart_after` it is killed; one answer in
    time makes it ready.
    """

    period_seconds: float = 5.0
    timeout_seconds: float = 1.0
    upkeep_seconds: float = 0.01
    unready_after: int = 2
    restart_after: int = 6


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """A fleet, and the cluster that it lives on.

    pods: those that run at the beginning, ready.
    room: further pods for which nodes exist already; the others wait `provision_seconds` for a node.
    network_seconds: one way between the caller and a pod.
    endpoints_seconds: from a pod becoming ready, unready or dead to the balancer knowing it.
    choices: pods that the balancer draws to choose the less loaded from; Envoy's least request draws 2.
    autoscaler: None keeps the number of pods.
    """

    pods: int = 4
    pod: PodSettings = field(default_factory=PodSettings)
    probes: Probes = field(default_factory=Probes)
    autoscaler: AutoscalerSettings | None = None
    room: int = 0
    provision_seconds: float = 40.0
    network_seconds: float = 0.001
    endpoints_seconds: float = 1.0
    choices: int = 2


@dataclass(frozen=True, slots=True)
class Look:
    """What the autoscaler saw: the time, the pods there are, those that are ready, and the mean utilisation of these."""

    seconds: float
    pods: int
    ready: int
    utilisation: float


@dataclass(slots=True)
class _Life:
    pod: Pod
    task: "asyncio.Task[None] | None" = None
    seen_busy: float | None = field(default=None)


class Fleet:
    """Used as `async with Fleet(...) as fleet`; `answer` is what a caller's proxy does with a call.

    Make trouble at any time: `fault_rates` spoil calls at random (those that are refused for want of room are told to come back
    after `pushback_ms`, or nothing), `poison` are texts that spoil any call they are in with a status
    each; `kill` and `rolling_restart` end pods, and those in `pods` can be hung or slowed. Scores are those of the
    `application`, which stands in every pod.
    """

    def __init__(self, settings: FleetSettings, *, seed: int = 0) -> None:
        self.settings = settings
        self.fault_rates = FaultRates()
        self.pushback_ms: int | None = None
        self.poison: Mapping[str, grpc.StatusCode] = {}
        self.application = FakeClassifier()
        self.history: list[Look] = []
        self.restarts = 0
        self._random = random.Random(seed)
        self._lives: list[_Life] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._endpoints: list[Pod] = []
        self._room = settings.room
        self._named = 0
        self._scaling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for _ in range(self.settings.pods):
            self._add(running=True)
        self._refresh()
        if self.settings.autoscaler is not None:
            self._scaling = asyncio.create_task(self._autoscale(Autoscaler(self.settings.autoscaler)), name="autoscaler")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._scaling, *(life.task for life in self._lives), *self._ending) if task is not None]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result

    @property
    def pods(self) -> list[Pod]:
        """Those that exist and are to stay, the oldest first."""
        return [life.pod for life in self._lives]

    @property
    def held(self) -> int:
        """Calls that the pods hold now."""
        return sum(life.pod.held for life in self._lives)

    async def answer(self, method: str, request: Any, metadata: Metadata = ()) -> tuple[Any, Metadata]:
        """The reply to a call that came with `metadata`, and its trailers.

        Raises:
            BrokenCallError: the call ends with another status than OK.
        """
        await asyncio.sleep(self.settings.network_seconds)
        fault = self.fault_rates.draw(self._random)
        if fault is FaultKind.UNAVAILABLE:
            raise BrokenCallError(UNAVAILABLE, "injected: connection refused")
        if fault is FaultKind.EXHAUSTED:
            raise BrokenCallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "injected: no room", self.pushback_ms)
        if fault is FaultKind.LOST:
            await asyncio.Event().wait()
        pod = self._pick()
        context = _Context(metadata)
        texts = [paragraph.text for paragraph in getattr(request, "paragraphs", ())]
        if method != "GetModel":
            texts = texts or [request.text]
            await pod.work(sum(len(text.split()) + 2 for text in texts))
        if fault is FaultKind.RESET:
            raise BrokenCallError(UNAVAILABLE, "injected: connection reset, the answer is lost")
        if fault is FaultKind.CANCELLED:
            raise BrokenCallError(grpc.StatusCode.CANCELLED, "injected: cancelled by the server")
        if self.poison and (poisoned := next((text for text in texts if text in self.poison), None)) is not None:
            raise BrokenCallError(self.poison[poisoned], "a paragraph of this call is poison")
        reply = await getattr(self.application, method)(request, context)
        self.application.calls.clear()
        if fault is FaultKind.REFUSED_ITEMS and method == "ClassifyBatch":
            for result in self._random.sample(list(reply.results), k=(len(reply.results) + 1) // 2):
                result.error.code, result.error.message = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "injected: no room"
        await asyncio.sleep(self.settings.network_seconds)
        return reply, context.trailers

    def kill(self, pod: Pod) -> None:
        """As kill -9: what it holds is reset at once, it is started again, and the balancer hears of it later."""
        pod.die()
        self._endpoints_changed()

    async def rolling_restart(self) -> None:
        """Replace every pod, one after the other, by one that is ready before the old one drains."""
        for old in list(self._lives):
            new = self._add(running=False)
            while not new.pod.ready:  # noqa: ASYNC110 - whoever watches a roll-out polls, too
                await asyncio.sleep(1)
            self._retire(old)

    def _add(self, *, running: bool) -> _Life:
        pod = Pod(f"pod-{self._named}", self.settings.pod, self._loop.time)
        self._named += 1
        life = _Life(pod)
        life.task = asyncio.create_task(self._live(pod, running=running), name=pod.name)
        self._lives.append(life)
        if running:
            pod.state, pod.ready = State.RUNNING, True
        return life

    def _retire(self, life: _Life) -> None:
        self._lives.remove(life)
        if life.task is not None:
            life.task.cancel()
        drained = life.pod.state is State.RUNNING
        life.pod.ready = False
        self._endpoints_changed()
        if drained:
            task = asyncio.create_task(self._drain(life.pod), name=f"{life.pod.name} drains")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        if life.pod.state is not State.PENDING:
            self._room += 1

    async def _drain(self, pod: Pod) -> None:
        # preStop: the balancer is given the time to hear of it before the pod refuses anything.
        await asyncio.sleep(self.settings.endpoints_seconds)
        await pod.drain()

    async def _live(self, pod: Pod, *, running: bool) -> None:
        backoff = 0.0
        if not running:
            await self._schedule()
        while True:
            if not running:
                pod.state = State.LOADING
                await asyncio.sleep(self.settings.pod.load_seconds)
                pod.state = State.RUNNING
            running = False
            began = self._loop.time()
            await self._watch(pod)
            pod.die()
            self._endpoints_changed()
            pod.restarts += 1
            self.restarts += 1
            if self._loop.time() - began > FORGIVEN_SECONDS:
                backoff = 0.0
            await asyncio.sleep(backoff)
            backoff = min(self.settings.pod.crash_seconds_most, 2 * backoff or self.settings.pod.crash_seconds)

    async def _schedule(self) -> None:
        if self._room > 0:
            self._room -= 1
        else:
            await asyncio.sleep(self.settings.provision_seconds)

    async def _watch(self, pod: Pod) -> None:
        """Probe a running pod until it has died or is to be killed."""
        probes = self.settings.probes
        late = 0
        await asyncio.sleep(self._random.random() * probes.period_seconds)
        while pod.state is State.RUNNING:
            in_time = not pod.hung and probes.upkeep_seconds * pod.held <= probes.timeout_seconds
            late = 0 if in_time else late + 1
            if late >= probes.restart_after:
                return
            ready = in_time or (pod.ready and late < probes.unready_after)
            if ready != pod.ready:
                pod.ready = ready
                self._endpoints_changed()
            await asyncio.sleep(probes.period_seconds)

    def _endpoints_changed(self) -> None:
        self._loop.call_later(self.settings.endpoints_seconds, self._refresh)

    def _refresh(self) -> None:
        self._endpoints = [life.pod for life in self._lives if life.pod.ready]

    def _pick(self) -> Pod:
        """Envoy's least request: the least loaded of those that are drawn."""
        if not self._endpoints:
            raise BrokenCallError(UNAVAILABLE, "no healthy upstream")
        drawn = self._random.sample(self._endpoints, min(self.settings.choices, len(self._endpoints)))
        return min(drawn, key=lambda pod: pod.held)

    async def _autoscale(self, autoscaler: Autoscaler) -> None:
        sync = autoscaler.settings.sync_seconds
        for life in self._lives:
            life.seen_busy = life.pod.busy_seconds
        while True:
            await asyncio.sleep(sync)
            utilisations = []
            for life in self._lives:
                busy, seen = life.pod.busy_seconds, life.seen_busy
                life.seen_busy = busy
                if life.pod.ready and seen is not None:
                    utilisations.append((busy - seen) / sync)
            mean = sum(utilisations) / len(utilisations) if utilisations else 0.0
            self.history.append(Look(self._loop.time(), len(self._lives), len(utilisations), mean))
            desired = autoscaler.desired(self._loop.time(), len(self._lives), utilisations)
            for _ in range(desired - len(self._lives)):
                self._add(running=False)
            for _ in range(len(self._lives) - desired):
                # The controller ends those first that are not ready, and of these the youngest.
                self._retire(min(reversed(self._lives), key=lambda life: life.pod.ready))


class _Context:
    """What the application asks of a call that comes without a socket."""

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
        raise BrokenCallError(status, reason, pushback)
