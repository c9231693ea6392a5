"""One pod of the fake fleet: a queue, one call at a time, and a life that starts slowly and may end at any moment."""

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc


@dataclass(frozen=True, slots=True)
class Speed:
    """What a call costs a pod: `seconds_per_call` and, on top, `seconds_per_token`."""

    seconds_per_call: float = 0.01
    seconds_per_token: float = 0.001

    def seconds(self, tokens: int) -> float:
        return self.seconds_per_call + self.seconds_per_token * tokens


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What every pod of a fleet is like.

    speed: of a pod that is well.
    queue: calls that may wait; the next is refused with RESOURCE_EXHAUSTED and asked to come back after `pushback_ms`.
    load_seconds: from the start of the container to the model being loaded.
    crash_seconds, crash_seconds_most: the wait before the second restart, doubled for every further one up to the most, and
        forgotten after ten minutes that went well: CrashLoopBackOff. The first restart is immediate.
    drain_seconds: what a pod that is to end has to finish its queue; what is left then is reset.
    """

    speed: Speed = field(default_factory=Speed)
    queue: int = 16
    pushback_ms: int = 200
    load_seconds: float = 20.0
    crash_seconds: float = 10.0
    crash_seconds_most: float = 300.0
    drain_seconds: float = 30.0


class State(enum.Enum):
    """Where a pod is in its life."""

    PENDING = enum.auto()
    """No node has room for it yet."""
    LOADING = enum.auto()
    """The container runs, or waits to be restarted; nothing listens."""
    RUNNING = enum.auto()
    """It listens. Whether it is ready is for its probes to find."""
    DRAINING = enum.auto()
    """It is to end: it answers what it has, and refuses the rest."""
    GONE = enum.auto()


class BrokenCallError(Exception):
    """A call that ends with a status, for the caller to see; `pushback_ms` goes into the trailers."""

    def __init__(self, status: grpc.StatusCode, reason: str, pushback_ms: int | None = None) -> None:
        super().__init__(f"{status.name}: {reason}")
        self.status = status
        self.reason = reason
        self.pushback_ms = pushback_ms


@dataclass(slots=True)
class _Job:
    tokens: int
    done: "asyncio.Future[None]"


class Pod:
    """Works on one call at a time, in the order of arrival.

    A caller that has given up is skipped before its turn; one that gives up during its turn has cost what it costs.
    `slowness` multiplies the time of every call that begins from now on; while `hung`, connections are taken (the kernel does
    that), but nothing begins and nothing ends.
    """

    def __init__(self, name: str, settings: PodSettings, clock: Callable[[], float]) -> None:
        self.name = name
        self.state = State.PENDING
        self.ready = False
        self.slowness = 1.0
        self.restarts = 0
        self._settings = settings
        self._clock = clock
        self._queue: deque[_Job] = deque()
        self._turn: _Job | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hung = False
        self._busy_seconds = 0.0
        self._busy_since: float | None = None
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __repr__(self) -> str:
        return f"<Pod {self.name} {self.state.name} {'ready' if self.ready else 'not ready'} held={self.held}>"

    @property
    def held(self) -> int:
        """Calls that wait or are worked on."""
        return len(self._queue) + (self._turn is not None)

    @property
    def busy_seconds(self) -> float:
        """CPU time used since the pod was made: it only grows, also over restarts."""
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
            self._work()

    async def work(self, tokens: int) -> None:
        """Return when a call of so many tokens has had its turn.

        Raises:
            BrokenCallError: RESOURCE_EXHAUSTED if there is no room; UNAVAILABLE if nothing listens, or when the pod dies.
        """
        if self.state is not State.RUNNING:
            raise BrokenCallError(grpc.StatusCode.UNAVAILABLE, "connection refused")
        if len(self._queue) >= self._settings.queue and not self._hung:  # who is hung cannot refuse
            reason = f"{len(self._queue)} calls are waiting"
            raise BrokenCallError(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, self._settings.pushback_ms)
        job = _Job(tokens, asyncio.get_running_loop().create_future())
        self._queue.append(job)
        self._emptied.clear()
        self._work()
        await job.done

    def die(self) -> None:
        """The process ends, and with it every connection: what was held is reset."""
        self.ready = False
        self.state = State.LOADING
        self._hung = False
        self.slowness = 1.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._rest()
        held = [*self._queue] if self._turn is None else [self._turn, *self._queue]
        self._turn = None
        self._queue.clear()
        self._emptied.set()
        for job in held:
            if not job.done.done():
                job.done.set_exception(BrokenCallError(grpc.StatusCode.UNAVAILABLE, "connection reset by peer"))

    async def drain(self) -> None:
        """Finish what is held, within the time there is for that, then end for good."""
        self.ready = False
        self.state = State.DRAINING
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._emptied.wait()
        except TimeoutError:
            self.die()
        self.state = State.GONE

    def _work(self) -> None:
        while self._turn is None and self._queue and not self._hung:
            job = self._queue.popleft()
            if not job.done.done():
                self._turn = job
        if self._turn is not None and self._timer is None and not self._hung:
            if self._busy_since is None:
                self._busy_since = self._clock()
            seconds = self._settings.speed.seconds(self._turn.tokens) * self.slowness
            self._timer = asyncio.get_running_loop().call_later(seconds, self._finish)
        elif self._turn is None:
            self._rest()
            self._emptied.set()

    def _finish(self) -> None:
        assert self._turn is not None
        job, self._turn, self._timer = self._turn, None, None
        if not job.done.done():
            job.done.set_result(None)
        self._work()

    def _rest(self) -> None:
        if self._busy_since is not None:
            self._busy_seconds += self._clock() - self._busy_since
            self._busy_since = None
