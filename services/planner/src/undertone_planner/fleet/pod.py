"""One simulated pod: its sidecar, its start, and its end."""

import asyncio
import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import grpc

from undertone_planner.calibration import PodCalibration
from undertone_planner.fleet.batching import Batching, BatchingSettings, ServiceTime
from undertone_planner.fleet.work import CallError, Work

__all__ = ["CallError", "Pod", "PodSettings", "ServiceTime", "State"]


@dataclass(frozen=True, slots=True)
class PodSettings(BatchingSettings):
    """Settings of all pods of a fleet. See also `BatchingSettings`.

    cpus: CPUs that the pod requests, on a node and as the base of its utilization.
    load_seconds: time from the start of the container until the model is loaded. The container's
        images are pulled before, in the time of its `NodePoolSettings`.
    warmup_seconds: time of the first calls, after which the pod listens.
    backoff_seconds, max_backoff_seconds: delay before the second restart, doubled for each further
        one up to the maximum (CrashLoopBackOff). The first restart is immediate. Ten minutes
        without a restart reset the delay.
    drain_seconds: time to finish the queue at shutdown. Remaining calls are reset.
    """

    cpus: float = 2.0
    load_seconds: float = 20.0
    warmup_seconds: float = 0.0
    backoff_seconds: float = 10.0
    max_backoff_seconds: float = 300.0
    drain_seconds: float = 30.0

    @classmethod
    def calibrated(cls, calibration: PodCalibration) -> Self:
        """A pod as it was measured, with the sidecar's default limits."""
        return cls(
            service_time=ServiceTime(calibration.seconds_per_call, calibration.seconds_per_token),
            slots=calibration.model_calls,
            batch_tokens=calibration.batch_tokens,
            queue=None,
            queue_tokens=131_072,
            queue_paragraphs=8192,
            sheds_late=True,
            pushback_ms=None,
            cpus=calibration.cpus,
            load_seconds=calibration.load_seconds,
            warmup_seconds=calibration.warmup_seconds,
        )


class State(enum.Enum):
    """Phase of a pod."""

    PENDING = enum.auto()
    """Not scheduled to a node, or its images are not pulled."""
    LOADING = enum.auto()
    """The container starts or waits for its restart; nothing listens."""
    RUNNING = enum.auto()
    """The server listens. Probes decide whether the pod is ready."""
    DRAINING = enum.auto()
    """The server finishes its queue and refuses new calls."""
    GONE = enum.auto()
    """The pod has ended."""


class Pod:
    """A pod. The fleet controls its state.

    A call that is cancelled in the queue is skipped. One that is cancelled while it is served
    still takes its service time. `slowdown` multiplies the service time of calls that start from
    now on. A `hung` pod accepts connections, as its kernel does, but starts and ends no call.
    `active` counts the calls of the load balancer.
    """

    def __init__(self, name: str, settings: PodSettings, clock: Callable[[], float]) -> None:
        self.name = name
        self.state = State.PENDING
        self.active = 0
        self._settings = settings
        self._clock = clock
        self._ready = False
        self.ready_changed_at = -math.inf
        self.was_ready = False
        self._batching = Batching(settings, clock)

    def __repr__(self) -> str:
        return f"<Pod {self.name} {self.state.name} {'ready' if self.ready else 'not ready'} in_flight={self.in_flight}>"

    @property
    def ready(self) -> bool:
        """The pod's condition."""
        return self._ready

    @ready.setter
    def ready(self, ready: bool) -> None:
        if ready != self._ready:
            self._ready = ready
            self.was_ready |= ready
            self.ready_changed_at = self._clock()

    @property
    def in_flight(self) -> int:
        """Calls in the queue or being served."""
        return self._batching.in_flight

    @property
    def busy_seconds(self) -> float:
        """Total CPU time / CPUs since the pod was created, over all restarts."""
        return self._batching.busy_seconds

    @property
    def served_tokens(self) -> float:
        """Tokens computed since the pod was created."""
        return self._batching.served_tokens

    @property
    def queued_tokens(self) -> float:
        """Tokens in the queue."""
        return self._batching.queued_tokens

    @property
    def slowdown(self) -> float:
        return self._batching.slowdown

    @slowdown.setter
    def slowdown(self, slowdown: float) -> None:
        self._batching.slowdown = slowdown

    @property
    def hung(self) -> bool:
        return self._batching.hung

    @hung.setter
    def hung(self, hung: bool) -> None:
        self._batching.hung = hung

    async def serve(self, work: Work, deadline: float = math.inf) -> None:
        """Return when a call has been served.

        Raises:
            CallError: as `Batching.serve`; UNAVAILABLE if nothing listens.
        """
        if self.state is not State.RUNNING:
            raise CallError(grpc.StatusCode.UNAVAILABLE, "connection refused")
        await self._batching.serve(work, deadline)

    def crash(self) -> None:
        """End the process: all calls in flight are reset."""
        self.ready = False
        self.state = State.LOADING
        self._batching.end()

    async def drain(self) -> None:
        """Finish the calls in flight within `drain_seconds`, then end for good."""
        self.ready = False
        self.state = State.DRAINING
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._batching.idle()
        except TimeoutError:
            self.crash()
        self.state = State.GONE
