"""Estimates the duration of Predict calls from recent calls."""

from collections import deque
from statistics import median
from typing import Final

_DECAY: Final = 0.98
"""Weight of a sample relative to the next one. The last fifty samples dominate."""

_PRIOR_SECONDS: Final = 0.002
_PRIOR_SECONDS_PER_TOKEN: Final = 3e-5
"""The estimate before the first sample."""

_PRIOR_WEIGHT: Final = 0.05
"""Weight of a virtual sample of an empty call with _PRIOR_SECONDS, for samples of equal size."""

_OUTLIER_ERRORS: Final = 3.0
"""Maximum error of a sample, as a multiple of the usual error. Larger errors are reduced to it."""

_MIN_SAMPLES: Final = 8
"""Samples needed before the estimate may refuse requests."""

_DRIFT_SAMPLES: Final = 7
"""Recent samples whose median is the drift. Outliers do not change a median; four samples do."""

_ACCELERATION_SAMPLES: Final = 3
"""Recent samples that are all shorter than the drift, after which the drift falls."""

_CAUTION_SAMPLES: Final = 32
_CAUTION_QUANTILE: Final = 0.9
"""A cautious estimate is long enough for this share of the last samples."""

_MAX_CAUTION: Final = 1.5
"""Maximum ratio of the cautious estimate to the estimate, however irregular the calls are."""

_MAX_RATIO: Final = 1000.0
"""Maximum ratio of a duration to its estimate, and of an estimate to the duration."""

_OVERRUN_SHARE: Final = 0.25
"""Remaining time of a call that exceeds its estimate, as a share of the excess."""


class CostModel:
    """Linear model: seconds = a + b x padded tokens.

    Fitted by weighted least squares over recent calls.

    Outliers are weighted down as in Huber's M-estimator (Huber 1964), so that a paused machine or a
    graph optimization does not distort the estimate. A lasting change does get through, because the
    usual error grows with it.

    The fit follows a change slowly. The drift follows it after four calls: it is the median ratio
    of the last durations to the fit, and a factor of all estimates.
    """

    def __init__(self) -> None:
        self._weight = 0.0
        self._x = self._y = self._xx = self._xy = 0.0
        self._usual_error = 0.0
        self._samples = 0
        self._seconds_per_call = _PRIOR_SECONDS
        self._seconds_per_token = _PRIOR_SECONDS_PER_TOKEN
        self._ratios: deque[float] = deque(maxlen=_CAUTION_SAMPLES)
        self._drift = 1.0
        self._caution = 1.0

    @property
    def is_reliable(self) -> bool:
        """Whether there are enough samples to refuse requests because of the estimate."""
        return self._samples >= _MIN_SAMPLES

    @property
    def overhead_tokens(self) -> float:
        """Fixed cost of a call, expressed in tokens: a / b."""
        return self._seconds_per_call / self._seconds_per_token

    def seconds(self, tokens: float, calls: float = 1.0) -> float:
        """Duration of `calls` consecutive calls with `tokens` padded tokens in total."""
        return self._drift * self._fitted_seconds(tokens, calls)

    def cautious_seconds(self, tokens: float) -> float:
        """A duration that nine of ten calls with `tokens` padded tokens do not exceed."""
        return self._caution * self.seconds(tokens)

    def remaining_seconds(self, tokens: float, elapsed: float) -> float:
        """Remaining seconds of a call that has run for `elapsed` seconds.

        The longer a call exceeds its estimate, the longer it will still take.
        """
        estimate = self.seconds(tokens)
        return estimate - elapsed if elapsed < estimate else _OVERRUN_SHARE * (elapsed - estimate)

    def tokens_within(self, seconds: float, *, cautious: bool = False) -> float:
        """Padded tokens of a call of this duration. 0 if the overhead alone takes longer."""
        factor = self._drift * (self._caution if cautious else 1.0)
        return max(0.0, seconds / factor - self._seconds_per_call) / self._seconds_per_token

    def observe(self, tokens: int, seconds: float) -> None:
        """Adds a sample: a call with `tokens` padded tokens took `seconds`."""
        fitted = self._fitted_seconds(tokens)
        error = abs(seconds - fitted)
        weight = 1.0
        if self._samples >= 2:
            threshold = _OUTLIER_ERRORS * self._usual_error
            weight = threshold / error if error > threshold else 1.0
            self._usual_error += (1 - _DECAY) * (min(error, 2 * threshold) - self._usual_error)
        # Without noise, the first small deviation must not count as an outlier.
        self._usual_error = max(self._usual_error, 0.01 * seconds)
        self._samples += 1
        self._weight = _DECAY * self._weight + weight
        self._x = _DECAY * self._x + weight * tokens
        self._y = _DECAY * self._y + weight * seconds
        self._xx = _DECAY * self._xx + weight * tokens * tokens
        self._xy = _DECAY * self._xy + weight * tokens * seconds
        self._fit()
        if fitted > 0 and seconds > 0 and self._samples > 2:
            self._ratios.append(min(max(seconds / fitted, 1 / _MAX_RATIO), _MAX_RATIO))
            self._set_factors()

    def _fitted_seconds(self, tokens: float, calls: float = 1.0) -> float:
        return calls * self._seconds_per_call + tokens * self._seconds_per_token

    def _set_factors(self) -> None:
        recent = list(self._ratios)[-_DRIFT_SAMPLES:]
        # Follows an acceleration after three calls: while the forecast refuses requests, calls are
        # rare.
        self._drift = min(median(recent), max(recent[-_ACCELERATION_SAMPLES:]))
        ordered = sorted(self._ratios)
        quantile = ordered[int(_CAUTION_QUANTILE * (len(ordered) - 1))]
        self._caution = min(max(1.0, quantile / self._drift), _MAX_CAUTION)

    def _fit(self) -> None:
        weight, y = self._weight + _PRIOR_WEIGHT, self._y + _PRIOR_WEIGHT * _PRIOR_SECONDS
        spread = weight * self._xx - self._x * self._x
        slope = (weight * self._xy - self._x * y) / spread
        # Neither coefficient may be negative. If noise makes one negative, the other explains the
        # whole duration.
        if slope <= 0:
            slope = 1e-3 * y / self._x
        self._seconds_per_token = slope
        self._seconds_per_call = (y - slope * self._x) / weight
        if self._seconds_per_call < 0:
            self._seconds_per_call, self._seconds_per_token = 0.0, self._xy / self._xx
