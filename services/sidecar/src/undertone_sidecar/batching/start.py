"""A time at which a Predict call can start."""

from dataclasses import dataclass

from undertone_sidecar.batching.correction import CAUTIOUS


@dataclass(frozen=True, slots=True)
class Start:
    """A time at which a call can start.

    Attributes:
        seconds: Estimated seconds until then.
        at_once: Calls in flight then, with this one.
        confidence: Share of the last calls whose duration the estimate of this call must cover. It
            is lower if the slot was hardly in use: a call that may be late costs less than none.
    """

    seconds: float
    at_once: int
    confidence: float = CAUTIOUS
