"""Estimates how much calls at once slow each other down."""

from collections import deque
from typing import Final

from undertone_sidecar.batching.correction import DRIFT_CALLS

_WEIGHT: Final = 0.3
"""Weight of a call in the factor, on a logarithmic scale."""

_MAX_ERROR: Final = 1.5
"""Maximum error of a call that is taken into account, up or down."""

_MAX_SPREAD: Final = 2.5
"""Maximum ratio of the last durations to each other. If they differ more, the model server itself
has become slower or faster, and the reason for a difference is unknown."""

_FORGETTING: Final = 0.999
"""Share of the contention that remains after each call, while it cannot be measured. After some
hundred calls, the estimate permits many calls at once again, and they measure the contention."""


class Contention:
    """Factor of the duration of a call among many, relative to a call among few.

    It can be measured only when the number of calls at once changes: if all calls are alike, the
    model server may just be slower. So a call counts if most of the last calls were of the other
    kind, and its error corrects the factor.

    Attributes:
        factor: From 1 to the maximum.
    """

    def __init__(self, maximum: float) -> None:
        """`maximum` is the factor of calls that share all cores: the ratio of the call counts."""
        self.factor = 1.0
        self._maximum = maximum
        self._calls: deque[tuple[bool, float]] = deque(maxlen=DRIFT_CALLS)

    def add(self, *, among_many: bool, ratio: float, drift: float) -> None:
        """Adds a call.

        Args:
            among_many: Whether it ran among many.
            ratio: Ratio of its duration to an estimate for calls among few.
            drift: The usual ratio of calls among few.
        """
        others = sum(kind != among_many for kind, _ in self._calls)
        if others > len(self._calls) / 2:
            normalized = [self._normalized(value, among_many=kind) for kind, value in (*self._calls, (among_many, ratio))]
            if max(normalized) <= _MAX_SPREAD * min(normalized):
                error = min(max(normalized[-1] / drift, 1 / _MAX_ERROR), _MAX_ERROR)
                self.factor *= error**_WEIGHT if among_many else error**-_WEIGHT
        elif not among_many:
            self.factor = 1 + (self.factor - 1) * _FORGETTING
        self.factor = min(max(1.0, self.factor), self._maximum)
        self._calls.append((among_many, ratio))

    def _normalized(self, ratio: float, *, among_many: bool) -> float:
        return ratio / self.factor if among_many else ratio
