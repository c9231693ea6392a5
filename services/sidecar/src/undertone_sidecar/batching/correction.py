"""Corrects the estimated duration of Predict calls by the last calls."""

from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

DRIFT_CALLS: Final = 7
"""Last calls whose median is the drift. Outliers do not change a median; four calls do."""

_ACCELERATION_CALLS: Final = 3
"""Last calls that are all shorter than the drift, after which the drift falls."""

_CAUTION_CALLS: Final = 32
CAUTIOUS: Final = 0.9
"""A cautious estimate is long enough for this share of the last calls."""

_MAX_CAUTION: Final = 1.5
"""Maximum ratio of the cautious estimate to the estimate, however irregular the calls are."""

_MAX_RATIO: Final = 1000.0
"""Maximum ratio of a duration to its estimate, and of an estimate to the duration."""


class Correction:
    """Factors of an estimate, from the ratios of the last durations to it.

    Attributes:
        drift: Factor that follows a lasting change after four calls.
    """

    def __init__(self) -> None:
        self.drift = 1.0
        self._ratios: list[float] = []  # ascending
        self._last = 1.0
        self._calls: deque[tuple[int, float]] = deque(maxlen=_CAUTION_CALLS)

    def add(self, tokens: int, seconds: float) -> None:
        """Adds a call with `tokens` padded tokens that took `seconds`."""
        self._calls.append((tokens, seconds))

    def update(self, estimate: Callable[[float], float]) -> None:
        """Compares the last calls with a new estimate: the seconds of a call for its tokens."""
        ratios = [duration_ratio(seconds, estimate(tokens)) for tokens, seconds in self._calls]
        if not ratios:
            return
        recent = ratios[-DRIFT_CALLS:]
        # Follows an acceleration after three calls: while the forecast refuses requests, calls are
        # rare.
        self.drift = min(median(recent), max(recent[-_ACCELERATION_CALLS:]))
        self._ratios, self._last = sorted(ratios), ratios[-1]

    @property
    def last_error(self) -> float:
        """Ratio of the duration of the last call to its estimate."""
        return self._last / self.drift

    def caution(self, confidence: float = CAUTIOUS) -> float:
        """Further factor, with which this share of the last calls does not exceed the estimate."""
        if not self._ratios:
            return 1.0
        quantile = self._ratios[int(confidence * (len(self._ratios) - 1))]
        return min(max(1.0, quantile / self.drift), _MAX_CAUTION)


def duration_ratio(seconds: float, estimate: float) -> float:
    """Ratio of a duration to its estimate, from 1/1000 to 1000. 1 if the estimate is 0."""
    return min(max(seconds / estimate, 1 / _MAX_RATIO), _MAX_RATIO) if estimate > 0 else 1.0
