"""The course of a run over time: paragraphs per second, calls in flight and their limit (the paper's Figure 2)."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from undertone_client.resilience import BreakerState

from undertone_cli.job.throughput import Sample
from undertone_cli.report import shapes
from undertone_cli.report.charts import WIDTH

RATE_HEIGHT = 1200
CALLS_HEIGHT = 560
"""Of the two charts, in tenths of a CSS pixel, as all heights."""

_MOST_POINTS = 120
_FEWEST_SAMPLES = 4  # of fewer, nothing can be seen over time


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch in which the circuit breaker was not closed, on the charts' x axis."""

    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Course:
    """Both charts, and the figures that stand beside them; rates are paragraphs per second."""

    seconds: float
    mean_rate: float
    peak_rate: float
    rate_area: str
    rate_line: str
    highest_limit: int
    last_limit: int
    most_in_flight: int
    in_flight_area: str
    limit_line: str
    pauses: tuple[Pause, ...]


def course(samples: Sequence[Sample]) -> Course | None:
    """The course that a run's samples describe; None if they are too few, or nothing happened in them."""
    if len(samples) < _FEWEST_SAMPLES or not samples[-1].paragraphs or samples[-1].seconds <= samples[0].seconds:
        return None
    points = min(_MOST_POINTS, len(samples) - 1)
    rates = _rates(samples, points)
    peak = max(rates)
    # Each call counts: there may be thousands of them, or two.
    top = max(max(sample.limit, sample.in_flight) for sample in samples)
    chosen = [samples[_at(samples, moment)] for moment in _moments(samples, points)]
    limits, in_flight = ([getattr(sample, name) / top for sample in chosen] for name in ("limit", "in_flight"))
    span = samples[-1].seconds - samples[0].seconds
    return Course(
        seconds=span,
        mean_rate=(samples[-1].paragraphs - samples[0].paragraphs) / span,
        peak_rate=peak,
        rate_area=shapes.area([rate / peak for rate in rates], width=WIDTH, base=RATE_HEIGHT, height=RATE_HEIGHT),
        rate_line=shapes.line([rate / peak for rate in rates], width=WIDTH, base=RATE_HEIGHT, height=RATE_HEIGHT),
        highest_limit=max(sample.limit for sample in samples),
        last_limit=samples[-1].limit,
        most_in_flight=max(sample.in_flight for sample in samples),
        in_flight_area=shapes.area(in_flight, width=WIDTH, base=CALLS_HEIGHT, height=CALLS_HEIGHT),
        limit_line=shapes.line(limits, width=WIDTH, base=CALLS_HEIGHT, height=CALLS_HEIGHT),
        pauses=tuple(_pauses(samples)),
    )


def _moments(samples: Sequence[Sample], points: int) -> list[float]:
    first, span = samples[0].seconds, samples[-1].seconds - samples[0].seconds
    return [first + span * point / points for point in range(points + 1)]


def _rates(samples: Sequence[Sample], points: int) -> list[float]:
    """The mean rate between one moment and the next: samples are only nearly as far apart as they should be."""
    moments = _moments(samples, points)
    counts = [_paragraphs(samples, moment) for moment in moments]
    width = moments[1] - moments[0]
    rates = [(after - before) / width for before, after in pairwise(counts)]
    return rates if len(rates) > 1 else rates * 2


def _paragraphs(samples: Sequence[Sample], moment: float) -> float:
    """How many were done by a moment, between two samples in proportion."""
    index = _at(samples, moment)
    if index == 0:
        return samples[0].paragraphs
    before, after = samples[index - 1], samples[index]
    share = min(1.0, (moment - before.seconds) / (after.seconds - before.seconds)) if after.seconds > before.seconds else 1.0
    return before.paragraphs + share * (after.paragraphs - before.paragraphs)


def _at(samples: Sequence[Sample], moment: float) -> int:
    return min(len(samples) - 1, bisect_left(samples, moment, key=lambda sample: sample.seconds))


def _pauses(samples: Sequence[Sample]) -> Iterator[Pause]:
    first, span = samples[0].seconds, samples[-1].seconds - samples[0].seconds
    start: float | None = None
    for sample in samples:
        shut = sample.breaker is not BreakerState.CLOSED
        if shut and start is None:
            start = sample.seconds
        elif not shut and start is not None:
            yield _pause(start - first, sample.seconds - first, span)
            start = None
    if start is not None:
        yield _pause(start - first, span, span)


def _pause(start: float, end: float, span: float) -> Pause:
    x = round(WIDTH * start / span)
    return Pause(x, max(1, round(WIDTH * end / span) - x))
