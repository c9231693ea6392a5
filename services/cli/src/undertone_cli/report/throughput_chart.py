"""The chart of a run's throughput: SVG path data in the units of `charts`."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from undertone_client.resilience import BreakerState

from undertone_cli.report.charts import WIDTH, area_path, line_path
from undertone_cli.run_folder import Sample

RATE_HEIGHT = 1200
CALLS_HEIGHT = 560

_MAX_POINTS = 120
_MIN_SAMPLES = 4  # fewer show no course over time


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of the x axis."""

    x: int
    width: int


@dataclass(frozen=True, slots=True)
class ThroughputChart:
    """Paragraphs per second, and calls in flight with their limit (Figure 2 of the paper).

    Attributes:
        seconds: duration.
        mean_rate: mean paragraphs per second.
        peak_rate: maximum paragraphs per second.
        rate_area: area path of the rate.
        rate_line: line path of the rate.
        highest_limit: maximum of the limit.
        last_limit: the limit at the end.
        max_in_flight: maximum number of calls in flight.
        in_flight_area: area path of the calls in flight.
        limit_line: line path of the limit.
        breaker_intervals: when the circuit breaker was not closed.
    """

    seconds: float
    mean_rate: float
    peak_rate: float
    rate_area: str
    rate_line: str
    highest_limit: int
    last_limit: int
    max_in_flight: int
    in_flight_area: str
    limit_line: str
    breaker_intervals: tuple[Interval, ...]


def throughput_chart(samples: Sequence[Sample]) -> ThroughputChart | None:
    """The chart of a run's samples; None if there are too few, or no paragraph was finished."""
    if len(samples) < _MIN_SAMPLES or not samples[-1].paragraphs or samples[-1].seconds <= samples[0].seconds:
        return None
    points = min(_MAX_POINTS, len(samples) - 1)
    span = samples[-1].seconds - samples[0].seconds
    times = [samples[0].seconds + span * point / points for point in range(points + 1)]
    rates = _rates(samples, times)
    peak = max(rates)
    relative_rates = [rate / peak for rate in rates]
    highest_limit = max(sample.limit for sample in samples)
    max_in_flight = max(sample.in_flight for sample in samples)
    top = max(highest_limit, max_in_flight)
    shown = [samples[_index_at(samples, time)] for time in times]
    return ThroughputChart(
        seconds=span,
        mean_rate=(samples[-1].paragraphs - samples[0].paragraphs) / span,
        peak_rate=peak,
        rate_area=area_path(relative_rates, width=WIDTH, base=RATE_HEIGHT, height=RATE_HEIGHT),
        rate_line=line_path(relative_rates, width=WIDTH, base=RATE_HEIGHT, height=RATE_HEIGHT),
        highest_limit=highest_limit,
        last_limit=samples[-1].limit,
        max_in_flight=max_in_flight,
        in_flight_area=area_path(
            [sample.in_flight / top for sample in shown], width=WIDTH, base=CALLS_HEIGHT, height=CALLS_HEIGHT
        ),
        limit_line=line_path([sample.limit / top for sample in shown], width=WIDTH, base=CALLS_HEIGHT, height=CALLS_HEIGHT),
        breaker_intervals=tuple(_breaker_intervals(samples)),
    )


def _rates(samples: Sequence[Sample], times: Sequence[float]) -> list[float]:
    """The mean rate between consecutive times, because samples are not exactly equidistant."""
    counts = [_paragraphs_at(samples, time) for time in times]
    width = times[1] - times[0]
    rates = [(after - before) / width for before, after in pairwise(counts)]
    return rates if len(rates) > 1 else rates * 2


def _paragraphs_at(samples: Sequence[Sample], time: float) -> float:
    """Paragraphs finished at a time, linearly interpolated between samples."""
    index = _index_at(samples, time)
    if index == 0:
        return samples[0].paragraphs
    before, after = samples[index - 1], samples[index]
    share = min(1.0, (time - before.seconds) / (after.seconds - before.seconds)) if after.seconds > before.seconds else 1.0
    return before.paragraphs + share * (after.paragraphs - before.paragraphs)


def _index_at(samples: Sequence[Sample], time: float) -> int:
    return min(len(samples) - 1, bisect_left(samples, time, key=lambda sample: sample.seconds))


def _breaker_intervals(samples: Sequence[Sample]) -> Iterator[Interval]:
    first, span = samples[0].seconds, samples[-1].seconds - samples[0].seconds
    start: float | None = None
    for sample in samples:
        closed = sample.breaker is BreakerState.CLOSED
        if not closed and start is None:
            start = sample.seconds
        elif closed and start is not None:
            yield _interval(start - first, sample.seconds - first, span)
            start = None
    if start is not None:
        yield _interval(start - first, span, span)


def _interval(start: float, end: float, span: float) -> Interval:
    x = round(WIDTH * start / span)
    return Interval(x, max(1, round(WIDTH * end / span) - x))
