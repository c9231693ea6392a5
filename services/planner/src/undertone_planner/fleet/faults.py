"""Random faults of single calls."""

import enum
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class FaultKind(enum.Enum):
    """The fault of a call."""

    NONE = enum.auto()
    UNAVAILABLE = enum.auto()
    """UNAVAILABLE before any work is done."""
    RESET = enum.auto()
    """The work is done, then the connection is reset: UNAVAILABLE."""
    LOST = enum.auto()
    """No answer until the caller's deadline."""
    CANCELLED = enum.auto()
    """CANCELLED by the server, as by a proxy that reloads its configuration."""
    EXHAUSTED = enum.auto()
    """RESOURCE_EXHAUSTED before any work is done."""
    REFUSED_ITEMS = enum.auto()
    """The call succeeds, but half of its paragraphs have the error RESOURCE_EXHAUSTED."""


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Share of the calls with each fault, from 0 to 1. The remaining calls have none."""

    unavailable: float = 0.0
    reset: float = 0.0
    lost: float = 0.0
    cancelled: float = 0.0
    exhausted: float = 0.0
    refused_items: float = 0.0

    HELP: ClassVar[Mapping[str, str]] = {
        "unavailable": "Calls refused with UNAVAILABLE.",
        "reset": "Calls whose connection is reset after the work.",
        "lost": "Calls without an answer.",
        "cancelled": "Calls cancelled by the server.",
        "exhausted": "Calls refused with RESOURCE_EXHAUSTED.",
        "refused_items": "Calls that refuse half of their paragraphs.",
    }

    def draw(self, random: random.Random) -> FaultKind:
        """The fault of the next call."""
        shares = (self.unavailable, self.reset, self.lost, self.cancelled, self.exhausted, self.refused_items)
        number = random.random()
        for fault, share in zip(tuple(FaultKind)[1:], shares, strict=True):
            if number < share:
                return fault
            number -= share
        return FaultKind.NONE
