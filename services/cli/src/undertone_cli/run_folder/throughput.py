"""Throughput of a run over time, in a bounded number of samples."""

from collections.abc import Iterable
from dataclasses import dataclass

from undertone_client.resilience import BreakerState

MAX_SAMPLES = 240
MIN_INTERVAL_SECONDS = 0.5
"""Initial interval between samples. It doubles whenever there are more than MAX_SAMPLES."""


@dataclass(frozen=True, slots=True)
class Sample:
    """State of a run at one time.

    `seconds` is the time that all runs of the folder spent scoring so far.
    `paragraphs` counts the scored and failed ones. The other fields are as in `ClientState`.
    """

    seconds: float
    paragraphs: int
    in_flight: int
    limit: int
    breaker: BreakerState


class Throughput:
    """Up to MAX_SAMPLES samples at equal intervals, from the start of the folder's first run."""

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._samples = list(samples)
        self._interval = MIN_INTERVAL_SECONDS

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All samples."""
        return tuple(self._samples)

    @property
    def paragraphs(self) -> int:
        """Number of paragraphs in the last sample."""
        return self._samples[-1].paragraphs if self._samples else 0

    def is_due(self, seconds: float) -> bool:
        """Whether a sample should be added now."""
        return not self._samples or seconds - self._samples[-1].seconds >= self._interval

    def add(self, sample: Sample) -> None:
        """Add a sample. Its `seconds` must not be less than in the last sample."""
        self._samples.append(sample)
        while len(self._samples) > MAX_SAMPLES:
            self._interval *= 2
            self._thin_out()

    def _thin_out(self) -> None:
        first, *between, last = self._samples
        thinned = [first]
        for sample in between:
            if sample.seconds - thinned[-1].seconds >= self._interval:
                thinned.append(sample)
        self._samples = [*thinned, last]
