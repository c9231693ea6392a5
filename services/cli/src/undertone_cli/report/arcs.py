"""The arc of a story: the smoothed course of each label, and the sentence about it."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from undertone_cli.formatting import percent
from undertone_cli.report.bins import Peak
from undertone_cli.report.palette import emotion_indices
from undertone_cli.report.stories import EDGES

BANDWIDTH_FACTOR = 0.2
MIN_BANDWIDTH = 0.7
REACH = 4.0
"""Groups farther than this from a point, in bandwidths, do not count if there are nearer ones."""


@dataclass(frozen=True, slots=True)
class Course:
    """The groups of one story.

    Attributes:
        first: place of the first paragraph.
        span: number of places.
        centers: the middle place of each group.
        counts: the number of paragraphs of each group.
        means: `means[label][group]` is a mean probability.
    """

    first: int
    span: int
    centers: Sequence[float]
    counts: Sequence[int]
    means: Sequence[Sequence[float]]

    def of(self, labels: Sequence[int]) -> Self:
        """The course of some labels, by index."""
        return replace(self, means=[self.means[label] for label in labels])


def default_bandwidth(span: int) -> float:
    """The default smoothing of a story: the standard deviation of the kernel, in paragraphs.

    It grows with the square root of the length: 1 for a story of 25 paragraphs, 2 for one of 100,
    11 for a novel of 3,000. The longer the story, the smaller is therefore the share of the story
    over which a point is averaged, so that the scenes of a novel stay visible.
    """
    return max(MIN_BANDWIDTH, BANDWIDTH_FACTOR * math.sqrt(span))


def smooth(course: Course, *, bandwidth: float, points: int) -> list[list[float]]:
    """Smoothed probabilities of each label in the middle of each of `points` equal parts.

    Nadaraya-Watson regression with a Gaussian kernel over the place. Each point is a weighted mean
    of paragraphs. Over all labels of a single-label model, its probabilities therefore sum to 1.
    The script of the page computes the same for other bandwidths.
    """
    rows: list[list[float]] = []
    for point in range(points):
        # A paragraph covers half a place on each side.
        x = course.first - 0.5 + course.span * (point + 0.5) / points
        low = bisect_left(course.centers, x - REACH * bandwidth)
        high = bisect_right(course.centers, x + REACH * bandwidth)
        if low == high:  # inside a wide gap
            low = min((i for i in (low - 1, low) if 0 <= i < len(course.centers)), key=lambda i: abs(course.centers[i] - x))
            high = low + 1
        distances = [((course.centers[i] - x) / bandwidth) ** 2 / 2 for i in range(low, high)]
        nearest = min(distances)
        weights = [course.counts[low + i] * math.exp(nearest - distance) for i, distance in enumerate(distances)]
        total = math.fsum(weights)
        rows.append([math.fsum(map(float.__mul__, weights, column[low:high])) / total for column in course.means])
    return [list(column) for column in zip(*rows, strict=True)]


def describe_story(course: Course, labels: Sequence[str], peak: Peak, place_name: Callable[[int], str]) -> str:
    """Sentences: the labels of the first and the last eighth, and the strongest paragraph.

    A story of fewer than eight places is described by its first and its last paragraph. Neutral
    counts only if it is the only label.

    Args:
        course: the groups of the story.
        labels: the labels of `course.means`.
        peak: the strongest paragraph.
        place_name: the name of a place, such as "paragraph 12".
    """
    strongest = f"{labels[peak.label]} {percent(peak.probability)} in {place_name(peak.place)}"
    if len(course.centers) == 1 and course.counts[0] == 1:
        return f"A single paragraph: {labels[peak.label]} {percent(peak.probability)}."
    eighths = course.span >= EDGES
    start = [i for i, center in enumerate(course.centers) if (center - course.first) * EDGES < course.span]
    end = [i for i, center in enumerate(course.centers) if (center - course.first) * EDGES >= course.span * (EDGES - 1)]
    if not eighths:
        start, end = [0], [len(course.centers) - 1]
    first, last = (_leader(course, labels, rows) for rows in (start, end))
    where = ("first eighth", "last eighth") if eighths else ("first paragraph", "last paragraph")
    if not start or not end:
        return f"The strongest paragraph: {strongest}."
    return f"{where[0].capitalize()}: {first}. {where[1].capitalize()}: {last}. Strongest paragraph: {strongest}."


def _leader(course: Course, labels: Sequence[str], rows: Sequence[int]) -> str:
    """The label with the highest mean over some groups, and this mean."""
    total = sum(course.counts[i] for i in rows)
    if not total:
        return "no score"
    means = {
        label: math.fsum(course.counts[i] * course.means[label][i] for i in rows) / total for label in emotion_indices(labels)
    }
    best = max(means, key=means.__getitem__)
    return f"{labels[best]} {percent(means[best])}{' on average' if total > 1 else ''}"
