"""One simulated pod: a bounded queue, one call at a time, slow starts, and crashes."""

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Service time of a call: `seconds_per_call` plus `seconds_per_token` for each token."""

    seconds_per_call: float = 0.01
    seconds_per_token: float = 0.001

    def seconds(self, tokens: int) -> float:
        return self.seconds_per_call + self.seconds_per_token * tokens


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Settings of all pods of a fleet.

    queue: calls that may wait. Further calls are refused with RESOURCE_EXHAUSTED and `pushback_ms`.
    load_seconds: time from the start of the container until the model is loaded.
    backoff_seconds, max_backoff_seconds: delay before the second restart, doubled for each further
        one up to the maximum (CrashLoopBackOff). The first restart is immediate. Ten minutes
        without a restart reset the delay.
    drain_seconds: time to finish the queue at shutdown. Remaining calls are reset.
    """

    service_time: ServiceTime = field(default_factory=ServiceTime)
    queue: int = 16
    pushback_ms: int = 200
    load_seconds: float = 20.0
    backoff_seconds: float = 10.0
    max_backoff_seconds: float = 300.0
    drain_seconds: float = 30.0


class State(enum.Enum):
    """Phase of a pod."""

    PENDING = enum.auto()
    """Not scheduled to a node."""
    LOADING = enum.auto()
    """The container starts or waits for its restart; nothing listens."""
    RUNNING = enum.auto()
    """The server listens. Probes decide whether the pod is ready."""
    DRAINING = enum.auto()
    """The server finishes its queue and refuses new calls."""
    GONE = enum.auto()
    """The pod has ended."""


class CallError(Exception):
    """A call failed with this status. `pushback_ms` is sent in the trailers."""

    def __init__(self, status: grpc.StatusCode, reason: str, pushback_ms: int | None = None) -> None:
        super().__init__(f"{status.name}: {reason}")
        self.status = status
        self.reason = reason
        self.pushback_ms = pushback_ms


@dataclass(slots=True)
class _Call:
    tokens: int
    done: "asyncio.Future[None]"


class Pod:
    """Serves one call at a time in order of arrival.

    A call that is cancelled in the queue is skipped. One that is cancelled while it is served
    still takes its service time. `slowdown` multiplies the service time of calls that start from
    now on. A `hung` pod accepts connections, as its kernel does, but starts and ends no call.
    """

    def __init__(self, name: str, settings: PodSettings, clock: Callable[[], float]) -> None:
        self.name = name
        self.state = State.PENDING
        self.ready = False
        self.slowdown = 1.0
        self._settings = settings
        self._clock = clock
        self._queue: deque[_Call] = deque()
        self._serving: _Call | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hung = False
        self._busy_seconds = 0.0
        self._busy_since: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"<Pod {self.name} {self.state.name} {'ready' if self.ready else 'not ready'} in_flight={self.in_flight}>"

    @property
    def in_flight(self) -> int:
        """Calls in the queue or being served."""
        return len(self._queue) + (self._serving is not None)

    @property
    def busy_seconds(self) -> float:
        """Total CPU time since the pod was created, over all restarts."""
        running = 0.0 if self._busy_since is None else self._clock() - self._busy_since
        return self._busy_seconds + running

    @property
    def hung(self) -> bool:
        return self._hung

    @hung.setter
    def hung(self, hung: bool) -> None:
        self._hung = hung
        if hung and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif not hung:
            self._serve_next()

    async def serve(self, tokens: int) -> None:
        """Return when a call with this many tokens has been served.

        Raises:
            CallError: RESOURCE_EXHAUSTED if the queue is full; UNAVAILABLE if nothing listens or
                the pod crashes.
        """
        if self.state is not State.RUNNING:
            raise CallError(grpc.StatusCode.UNAVAILABLE, "connection refused")
        if len(self._queue) >= self._settings.queue and not self._hung:  # a hung pod cannot refuse
            reason = f"{len(self._queue)} calls are waiting"
            raise CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, self._settings.pushback_ms)
        call = _Call(tokens, asyncio.get_running_loop().create_future())
        self._queue.append(call)
        self._idle.clear()
        self._serve_next()
        await call.done

    def crash(self) -> None:
        """End the process: all calls in flight are reset."""
        self.ready = False
        self.state = State.LOADING
        self._hung = False
        self.slowdown = 1.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stop_cpu_time()
        in_flight = [*self._queue] if self._serving is None else [self._serving, *self._queue]
        self._serving = None
        self._queue.clear()
        self._idle.set()
        for call in in_flight:
            if not call.done.done():
                call.done.set_exception(CallError(grpc.StatusCode.UNAVAILABLE, "connection reset by peer"))

    async def drain(self) -> None:
        """Finish the calls in flight within `drain_seconds`, then end for good."""
        self.ready = False
        self.state = State.DRAINING
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._idle.wait()
        except TimeoutError:
            self.crash()
        self.state = State.GONE

    def _serve_next(self) -> None:
        while self._serving is None and self._queue and not self._hung:
            call = self._queue.popleft()
            if not call.done.done():
                self._serving = call
        if self._serving is not None and self._timer is None and not self._hung:
            if self._busy_since is None:
                self._busy_since = self._clock()
            seconds = self._settings.service_time.seconds(self._serving.tokens) * self.slowdown
            self._timer = asyncio.get_running_loop().call_later(seconds, self._finish)
        elif self._serving is None:
            self._stop_cpu_time()
            self._idle.set()

    def _finish(self) -> None:
        assert self._serving is not None  # noqa: S101 - a programming error
        call, self._serving, self._timer = self._serving, None, None
        if not call.done.done():
            call.done.set_result(None)
        self._serve_next()

    def _stop_cpu_time(self) -> None:
        if self._busy_since is not None:
            self._busy_seconds += self._clock() - self._busy_since
            self._busy_since = None
