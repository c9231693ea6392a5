"""Concurrency limits: how many attempts may be in flight. Pure: no I/O, no clock."""

import enum
import math
from dataclasses import dataclass
from typing import Protocol

from undertone_client.errors import SettingsError


class AttemptOutcome(enum.Enum):
    """Result of an attempt, as far as it matters to a concurrency limit."""

    OK = "ok"
    """The attempt succeeded. Its latency counts."""
    OVERLOAD = "overload"
    """UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, or a reply with refused paragraphs."""
    IGNORE = "ignore"
    """Cancelled, or failed for a reason unrelated to load."""


class Limit(Protocol):
    """Computes the number of attempts that may be in flight from samples of finished attempts."""

    @property
    def value(self) -> int:
        """The number of attempts that may be in flight. At least 1."""

    def observe(self, rtt: float, in_flight: int, outcome: AttemptOutcome) -> int:
        """Add a sample and return the new value.

        Args:
            rtt: duration of the attempt in seconds, normalized by `LatencyNormalizer`.
            in_flight: attempts in flight when it ended, itself included.
            outcome: how it ended.
        """


class Fixed:
    """A constant limit: the semaphore of the paper."""

    def __init__(self, value: int) -> None:
        self._value = value

    @property
    def value(self) -> int:
        """See `Limit`."""
        return self._value

    def observe(self, rtt: float, in_flight: int, outcome: AttemptOutcome) -> int:
        """Ignores the sample."""
        return self._value


class Aimd:
    """Additive increase, multiplicative decrease (Chiu and Jain, 1989; TCP Reno).

    Reacts to overload only, not to latency. It fills the service until the service refuses, which
    is cheap for a service with bounded queues. Random faults look like congestion and keep this
    limit low; `Gradient` tolerates them.

    Args:
        initial: the first value.
        maximum: the largest value.
        decrease: factor applied on overload.

    Raises:
        SettingsError: not 1 <= initial <= maximum.
    """

    def __init__(self, initial: int = 4, maximum: int = 128, decrease: float = 0.7) -> None:
        _check_range(initial, maximum)
        self._limit = float(initial)
        self._maximum = float(maximum)
        self._decrease = decrease
        self._stale = 0  # attempts in flight that were sent before the last decrease

    @property
    def value(self) -> int:
        """See `Limit`."""
        return int(self._limit)

    def observe(self, rtt: float, in_flight: int, outcome: AttemptOutcome) -> int:
        """Add a sample.

        Grows by 1/limit for each success while the whole limit is in use. Shrinks at most once per
        round trip.
        """
        stale = self._stale > 0
        self._stale = max(0, self._stale - 1)
        if outcome is AttemptOutcome.OVERLOAD and not stale:
            self._limit = max(1.0, self._limit * self._decrease)
            self._stale = in_flight - 1
        elif outcome is AttemptOutcome.OK and in_flight >= self.value:
            self._limit = min(self._maximum, self._limit + 1 / self._limit)
        return self.value


class Gradient:
    """The adaptive limit. Keeps the service busy with a short queue that is never empty.

    Once per window, the limit is multiplied by `tolerance` * best latency / latency of the window
    (clamped to 0.5 to 1) and grows by its square root. It settles where the service takes about
    `tolerance` times its idle latency: the whole capacity is in use, and more attempts would only
    queue. This is the rule of TCP FAST (Wei et al., 2006), derived from Vegas (Brakmo and Peterson,
    1995), with means over windows, and the tolerance and square root of Netflix's Gradient2.

    Differences from those:

    - The best latency is forgotten periodically and measured again at a quarter of the limit for
      one window (a probe), so that it does not include our own queue. Otherwise a service that
      slowed down permanently would be starved. With a long-term mean instead, a busy service would
      seem slower and slower, and the limit would creep up.
    - On overload, the limit shrinks by the share of the window's attempts that met it, as in DCTCP
      (RFC 8257). One fault in twenty, which is not congestion, then costs less than the growth of a
      window. Near the limit of the last overload, growth is one at a time.
    - The limit doubles each window until the first queue or overload is seen (TCP slow start), so
      that a large fleet is used quickly.
    - The limit grows only while all of it is in use. It shrinks down to 1, which suits a service of
      one small pod.

    Args:
        initial: the first value.
        maximum: the largest value.
        tolerance: latency that does not lower the limit, as a multiple of the best latency. More
            than 1.

    Raises:
        SettingsError: not 1 <= initial <= maximum.
    """

    MIN_SAMPLES = 4
    """Smallest window. A window has as many samples as the limit, which is about one round trip."""
    FIRST_PROBE, PROBE_INTERVAL, MAX_PROBE_INTERVAL = 10, 50, 200
    """Number of windows before the first probe, and between probes.

    The interval doubles while probes confirm the best latency, because each probe costs a round
    trip at a quarter of the throughput.
    """
    SAME_LATENCY = 0.15
    """Relative difference up to which a probe confirms the best latency."""
    QUEUE_LATENCY = 1.5
    """Latency that shows a queue and ends slow start, as a multiple of the best latency."""
    TOLERATED_OVERLOAD = 0.1
    """Share of overloads in a window up to which the limit may grow, less the sampling error."""
    OVERLOAD_DECREASE = 0.3
    """Decrease of the limit when every attempt of a window meets overload."""

    def __init__(self, initial: int = 4, maximum: int = 128, *, tolerance: float = 2.0) -> None:
        _check_range(initial, maximum)
        self._limit = float(initial)
        self._maximum = float(maximum)
        self._tolerance = tolerance
        self._best = math.inf
        self._ceiling = math.inf  # the limit at the last overload
        self._stale = 0  # attempts in flight that were sent under another limit
        self._slow_start = True
        self._windows_to_probe = self.FIRST_PROBE
        self._probe_interval = self.PROBE_INTERVAL
        self._limit_after_probe: float | None = None  # None unless a probe is running
        self._samples = self._overloads = self._peak = 0
        self._seconds = 0.0

    @property
    def value(self) -> int:
        """See `Limit`."""
        return int(self._limit)

    def observe(self, rtt: float, in_flight: int, outcome: AttemptOutcome) -> int:
        """Add a sample.

        The value changes at most once in two round trips, because a change takes effect after one.
        """
        if self._stale:
            self._stale -= 1
        elif outcome is not AttemptOutcome.IGNORE:
            self._samples += 1
            self._peak = max(self._peak, in_flight)
            if outcome is AttemptOutcome.OVERLOAD:
                self._overloads += 1
            else:
                self._seconds += rtt
            if self._samples >= max(self.MIN_SAMPLES, self.value):
                before = self.value
                self._end_window()
                if self.value != before:
                    self._stale = in_flight - 1
                self._samples = self._overloads = self._peak = 0
                self._seconds = 0.0
        return self.value

    def _end_window(self) -> None:
        successes = self._samples - self._overloads
        latency = self._seconds / successes if successes else math.inf
        overload = self._overloads / self._samples
        if self._limit_after_probe is not None:
            self._end_probe(latency)
            return
        self._best = min(self._best, latency)
        if self._overloads or latency > self.QUEUE_LATENCY * self._best:
            self._slow_start = False
        limit = self._limit * (1 - self.OVERLOAD_DECREASE * overload)
        if successes and latency > 0:
            limit *= min(1.0, max(0.5, self._tolerance * self._best / latency))
        sampling_error = 1.5 * math.sqrt(overload * (1 - overload) / self._samples)
        if overload - sampling_error > self.TOLERATED_OVERLOAD:
            self._ceiling = self._limit
        elif self._peak >= self.value:
            limit += self._growth()
        self._limit = min(self._maximum, max(1.0, limit))
        self._windows_to_probe -= 1
        if self._windows_to_probe == 0:
            self._windows_to_probe = self._probe_interval
            self._limit_after_probe, self._limit = self._limit, max(1.0, self._limit / 4)

    def _end_probe(self, latency: float) -> None:
        assert self._limit_after_probe is not None  # noqa: S101 - checked by the caller
        self._limit, self._limit_after_probe = self._limit_after_probe, None
        if latency < math.inf:
            confirmed = abs(latency - self._best) <= self.SAME_LATENCY * self._best
            self._probe_interval = min(self.MAX_PROBE_INTERVAL, 2 * self._probe_interval) if confirmed else self.PROBE_INTERVAL
            self._windows_to_probe = self._probe_interval
            self._best = latency

    def _growth(self) -> float:
        if self._slow_start:
            return self._limit
        if self._limit > self._ceiling:
            self._ceiling = math.inf  # the service now sustains more than at the last overload
        return 1.0 if self._limit > 0.7 * self._ceiling else math.sqrt(self._limit)


class LimitAlgorithm(enum.StrEnum):
    """The algorithm of a limit."""

    ADAPTIVE = "adaptive"
    """`Gradient`: from latency and overload."""
    AIMD = "aimd"
    """`Aimd`: from overload only."""
    FIXED = "fixed"
    """`Fixed`: a constant."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Settings of the concurrency limit.

    Args:
        algorithm: see `LimitAlgorithm`.
        initial: the first value. The constant value of a fixed limit.
        max_in_flight: the largest value.
    """

    algorithm: LimitAlgorithm = LimitAlgorithm.ADAPTIVE
    initial: int = 4
    max_in_flight: int = 128

    def __post_init__(self) -> None:
        _check_range(self.initial, self.max_in_flight)

    @classmethod
    def fixed(cls, value: int) -> "LimitSettings":
        """A constant limit.

        Raises:
            SettingsError: the value is less than 1.
        """
        return cls(LimitAlgorithm.FIXED, initial=value, max_in_flight=value)

    @classmethod
    def parse(cls, text: str) -> "LimitSettings":
        """Settings from text: `adaptive`, `aimd`, or a number of attempts.

        Raises:
            SettingsError: the text is invalid.
        """
        if text in (LimitAlgorithm.ADAPTIVE, LimitAlgorithm.AIMD):
            return cls(LimitAlgorithm(text))
        if text.isdecimal() and int(text) > 0:
            return cls.fixed(int(text))
        raise SettingsError(f"limit {text!r} is invalid: use adaptive, aimd or a number such as 16")

    def build(self) -> Limit:
        """A new limit in its initial state."""
        match self.algorithm:
            case LimitAlgorithm.ADAPTIVE:
                return Gradient(self.initial, self.max_in_flight)
            case LimitAlgorithm.AIMD:
                return Aimd(self.initial, self.max_in_flight)
            case LimitAlgorithm.FIXED:
                return Fixed(self.initial)


def _check_range(initial: int, maximum: int) -> None:
    if not 1 <= initial <= maximum:
        raise SettingsError(f"initial limit {initial}, maximum {maximum}: needs 1 <= initial <= maximum")
