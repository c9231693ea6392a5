"""The circuit breaker: after repeated failures, no attempts are sent until a probe succeeds."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from undertone_client.errors import BREAKER_FAILURES, CircuitOpenError, ServiceError, SettingsError
from undertone_client.resilience.events import AttemptShed, BreakerChanged, BreakerState, Listener
from undertone_client.transport import CallState, Mode, Reply, Request, Transport


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """Settings of the circuit breaker.

    Args:
        consecutive_failures: the breaker opens after this number of failures in a row.
        failure_rate: the breaker also opens when at least this share of the last `window_calls`
            attempts failed.
        window_calls: number of attempts over which `failure_rate` is computed.
        open_seconds: time from opening to the first probe. Doubles after each failed probe.
        max_open_seconds: the longest time between probes.
        patience_seconds: how long calls of `Mode.BATCH` wait for the breaker to close before they
            fail, and how long RESOURCE_EXHAUSTED does not count against them (see `OverloadGrace`).
            Choose it longer than a restart of the service. It bounds the time that a job spends on
            a service that does not return.
    """

    consecutive_failures: int = 5
    failure_rate: float = 0.5
    window_calls: int = 50
    open_seconds: float = 1.0
    max_open_seconds: float = 15.0
    patience_seconds: float = 300.0

    def __post_init__(self) -> None:
        for name in ("consecutive_failures", "window_calls"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 < self.failure_rate <= 1:
            raise SettingsError(f"failure_rate is {self.failure_rate}; it must be more than 0 and at most 1")
        if not 0 < self.open_seconds <= self.max_open_seconds:
            raise SettingsError(
                f"open_seconds is {self.open_seconds} and max_open_seconds {self.max_open_seconds}; "
                "needs 0 < open_seconds <= max_open_seconds"
            )
        if self.patience_seconds < 0:
            raise SettingsError(f"patience_seconds is {self.patience_seconds}; it must be at least 0")


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to send one attempt. Its result counts only in the same `generation`."""

    generation: int


class CircuitBreaker:
    """The state machine of the breaker (Nygard, Release It!). It does no I/O and does not wait.

    A result counts only for the state in which its attempt was permitted. Failures of attempts that
    were in flight when the breaker opened do not prolong the open state, and their late successes
    do not close it.

    Args:
        settings: see `BreakerSettings`.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._consecutive_failures = 0
        self._window: deque[bool] = deque(maxlen=settings.window_calls)  # True for a failure
        self._window_failures = 0
        self._opened_at = 0.0
        self._probe_at = 0.0
        self._open_seconds = settings.open_seconds

    @property
    def state(self) -> BreakerState:
        """The current state."""
        return self._state

    @property
    def seconds_to_probe(self) -> float:
        """Seconds until the next probe. 0 unless open."""
        return max(0.0, self._probe_at - self._clock()) if self._state is BreakerState.OPEN else 0.0

    @property
    def patience_left(self) -> float:
        """Remaining seconds that calls of `Mode.BATCH` wait for the breaker to close."""
        if self._state is BreakerState.CLOSED:
            return self._settings.patience_seconds
        return max(0.0, self._opened_at + self._settings.patience_seconds - self._clock())

    def admit(self) -> Permit | None:
        """Permission for an attempt, or None.

        Report the result of each permit with exactly one of the methods below.
        """
        if self._state is BreakerState.OPEN and self.seconds_to_probe == 0:
            self._enter(BreakerState.HALF_OPEN)
        elif self._state is not BreakerState.CLOSED:
            return None
        return Permit(self._generation)

    def record_success(self, permit: Permit) -> None:
        """Record an answer. Errors other than `BREAKER_FAILURES` count as answers."""
        if permit.generation != self._generation:
            return
        if self._state is BreakerState.HALF_OPEN:
            self._close()
        else:
            self._consecutive_failures = 0
            self._add_to_window(failed=False)

    def record_failure(self, permit: Permit) -> None:
        """Record a failure with one of `BREAKER_FAILURES`."""
        if permit.generation != self._generation:
            return
        if self._state is BreakerState.HALF_OPEN:
            self._open_seconds = min(self._settings.max_open_seconds, self._open_seconds * 2)
            self._open()
        else:
            self._consecutive_failures += 1
            self._add_to_window(failed=True)
            if self._consecutive_failures >= self._settings.consecutive_failures or self._rate_exceeded():
                self._opened_at = self._clock()
                self._open()

    def record_cancellation(self, permit: Permit) -> None:
        """Record that the caller cancelled the attempt, which does not change the counts.

        If it was the probe, the next attempt becomes the probe.
        """
        if permit.generation == self._generation and self._state is BreakerState.HALF_OPEN:
            self._enter(BreakerState.OPEN)

    def _add_to_window(self, *, failed: bool) -> None:
        if len(self._window) == self._settings.window_calls:
            self._window_failures -= self._window[0]
        self._window.append(failed)
        self._window_failures += failed

    def _rate_exceeded(self) -> bool:
        full = len(self._window) == self._settings.window_calls
        return full and self._window_failures >= self._settings.failure_rate * self._settings.window_calls

    def _open(self) -> None:
        self._probe_at = self._clock() + self._open_seconds
        self._enter(BreakerState.OPEN)

    def _close(self) -> None:
        self._consecutive_failures = 0
        self._window.clear()
        self._window_failures = 0
        self._open_seconds = self._settings.open_seconds
        self._enter(BreakerState.CLOSED)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._generation += 1


class BreakerTransport:
    """Sends attempts that the breaker admits.

    An attempt that the breaker does not admit fails in `Mode.ONLINE` and waits in `Mode.BATCH`. One
    of the waiting attempts sleeps until the next probe is due and is then sent as the probe. The
    others wait for the result of the probe.

    Args:
        inner: sends the attempt.
        breaker: the state machine.
        emit: receives `BreakerChanged` and `AttemptShed`.
        sleep: sleeps for a number of seconds.
    """

    def __init__(
        self, inner: Transport, breaker: CircuitBreaker, emit: Listener, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._inner = inner
        self._breaker = breaker
        self._emit = emit
        self._sleep = sleep
        self._emitted_state = breaker.state
        self._changed = asyncio.Event()
        self._has_sleeper = False
        self._last_failure = ""

    @property
    def state(self) -> BreakerState:
        """The state of the breaker."""
        return self._breaker.state

    @property
    def may_recover(self) -> bool:
        """Whether the breaker is not closed and calls of `Mode.BATCH` still wait for it."""
        return self._breaker.state is not BreakerState.CLOSED and self._breaker.patience_left > 0

    async def send(self, request: Request, call: CallState) -> Reply:
        """See `Transport`.

        Raises:
            CircuitOpenError: the breaker did not admit the attempt.
        """
        permit = await self._acquire(call.mode)
        if permit is None:
            self._emit(AttemptShed(request.method))
            raise CircuitOpenError(attempts=call.attempts, failure=self._last_failure)
        record = self._breaker.record_cancellation
        try:
            reply = await self._inner.send(request, call)
            record = self._breaker.record_success
        except ServiceError as error:
            if error.status in BREAKER_FAILURES:
                record, self._last_failure = self._breaker.record_failure, str(error)
            else:
                record = self._breaker.record_success
            raise
        finally:
            record(permit)
            self._emit_change()
        return reply

    async def _acquire(self, mode: Mode) -> Permit | None:
        while (permit := self._breaker.admit()) is None:
            if mode is Mode.ONLINE or self._breaker.patience_left == 0:
                return None
            await self._wait()
        self._emit_change()
        return permit

    async def _wait(self) -> None:
        if self._has_sleeper or self._breaker.state is not BreakerState.OPEN:
            await self._changed.wait()
            return
        self._has_sleeper = True
        try:
            await self._sleep(min(self._breaker.seconds_to_probe, self._breaker.patience_left))
        finally:
            self._has_sleeper = False
            self._wake_all()  # this call may not become the probe: it may be cancelled or run out of patience

    def _emit_change(self) -> None:
        previous, self._emitted_state = self._emitted_state, self._breaker.state
        if self._emitted_state is not previous:
            self._emit(BreakerChanged(self._emitted_state, previous))
            self._wake_all()

    def _wake_all(self) -> None:
        self._changed.set()
        self._changed.clear()
