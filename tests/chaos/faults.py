"""What goes wrong with single calls of a fake fleet, by chance."""

import enum
import random
from dataclasses import dataclass


class Fate(enum.Enum):
    """How a call ends; all but FINE spoil it."""

    FINE = enum.auto()
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
class Chances:
    """The share of calls that meets each fate, from 0 to 1; the rest is fine."""

    unavailable: float = 0.0
    reset: float = 0.0
    lost: float = 0.0
    cancelled: float = 0.0
    exhausted: float = 0.0
    refused_items: float = 0.0

    def draw(self, random: random.Random) -> Fate:
        """The fate of the next call."""
        shares = (self.unavailable, self.reset, self.lost, self.cancelled, self.exhausted, self.refused_items)
        number = random.random()
        for fate, share in zip(tuple(Fate)[1:], shares, strict=True):
            if number < share:
                return fate
            number -= share
        return Fate.FINE
