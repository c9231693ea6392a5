"""How fast a run was over time, in a bounded number of samples."""

from collections.abc import Iterable
from dataclasses import dataclass

from undertone_client.resilience import BreakerState

MOST_SAMPLES = 240
FINEST_SECONDS = 0.5
"""Between samples of a short run; whenever there would be too many, it doubles."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a run.

    `seconds` have been spent scoring since the folder's first run began; the breaks between its runs do not count.
    `paragraphs` are those that have been scored or have failed by then. The others are as in `ClientState`.
    """

    seconds: float
    paragraphs: int
    in_flight: int
    limit: int
    breaker: BreakerState


class Throughput:
    """Samples that are equally far apart, from the beginning of the first run on: MOST_SAMPLES at most."""

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._samples = list(samples)
        self._apart = FINEST_SECONDS

    @property
    def paragraphs(self) -> int:
        """Those of the last sample."""
        return self._samples[-1].paragraphs if self._samples else 0

    def due(self, seconds: float) -> bool:
        """Whether it is time for another sample."""
        return not self._samples or seconds - self._samples[-1].seconds >= self._apart

    def add(self, sample: Sample) -> None:
        """Note a sample; its seconds are no less than those before."""
        self._samples.append(sample)
        while len(self._samples) > MOST_SAMPLES:
            self._apart *= 2
            self._thin()

    def snapshot(self) -> tuple[Sample, ...]:
        """All samples."""
        return tuple(self._samples)

    def _thin(self) -> None:
        first, *others, last = self._samples
        kept = [first]
        for sample in others:
            if sample.seconds - kept[-1].seconds >= self._apart:
                kept.append(sample)
        self._samples = [*kept, last]
