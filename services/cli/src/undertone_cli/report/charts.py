"""Geometry of the page's charts, as SVG path data.

All charts stretch to any width: x runs from 0 to `WIDTH`, y is in tenths of a CSS pixel. Paths have
integer coordinates and relative steps, because a page contains hundreds of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from undertone_cli.formatting import percent
from undertone_cli.report.arcs import Arc, Bin, Story, paragraph_number

WIDTH = 1200
PITCH = 360
"""Distance between the base lines of two ridges."""
HEADROOM = 260
"""Height that a ridge may rise above its row, into the row above."""
THUMBNAIL_HEIGHT = 1000

_MIN_SCALED_PEAK = 0.5  # lower peaks are not scaled up to the full height: weak emotions should look weak
_THRESHOLD_HEIGHT = 0.8 * PITCH  # below the base line of the row above
_MAX_SEPARATE_CELLS = 64  # with more paragraphs, the strip is a continuous band


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
