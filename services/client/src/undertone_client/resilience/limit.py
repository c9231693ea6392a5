"""How many calls may run at once: the seam, and the simplest answer."""

import enum
from typing import Protocol

from undertone_client.errors import SettingsError


class CallOutcome(enum.Enum):
    """What the end of an attempt tells a limit."""

    OK = "ok"
    """It was answered; its latency counts."""
    OVERLOAD = "overload"
    """The service has too much to do: UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, or paragraphs refused for now."""
    IGNORE = "ignore"
    """It tells nothing: it was cancelled, or failed for a reason of its own."""


class Limit(Protocol):
    """An algorithm without clock and I/O: samples in, the number of calls that may run at once out."""

    @property
    def value(self) -> int:
        """Calls that may run at once, at least 1."""

    def observe(self, rtt: float, in_flight: int, outcome: CallOutcome) -> int:
        """Take in one attempt and return the new value.

        Args:
            rtt: seconds that it took, in terms of a typical call (see `Workload`).
            in_flight: attempts that ran when it ended, itself included.
            outcome: how it ended.
        """


class Fixed:
    """Always the same number, found by hand: the paper's semaphore."""

    def __init__(self, calls: int) -> None:
        self._calls = calls

    @property
    def value(self) -> int:
        """The number."""
        return self._calls

    def observe(self, rtt: float, in_flight: int, outcome: CallOutcome) -> int:
        """Learns nothing."""
        return self._calls


def checked_bounds(initial: int, most: int) -> None:
    """Refuses bounds of a limit that leave no room.

    Raises:
        SettingsError: not 1 <= initial <= most.
    """
    if not 1 <= initial <= most:
        raise SettingsError(f"a limit that begins with {initial} calls and ends with {most}: needed is 1 <= initial <= most")
