"""How long a service that has no room is asked again at no cost: RESOURCE_EXHAUSTED is a request to wait, no failure."""

import math
from collections.abc import Callable

from undertone_client.resilience.progress import Progress


class Refusals:
    """Notes when calls were refused for want of room, and when something was answered again; shared by all calls of a client.

    Both a call of its own and all of them together are watched: a single call that is refused while others are answered comes
    to an end, and where nothing is answered at all, the calls that come late need not each be patient anew.

    Args:
        patience_seconds: how long refusals are borne.
        clock: seconds that never go back.
    """

    def __init__(self, patience_seconds: float, clock: Callable[[], float]) -> None:
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._since: float | None = None
        self._latest = -math.inf

    def bear(self, progress: Progress) -> bool:
        """Note that a call was refused; whether that is borne: not if it, or all calls, were refused for too long."""
        now = self._clock()
        if self._since is None or now - self._latest > self._patience_seconds:  # after such a pause, nothing is known
            self._since = now
        self._latest = now
        if progress.refused_since is None:
            progress.refused_since = now
        progress.refusals += 1
        return now - min(self._since, progress.refused_since) < self._patience_seconds

    def end(self, progress: Progress) -> None:
        """The call, or a part of it, was answered."""
        self._since = progress.refused_since = None
        progress.refusals = 0
