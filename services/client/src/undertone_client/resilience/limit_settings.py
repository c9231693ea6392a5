"""Which limit a client has."""

import enum
from dataclasses import dataclass

from undertone_client.errors import SettingsError
from undertone_client.resilience.aimd import Aimd
from undertone_client.resilience.gradient import Gradient
from undertone_client.resilience.limit import Fixed, Limit, checked_bounds


class Algorithm(enum.StrEnum):
    """How the number of calls at once is found."""

    ADAPTIVE = "adaptive"
    """From latency and overload: `Gradient`."""
    AIMD = "aimd"
    """From overload only: `Aimd`."""
    FIXED = "fixed"
    """By hand: `Fixed`."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How many calls may run at once: `initial` at first (always, if fixed), `max_in_flight` at most, never less than 1."""

    algorithm: Algorithm = Algorithm.ADAPTIVE
    initial: int = 4
    max_in_flight: int = 128

    def __post_init__(self) -> None:
        checked_bounds(self.initial, self.max_in_flight)

    @classmethod
    def fixed(cls, calls: int) -> "LimitSettings":
        """Always so many calls.

        Raises:
            SettingsError: it is less than 1.
        """
        return cls(Algorithm.FIXED, initial=calls, max_in_flight=calls)

    @classmethod
    def parse(cls, text: str) -> "LimitSettings":
        """What a user writes: `adaptive`, `aimd`, or a number of calls.

        Raises:
            SettingsError: it is none of them.
        """
        if text in (Algorithm.ADAPTIVE, Algorithm.AIMD):
            return cls(Algorithm(text))
        if text.isdecimal() and int(text) > 0:
            return cls.fixed(int(text))
        raise SettingsError(f"limit {text!r} is none; give adaptive, aimd, or a number of calls such as 16")

    def build(self) -> Limit:
        """The algorithm, in its first state."""
        match self.algorithm:
            case Algorithm.ADAPTIVE:
                return Gradient(self.initial, self.max_in_flight)
            case Algorithm.AIMD:
                return Aimd(self.initial, self.max_in_flight)
            case Algorithm.FIXED:
                return Fixed(self.initial)
