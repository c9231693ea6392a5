"""A time at which a Predict call can start."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """A time at which a call can start.

    Attributes:
        seconds: Estimated seconds until then.
        at_once: Calls in flight then, with this one.
    """

    seconds: float
    at_once: int
