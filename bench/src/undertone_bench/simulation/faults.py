"""What goes wrong with single calls of a fake fleet, by chance."""

import enum
import random
from dataclasses import dataclass


class FaultKind(enum.Enum):
    """What goes wrong with a call; all but NONE spoil it."""

    NONE = enum.auto()
    UNAVAILABLE = enum.auto()
    """Refused before any work is done."""
    RESET = enum.auto()
    """The work is done, and the answer is lost with the connection."""
    LOST = enum.auto()
    """Never answered: only the caller's deadline ends it."""
    CANCELLED = enum.auto()
    """Given up by the server, as a proxy does that is reconfigured."""
    EXHAUSTED = enum.auto()
    """Refused for want of room."""
    REFUSED_ITEMS = enum.auto()
    """The call succeeds, but some of its paragraphs are told to come back."""


@dataclass(frozen=True, slots=True)
class FaultRates:
    """The share of calls that meets each fault, from 0 to 1; the rest meets none."""

    unavailable: float = 0.0
    reset: float = 0.0
    lost: float = 0.0
    cancelled: float = 0.0
    exhausted: float = 0.0
    refused_items: float = 0.0

    def draw(self, random: random.Random) -> FaultKind:
        """What the next call meets."""
        shares = (self.unavailable, self.reset, self.lost, self.cancelled, self.exhausted, self.refused_items)
        number = random.random()
        for fault, share in zip(tuple(FaultKind)[1:], shares, strict=True):
            if number < share:
                return fault
            number -= share
        return FaultKind.NONE
