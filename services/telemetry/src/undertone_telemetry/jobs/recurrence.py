"""Something that is done again and again beside a job."""

import threading
from collections.abc import Callable


class Recurrence:
    """Does `act` at once, every so many seconds, and a last time when it ends: in a thread of its own.

    Args:
        act: must not raise.
        seconds: from the end of one to the beginning of the next.
        patience_seconds: how long the end waits for the last; what takes longer is left behind.
        wait: waits for so many seconds, or until the end, and says whether that has come.
    """

    def __init__(
        self,
        act: Callable[[], None],
        seconds: float,
        *,
        patience_seconds: float,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._act = act
        self._seconds = seconds
        self._patience_seconds = patience_seconds
        self._ending = threading.Event()
        self._wait = wait or self._ending.wait
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """Have it done once more, and wait for that if it takes no longer than `patience_seconds`."""
        self._ending.set()
        self._thread.join(self._patience_seconds)

    def _run(self) -> None:
        self._act()
        while not self._wait(self._seconds):
            self._act()
        self._act()
