"""Estimates the duration of Predict calls from recent calls."""

from typing import Final

from undertone_sidecar.batching.contention import Contention
from undertone_sidecar.batching.correction import CAUTIOUS, Correction, duration_ratio

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

_PART_OF_A_CALL: Final = 0.1
"""Mean number of calls beside few calls that does not make them a sample of another class."""

_OVERRUN_SHARE: Final = 0.25
"""Remaining time of a call that exceeds its estimate, as a share of the excess."""


class CostModel:
    """Linear model: seconds = a + b x padded tokens.

    Fitted by weighted least squares over recent calls.

    Outliers are weighted down as in Huber's M-estimator (Huber 1964), so that a paused machine or a
    graph optimization does not distort the estimate. A lasting change does get through, because the
    usual error grows with it.

    The fit follows a change slowly. Corrections of it follow after four calls. Calls that run at
    once share caches, memory and sometimes cores, so they take longer than a call that runs alone.
    Therefore, a further factor applies to calls among many (more than half of the slots). All other
    figures refer to calls among few.

    `at_once` is the number of calls in flight, with the estimated one. None is the number of slots.

    Attributes:
        most_few: Largest number of calls at once that counts as few.
    """

    def __init__(self, slots: int = 1) -> None:
        """`slots` is the maximum number of calls at once."""
        self._slots = slots
        self._weight = 0.0
        self._x = self._y = self._xx = self._xy = 0.0
        self._usual_error = 0.0
        self._samples = 0
        self._seconds_per_call = _PRIOR_SECONDS
        self._seconds_per_token = _PRIOR_SECONDS_PER_TOKEN
        self.most_few = max(1, slots // 2)
        self._correction = Correction()
        self._contention = Contention(slots / self.most_few)

    @property
    def is_reliable(self) -> bool:
        """Whether there are enough samples to refuse requests because of the estimate."""
        return self._samples >= _MIN_SAMPLES

    @property
    def overhead_tokens(self) -> float:
        """Fixed cost of a call, expressed in tokens: a / b."""
        return self._seconds_per_call / self._seconds_per_token

    def seconds(self, tokens: float, calls: float = 1.0, *, at_once: int | None = None) -> float:
        """Duration of `calls` consecutive calls with `tokens` padded tokens in total."""
        return self._factor(at_once) * self._fitted_seconds(tokens, calls)

    def cautious_seconds(self, tokens: float, *, at_once: int | None = None, confidence: float = CAUTIOUS) -> float:
        """A duration that a call with `tokens` padded tokens does not exceed with this probability.

        By default, nine of ten calls do not exceed it.
        """
        return self._correction.caution(confidence) * self.seconds(tokens, at_once=at_once)

    @property
    def last_error(self) -> float:
        """Ratio of the duration of the last call to its present estimate."""
        return self._correction.last_error

    def remaining_seconds(self, tokens: float, elapsed: float, *, at_once: int | None = None) -> float:
        """Remaining seconds of a call that has run for `elapsed` seconds.

        The longer a call exceeds its estimate, the longer it will still take.
        """
        estimate = self.seconds(tokens, at_once=at_once)
        return estimate - elapsed if elapsed < estimate else _OVERRUN_SHARE * (elapsed - estimate)

    def slowdown(self, at_once: int) -> float:
        """Cautious factor of the duration of `at_once` calls if one more call runs beside them."""
        ratio = self._factor(at_once + 1) / self._factor(at_once)
        return 1 + (ratio - 1) * self._correction.caution()

    @property
    def gain_of_many(self) -> float:
        """Work that many calls at once do in addition, relative to half as many calls.

        1 if calls do not slow each other down, 0 if twice as many calls take twice as long.
        """
        return max(0.0, 2 / self._contention.factor - 1)

    def tokens_within(self, seconds: float, *, cautious: bool = False, at_once: int | None = None) -> float:
        """Padded tokens of a call of this duration. 0 if the overhead alone takes longer."""
        factor = self._factor(at_once) * (self._correction.caution() if cautious else 1.0)
        return max(0.0, seconds / factor - self._seconds_per_call) / self._seconds_per_token

    def observe(self, tokens: int, seconds: float, at_once: float = 1.0) -> None:
        """Adds a sample: a call with `tokens` padded tokens took `seconds`.

        `at_once` is the mean number of calls in flight meanwhile, with this one.
        """
        among_many = at_once > self.most_few + 0.5
        is_between = self.most_few + _PART_OF_A_CALL < at_once and not among_many
        if seconds > 0 and self._samples > 2 and not is_between:
            ratio = duration_ratio(seconds, self._fitted_seconds(tokens))
            self._contention.add(among_many=among_many, ratio=ratio, drift=self._correction.drift)
        if among_many:
            seconds /= self._contention.factor
        error = abs(seconds - self._fitted_seconds(tokens))
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
        if seconds > 0 and self._samples > 2 and not is_between:
            self._correction.add(tokens, seconds)
        self._correction.update(self._fitted_seconds)

    def _fitted_seconds(self, tokens: float, calls: float = 1.0) -> float:
        return calls * self._seconds_per_call + tokens * self._seconds_per_token

    def _factor(self, at_once: int | None) -> float:
        among_many = (self._slots if at_once is None else at_once) > self.most_few
        return self._correction.drift * (self._contention.factor if among_many else 1.0)

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
