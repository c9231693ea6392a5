"""An event loop on a virtual clock: hours pass in milliseconds, and the same program always runs the same way.

The loop has no selector, no sockets and no threads. When nothing is ready to run, its time jumps to the next timer; when
there is no timer either, nothing can ever happen again, and what would be a test that hangs is a DeadlockError that names
who waits.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

TURNS: Final = 200_000
"""Turns of the loop at one moment after which a program is taken to spin: it would keep its time from going on for ever."""


class DeadlockError(AssertionError):
    """Everybody waits for somebody, and no timer is set."""


class LivelockError(AssertionError):
    """The program is busy for ever, and its time stands still."""


class HorizonError(AssertionError):
    """The program has not ended by the latest time that it was given."""


class _Jump:
    """Stands where a loop has its selector: instead of waiting for sockets, it lets the time jump."""

    def __init__(self, loop: "VirtualLoop", most_turns: int) -> None:
        self._loop = loop
        self._most_turns = most_turns
        self._turns = 0

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            waiting = [task.get_name() + ": " + repr(task.get_coro()) for task in asyncio.all_tasks(self._loop)]
            raise DeadlockError("nothing is ready and no timer is set; waiting are\n" + "\n".join(sorted(waiting)))
        if timeout > 0:
            self._loop.jump(timeout)
            self._turns = 0
        self._turns += 1
        if self._turns > self._most_turns:
            raise LivelockError(f"{self._turns} turns of the loop at {self._loop.time():g} s, and still something to do")
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. `time` starts at zero; after `horizon_seconds` of it, HorizonError ends the program."""

    def __init__(self, horizon_seconds: float, most_turns: int) -> None:
        super().__init__()
        self._now = 0.0
        self._horizon = horizon_seconds
        self._selector = _Jump(self, most_turns)

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        """Let the time go on."""
        self._now += seconds
        if self._now > self._horizon:
            # Pushed away, so that what is to be cancelled then can still take its time.
            horizon, self._horizon = self._horizon, float("inf")
            raise HorizonError(f"not over after {horizon:g} s")

    def _process_events(self, event_list: list[object]) -> None:
        """Called by the base class with what `select` returned: nothing."""

    def _write_to_self(self) -> None:
        """Called by the base class to wake a selector that sleeps: this one never does."""


def run(main: Coroutine[Any, Any, T], *, horizon_seconds: float = 24 * 3600, most_turns: int = TURNS) -> T:
    """What `main` returns, run from its beginning to its end on a virtual clock.

    Raises:
        DeadlockError: it waits for what cannot happen any more.
        LivelockError: it has had so many turns at one moment.
        HorizonError: it is not over after so many virtual seconds.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(horizon_seconds, most_turns)) as runner:
        return runner.run(main)
