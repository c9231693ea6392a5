"""Probabilities along a story: binned where there are many paragraphs, smoothed where there are few."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_BINS = 240
SPREAD = 1 / 24
"""Standard deviation of the smoothing kernel, as a share of the story."""

_NEGLIGIBLE = 12.0  # exp(-12) of the nearest bin's weight: below what a pixel can show


@dataclass(frozen=True, slots=True)
class Bin:
    """Neighbouring paragraphs taken together: positions `first` to `last`, their mean distribution, how many they are."""

    first: int
    last: int
    count: int
    centre: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Arc:
    """Smoothed probabilities at equally spaced points from the start of a story's first paragraph to the end of its last.

    `values[label][point]` is a probability; `spread` is the kernel's standard deviation in paragraphs. Each point is a
    weighted mean of paragraphs, so it is a distribution wherever theirs are.
    """

    first: int
    last: int
    spread: float
    values: tuple[tuple[float, ...], ...]

    @property
    def points(self) -> int:
        return len(self.values[0])

    def position(self, point: int) -> int:
        """The position of the paragraph that a point falls into."""
        return min(self.last, self.first + (self.last - self.first + 1) * point // (self.points - 1))


def bin_paragraphs(positions: Sequence[int], columns: Sequence[Sequence[float]], *, limit: int = MAX_BINS) -> list[Bin]:
    """At most `limit` bins of equal width over ascending positions; one paragraph each as long as they fit.

    `columns[label][i]` belongs to `positions[i]`. Bins in which no paragraph was scored are left out.
    """
    first, span = positions[0], positions[-1] - positions[0] + 1
    members: dict[int, list[int]] = {}
    for i, position in enumerate(positions):
        members.setdefault((position - first) * min(limit, span) // span, []).append(i)
    return [
        Bin(
            first=positions[rows[0]],
            last=positions[rows[-1]],
            count=len(rows),
            centre=sum(positions[i] for i in rows) / len(rows),
            probabilities=tuple(math.fsum(column[i] for i in rows) / len(rows) for column in columns),
        )
        for rows in members.values()
    ]


def smooth(bins: Sequence[Bin], *, points: int = 121) -> Arc:
    """The arc through bins: a Gaussian kernel over position (Nadaraya-Watson), which steps over missing paragraphs."""
    first, last = bins[0].first, bins[-1].last
    spread = max(1.0, (last - first + 1) * SPREAD)
    edge = first - 0.5  # a paragraph covers half a position to either side
    rows = [_estimate(bins, edge + (last - first + 1) * point / (points - 1), spread) for point in range(points)]
    return Arc(first, last, spread, tuple(zip(*rows, strict=True)))


def _estimate(bins: Sequence[Bin], x: float, spread: float) -> tuple[float, ...]:
    squares = [((bin_.centre - x) / spread) ** 2 / 2 for bin_ in bins]
    nearest = min(squares)  # subtracted, so that the weights cannot all underflow inside a wide gap
    near = [
        (bin_.count * math.exp(nearest - square), bin_.probabilities)
        for bin_, square in zip(bins, squares, strict=True)
        if square - nearest < _NEGLIGIBLE
    ]
    total = math.fsum(weight for weight, _ in near)
    labels = range(len(bins[0].probabilities))
    return tuple(math.fsum(weight * values[label] for weight, values in near) / total for label in labels)
