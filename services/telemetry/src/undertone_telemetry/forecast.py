"""The forecast of a job's end, for jobs that must finish by a certain time."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from undertone_telemetry.durations import duration

WINDOW_SECONDS: Final = 300.0
"""The time over which the rate is measured. It is longer if nothing was finished in this time, as
between two long tasks of a Spark job."""

WARM_UP_SHARE: Final = 0.1
"""The share of the time left, at most WINDOW_SECONDS, in which there is no forecast: the fleet may
still be scaling up."""

TOLERANCE_SHARE: Final = 0.05
TOLERANCE_SECONDS: Final = 30.0
"""A job is late if it would need this share of the time left, and these seconds, in addition."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a job ends if its rate stays the same.

    All times are in seconds since 1970.

    Attributes:
        at: The time of the forecast.
        finish_by: When the job must end.
        backlog: The number of paragraphs left.
        rate: Finished paragraphs per second, more than 0.
    """

    at: float
    finish_by: float
    backlog: int
    rate: float

    @property
    def ends_at(self) -> float:
        """The forecast end."""
        return self.at + self.backlog / self.rate

    @property
    def late(self) -> bool:
        """Whether the job will miss its time."""
        left = max(self.finish_by - self.at, 0.0)
        return self.backlog > 0 and self.ends_at > self.finish_by + max(TOLERANCE_SHARE * left, TOLERANCE_SECONDS)

    @property
    def explanation(self) -> str:
        """Why a late job is late, and what would meet the time."""
        backlog = f"{self.backlog:,} paragraph{'' if self.backlog == 1 else 's'}"
        now = f"at {self.rate:,.1f} paragraphs/s, the {backlog} left need {duration(self.ends_at - self.at)}"
        left = self.finish_by - self.at
        if left <= 0:
            return f"{now}, but the time of --finish-by passed {duration(-left)} ago. The job continues."
        needed = self.backlog / left
        return (
            f"{now}, but --finish-by leaves {duration(left)}. {needed:,.1f} paragraphs/s would meet it, "
            f"{needed / self.rate:.1f} times the rate: allow as many times the pods (autoscaling.maxReplicas) and "
            "calls of the job (--limit), or use a later time."
        )


class Forecaster:
    """Measures the rate of a job and forecasts its end. It is not thread-safe."""

    def __init__(self, finish_by: float) -> None:
        """
        Args:
            finish_by: When the job must end, in seconds since 1970.
        """
        self._finish_by = finish_by
        self._samples: deque[tuple[float, int]] = deque()
        self._first_at: float | None = None

    def observe(self, at: float, finished: int, backlog: int) -> Forecast | None:
        """Adds a sample. Returns None while the job has not run or finished enough for a forecast.

        Args:
            at: The time, in seconds since 1970.
            finished: The number of paragraphs that the run has finished.
            backlog: The number of paragraphs left.
        """
        if self._samples and (at <= self._samples[-1][0] or finished < self._samples[-1][1]):
            self._samples.clear()  # the clock was set back, or the count of a killed Spark task was lost
        if len(self._samples) > 1 and self._samples[-2][1] == finished:
            self._samples.pop()  # the first and the last sample of a pause are enough
        self._samples.append((at, finished))
        while len(self._samples) > 1 and self._samples[1][0] <= at - WINDOW_SECONDS and self._samples[1][1] < finished:
            self._samples.popleft()
        if self._first_at is None or at < self._first_at:
            self._first_at = at
        warm_up = min(WINDOW_SECONDS, WARM_UP_SHARE * max(self._finish_by - self._first_at, 0.0))
        start, before = self._samples[0]
        if at - self._first_at < warm_up or finished == before:
            return None
        return Forecast(at, self._finish_by, backlog, (finished - before) / (at - start))
