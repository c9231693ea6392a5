"""Geometry of the page's charts, as SVG path data.

All charts stretch to any width: x runs from 0 to `WIDTH`, y is in tenths of a CSS pixel. Paths have
integer coordinates and relative steps, because a page contains hundreds of them.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from undertone_client.resilience import BreakerState

from undertone_cli.formatting import percent
from undertone_cli.report.arcs import Arc, Bin, Story, paragraph_number
from undertone_cli.run_folder import Sample

WIDTH = 1200
PITCH = 360
"""Distance between the base lines of two ridges."""
HEADROOM = 260
"""Height that a ridge may rise above its row, into the row above."""
THUMBNAIL_HEIGHT = 1000
RATE_HEIGHT = 1200
CALLS_HEIGHT = 560

_MIN_SCALED_PEAK = 0.5  # lower peaks are not scaled up to the full height: weak emotions should look weak
_THRESHOLD_HEIGHT = 0.8 * PITCH  # below the base line of the row above
_MAX_SEPARATE_CELLS = 64  # with more paragraphs, the strip is a continuous band
_MAX_POINTS = 120
_MIN_SAMPLES = 4  # fewer show no course over time


def line_path(values: Sequence[float], *, width: int, base: float, height: float) -> str:
    """A line over the full width; the value 1 is `height` above `base`."""
    steps = len(values) - 1
    points = [(round(width * i / steps), round(base - height * value)) for i, value in enumerate(values)]
    moves = "".join(f" {x2 - x1} {y2 - y1}" for (x1, y1), (x2, y2) in pairwise(points))
    return f"M{points[0][0]} {points[0][1]}l{moves.strip()}"


def area_path(values: Sequence[float], *, width: int, base: float, height: float) -> str:
    """The area between `base` and the line through the values."""
    return f"{line_path(values, width=width, base=base, height=height)}V{round(base)}H0z"


def stacked_paths(layers: Sequence[Sequence[float]], *, width: int, height: float) -> list[str]:
    """Areas of stacked layers, the first at the bottom. Each area reaches down to the base.

    Paint the last layer first: each layer covers the lower part of the one before, without seams.
    """
    sums = [0.0] * len(layers[0])
    paths = []
    for layer in layers:
        sums = [total + value for total, value in zip(sums, layer, strict=True)]
        paths.append(area_path(sums, width=width, base=height, height=height))
    return paths


@dataclass(frozen=True, slots=True)
class Ridge:
    """Row of one label: the area below its arc, and the arc."""

    area: str
    line: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A bin of paragraphs in the strip: its leading label, if any, and its title.

    `percents` has the mean probabilities of the labels that have a ridge.
    """

    x: int
    width: int
    first: int
    last: int
    leading: int | None
    percents: tuple[int, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Ridgeline:
    """A row for each shown label along a story, and the strip of its paragraphs below."""

    height: int
    ridges: tuple[Ridge, ...]
    cells: tuple[Cell, ...]
    separate: bool


def ridge_height(peak: float, threshold: float = 0.0) -> float:
    """Height of probability 1.

    Args:
        peak: the highest point of all arcs. It fits into its row and the headroom above.
        threshold: the highest threshold of a label. Its line fits into its row.
    """
    height = (PITCH + HEADROOM) / max(peak, _MIN_SCALED_PEAK)
    return min(height, _THRESHOLD_HEIGHT / threshold) if threshold else height


def ridgeline(story: Story, labels: Sequence[str], shown: Sequence[int], *, height: float) -> Ridgeline:
    """The chart of one story.

    Args:
        story: the story.
        labels: all labels.
        shown: indexes of the labels of the arc. Each has a ridge.
        height: height of probability 1.
    """
    arc = story.arc
    ridges = []
    for row, values in enumerate(arc.values, start=1):
        base = HEADROOM + PITCH * row
        area = area_path(values, width=WIDTH, base=base, height=height)
        ridges.append(Ridge(area, line_path(values, width=WIDTH, base=base, height=height)))
    cells = tuple(_cell(each, arc, labels, shown) for each in story.bins)
    return Ridgeline(HEADROOM + PITCH * len(shown) + 10, tuple(ridges), cells, separate=len(cells) <= _MAX_SEPARATE_CELLS)


def thumbnail(arc: Arc, *, top: float = 1.0) -> list[str]:
    """Stacked areas of a story's labels, from every third point. A sum of `top` fills the frame."""
    layers = [[value / top for value in values[::3]] for values in arc.values]
    return stacked_paths(layers, width=WIDTH, height=THUMBNAIL_HEIGHT)


def stack_top(arcs: Sequence[Arc]) -> float:
    """The sum of the highest stack of independent probabilities, rounded up; at least 1."""
    highest: float = max(sum(values) for arc in arcs for values in zip(*arc.values, strict=True))
    return max(1.0, math.ceil(highest * 10) / 10)


def _cell(paragraphs: Bin, arc: Arc, labels: Sequence[str], shown: Sequence[int]) -> Cell:
    span = arc.last - arc.first + 1
    start = round(WIDTH * (paragraphs.first - arc.first) / span)
    ranked = sorted(range(len(labels)), key=lambda i: -paragraphs.probabilities[i])
    strongest = ", ".join(f"{labels[i]} {percent(paragraphs.probabilities[i])}" for i in ranked[:3])
    first, last = paragraph_number(paragraphs.first), paragraph_number(paragraphs.last)
    name = f"Paragraph {first}" if first == last else f"Paragraphs {first}–{last}, mean"
    if paragraphs.leading is None:
        name += ", no label"
    return Cell(
        x=start,
        width=max(1, round(WIDTH * (paragraphs.last + 1 - arc.first) / span) - start),
        first=first,
        last=last,
        leading=paragraphs.leading,
        percents=tuple(round(100 * paragraphs.probabilities[i]) for i in shown),
        title=f"{name}: {strongest}",
    )


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
