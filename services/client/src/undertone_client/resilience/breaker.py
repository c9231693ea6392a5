"""The circuit breaker: after enough failures the service is left alone, then tried with one call."""

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from undertone_client.errors import SettingsError


class BreakerState(enum.StrEnum):
    """Whether calls are let through."""

    CLOSED = "closed"
    """All of them."""
    OPEN = "open"
    """None, until it is time for a probe."""
    HALF_OPEN = "half-open"
    """None but the probe, which is under way."""


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a circuit breaker opens, and for how long.

    consecutive_failures: it opens after this many failures in a row,
    failure_rate, window_calls: or once this share of the last so many calls has failed.
    open_seconds, max_open_seconds: the first probe is due after `open_seconds`; each that fails doubles the wait, up to
        `max_open_seconds`.
    patience_seconds: how long calls of `Mode.BATCH` wait for it to close before they fail after all, and how long they may be
        refused for want of room at no cost (`Refusals`). Long enough for a service that restarts, short enough that a job
        whose service has gone comes to an end.
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
            raise SettingsError(f"failure_rate is {self.failure_rate}; it is a share, more than 0 and at most 1")
        if not 0 < self.open_seconds <= self.max_open_seconds:
            raise SettingsError(
                f"open_seconds {self.open_seconds} and max_open_seconds {self.max_open_seconds}: needed is 0 < open <= max"
            )
        if self.patience_seconds < 0:
            raise SettingsError(f"patience_seconds is {self.patience_seconds}; it must be at least 0, which waits for nothing")


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call. What is reported of it counts only while `generation` is the breaker's own."""

    generation: int


class CircuitBreaker:
    """The state machine alone: it is told when calls begin and how they end, and knows the time (Nygard, Release It!).

    A call is counted for the state that let it through: the failures of calls that were under way when the breaker opened
    do not prolong it, and their late successes do not close it.

    Args:
        settings: see `BreakerSettings`.
        clock: seconds that never go back.
    """

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._in_a_row = 0
        self._failed: deque[bool] = deque(maxlen=settings.window_calls)
        self._failed_calls = 0
        self._opened_at = 0.0
        self._probe_at = 0.0
        self._open_seconds = settings.open_seconds

    @property
    def state(self) -> BreakerState:
        """Whether calls are let through."""
        return self._state

    @property
    def seconds_to_probe(self) -> float:
        """Until a call is let through; 0 unless open."""
        return max(0.0, self._probe_at - self._clock()) if self._state is BreakerState.OPEN else 0.0

    @property
    def patience_left(self) -> float:
        """Seconds that a caller who can wait should still hope; 0 when it has been open for too long."""
        if self._state is BreakerState.CLOSED:
            return self._settings.patience_seconds
        return max(0.0, self._opened_at + self._settings.patience_seconds - self._clock())

    def admit(self) -> Permit | None:
        """Leave to make a call, or None. Each permit is to be returned to exactly one of the methods below."""
        if self._state is BreakerState.OPEN and self.seconds_to_probe == 0:
            self._enter(BreakerState.HALF_OPEN)
        elif self._state is not BreakerState.CLOSED:
            return None
        return Permit(self._generation)

    def succeed(self, permit: Permit) -> None:
        """The call was answered, if only with an error of its own."""
        if permit.generation != self._generation:
            return
        if self._state is BreakerState.HALF_OPEN:
            self._close()
        else:
            self._in_a_row = 0
            self._note(failed=False)

    def fail(self, permit: Permit) -> None:
        """The service did not work."""
        if permit.generation != self._generation:
            return
        if self._state is BreakerState.HALF_OPEN:
            self._open_seconds = min(self._settings.max_open_seconds, self._open_seconds * 2)
            self._open()
        else:
            self._in_a_row += 1
            self._note(failed=True)
            if self._in_a_row >= self._settings.consecutive_failures or self._rate_exceeded():
                self._opened_at = self._clock()
                self._open()

    def abandon(self, permit: Permit) -> None:
        """The call was cancelled by its caller, which says nothing; if it was the probe, another may go at once."""
        if permit.generation == self._generation and self._state is BreakerState.HALF_OPEN:
            self._enter(BreakerState.OPEN)

    def _note(self, *, failed: bool) -> None:
        if len(self._failed) == self._settings.window_calls:
            self._failed_calls -= self._failed[0]
        self._failed.append(failed)
        self._failed_calls += failed

    def _rate_exceeded(self) -> bool:
        full = len(self._failed) == self._settings.window_calls
        return full and self._failed_calls >= self._settings.failure_rate * self._settings.window_calls

    def _open(self) -> None:
        self._probe_at = self._clock() + self._open_seconds
        self._enter(BreakerState.OPEN)

    def _close(self) -> None:
        self._in_a_row = 0
        self._failed.clear()
        self._failed_calls = 0
        self._open_seconds = self._settings.open_seconds
        self._enter(BreakerState.CLOSED)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._generation += 1
