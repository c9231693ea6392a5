"""An event loop with a virtual clock: hours pass in milliseconds, and each run is the same.

The loop has no selector, sockets or threads. When no task is ready, its time jumps to the next
timer. Without a timer the program would hang; DeadlockError then names the waiting tasks.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

MAX_ITERATIONS: Final = 200_000
"""Iterations of the loop without progress of its time that count as a livelock."""


class DeadlockError(AssertionError):
    """All tasks wait, and no timer is set."""


class LivelockError(AssertionError):
    """Tasks stay ready, so that virtual time does not progress."""


class HorizonError(AssertionError):
    """The program did not end before the horizon."""


class _TimeJump:
    """Replaces the selector: advances the loop's time instead of waiting for sockets."""

    def __init__(self, loop: "VirtualLoop", max_iterations: int) -> None:
        self._loop = loop
        self._max_iterations = max_iterations
        self._iterations = 0

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            waiting = [task.get_name() + ": " + repr(task.get_coro()) for task in asyncio.all_tasks(self._loop)]
            raise DeadlockError("no task is ready and no timer is set; waiting tasks:\n" + "\n".join(sorted(waiting)))
        if timeout > 0:
            self._loop.advance(timeout)
            self._iterations = 0
        self._iterations += 1
        if self._iterations > self._max_iterations:
            raise LivelockError(f"{self._iterations} iterations of the loop at {self._loop.time():g} s: tasks stay ready")
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time starts at zero. Raises HorizonError after `horizon_seconds`."""

    def __init__(self, horizon_seconds: float, max_iterations: int) -> None:
        super().__init__()
        self._now = 0.0
        self._horizon = horizon_seconds
        self._selector = _TimeJump(self, max_iterations)

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Advance the virtual time."""
        self._now += seconds
        if self._now > self._horizon:
            # Without a horizon from now on, so that cancelled tasks can clean up.
            horizon, self._horizon = self._horizon, float("inf")
            raise HorizonError(f"not finished after {horizon:g} s")

    def _process_events(self, event_list: list[object]) -> None:
        """The base class calls this with the result of `select`, which is always empty."""

    def _write_to_self(self) -> None:
        """The base class calls this to wake a sleeping selector; this one never sleeps."""


def run(main: Coroutine[Any, Any, T], *, horizon_seconds: float = 24 * 3600, max_iterations: int = MAX_ITERATIONS) -> T:
    """Run `main` on a virtual clock and return its result.

    Raises:
        DeadlockError: all tasks wait and no timer is set.
        LivelockError: `max_iterations` iterations passed without progress of time.
        HorizonError: `main` did not end within `horizon_seconds` of virtual time.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(horizon_seconds, max_iterations)) as runner:
        return runner.run(main)
