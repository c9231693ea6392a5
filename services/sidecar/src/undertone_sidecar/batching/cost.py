"""What a call to the model server costs, learned from the calls themselves."""

from typing import Final

_MEMORY: Final = 0.98
"""Weight of an observation relative to the one after it: the last fifty count."""

_FIRST_SECONDS: Final = 0.002
_FIRST_SECONDS_PER_TOKEN: Final = 3e-5
"""What is assumed before the first call."""

_ANCHOR_WEIGHT: Final = 0.05
"""Of the assumption that an empty call takes _FIRST_SECONDS, which decides where all calls so far had the same size."""

_CREDIBLE: Final = 3.0
"""An observation further off than so many usual errors counts as if it were so far off."""

_ENOUGH: Final = 8
"""Observations after which the estimate is trusted with refusing work."""


class Cost:
    """seconds = a + b x padded tokens, by least squares over recent calls.

    Robust: observations that are far off are weighted down as Huber's estimator does (Huber 1964), so that a paused machine
    or a graph that is optimized during the call does not spoil the estimate; a lasting change does get through, because the
    usual error grows with it.
    """

    def __init__(self) -> None:
        self._weight = 0.0
        self._x = self._y = self._xx = self._xy = 0.0
        self._error = 0.0
        self._observed = 0
        self._fixed = _FIRST_SECONDS
        self._per_token = _FIRST_SECONDS_PER_TOKEN

    @property
    def known(self) -> bool:
        """Whether enough calls were seen to refuse work on the strength of the estimate."""
        return self._observed >= _ENOUGH

    @property
    def overhead(self) -> float:
        """What a call costs beside its tokens, in tokens: a / b."""
        return self._fixed / self._per_token

    def seconds(self, tokens: float, calls: float = 1.0) -> float:
        """Of `calls` calls, one after the other, with so many padded tokens between them."""
        return calls * self._fixed + tokens * self._per_token

    def tokens(self, seconds: float) -> float:
        """Padded tokens of a call that takes so long; 0 if none does."""
        return max(0.0, seconds - self._fixed) / self._per_token

    def observe(self, tokens: int, seconds: float) -> None:
        """A call with so many padded tokens took so long."""
        error = abs(seconds - self.seconds(tokens))
        weight = 1.0
        if self._observed >= 2:
            credible = _CREDIBLE * self._error
            weight = credible / error if error > credible else 1.0
            self._error += (1 - _MEMORY) * (min(error, 2 * credible) - self._error)
        # A machine without noise must not make the first small deviation incredible.
        self._error = max(self._error, 0.01 * seconds)
        self._observed += 1
        self._weight = _MEMORY * self._weight + weight
        self._x = _MEMORY * self._x + weight * tokens
        self._y = _MEMORY * self._y + weight * seconds
        self._xx = _MEMORY * self._xx + weight * tokens * tokens
        self._xy = _MEMORY * self._xy + weight * tokens * seconds
        self._fit()

    def _fit(self) -> None:
        weight, y = self._weight + _ANCHOR_WEIGHT, self._y + _ANCHOR_WEIGHT * _FIRST_SECONDS
        spread = weight * self._xx - self._x * self._x
        slope = (weight * self._xy - self._x * y) / spread
        # Neither time nor tokens come for nothing: where noise says so, all of the time is put down to the other.
        if slope <= 0:
            slope = 1e-3 * y / self._x
        self._per_token = slope
        self._fixed = (y - slope * self._x) / weight
        if self._fixed < 0:
            self._fixed, self._per_token = 0.0, self._xy / self._xx
