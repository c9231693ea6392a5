"""A thread that repeats an action."""

import threading
from collections.abc import Callable


class PeriodicThread:
    """Runs an action at the start, then periodically, and once more when it is stopped."""

    def __init__(
        self, action: Callable[[], None], interval_seconds: float, *, wait: Callable[[float], bool] | None = None
    ) -> None:
        """
        Args:
            action: Must not raise.
            interval_seconds: The pause between the end of a run and the start of the next.
            wait: For tests. Waits for a number of seconds. Returns True if the thread must stop.
        """
        self._action = action
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float | None = None) -> None:
        """Waits for the last run of the action, but no longer than the timeout."""
        self._stopping.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        self._action()
        while not self._wait(self._interval_seconds):
            self._action()
        self._action()
