"""Stories: the documents of a run, with the smoothed course ("arc") of each emotion."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from undertone_client.jobs.score_columns import LABELS_ABOVE_THRESHOLD_COLUMN

from undertone_cli.formatting import percent
from undertone_cli.report.palette import emotion_indices

MAX_BINS = 240
BANDWIDTH = 1 / 24
"""Standard deviation of the smoothing kernel, as a share of the story."""
OPENING = 1 / 8
"""The share of a story that counts as its opening, and as its close."""

_MAX_EXPONENT = 12.0  # a bin with a weight below exp(-12) of the nearest bin's changes no pixel


@dataclass(frozen=True, slots=True)
class Bin:
    """A group of consecutive paragraphs.

    Attributes:
        first: position of the first paragraph.
        last: position of the last paragraph.
        count: number of scored paragraphs.
        center: mean position.
        probabilities: mean probability of each label.
        leading: index of the leading label. With a single-label model, it is the one with the
            highest mean probability. With a multi-label model, it is the one that the most
            paragraphs have, and None if no paragraph has a label.
    """

    first: int
    last: int
    count: int
    center: float
    probabilities: tuple[float, ...]
    leading: int | None


@dataclass(frozen=True, slots=True)
class Arc:
    """Smoothed probabilities at equidistant points from the start to the end of a story.

    Each point is a weighted mean of paragraphs. Over all labels of a single-label model, its
    probabilities therefore sum to 1.

    Attributes:
        first: position of the first paragraph.
        last: position of the last paragraph.
        bandwidth: standard deviation of the kernel, in paragraphs.
        values: `values[label][point]` is a probability.
    """

    first: int
    last: int
    bandwidth: float
    values: tuple[tuple[float, ...], ...]

    @property
    def points(self) -> int:
        """Number of points."""
        return len(self.values[0])

    def position(self, point: int) -> int:
        """Position of the paragraph at a point."""
        return min(self.last, self.first + (self.last - self.first + 1) * point // (self.points - 1))


@dataclass(frozen=True, slots=True)
class Story:
    """One document. Means and bins are in the order of the labels passed to `read_stories`.

    Attributes:
        document: name of the document.
        paragraphs: number of scored paragraphs.
        means: mean probability of each label.
        bins: the paragraphs in groups.
        arc: the arc through the bins, of the shown labels.
    """

    document: str
    paragraphs: int
    means: tuple[float, ...]
    bins: tuple[Bin, ...]
    arc: Arc

    @property
    def title(self) -> str:
        """The document's name as a title."""
        return title_of(self.document)


def title_of(document: str) -> str:
    """`the-ninth-stair` as `The ninth stair`. Returns a name in another style unchanged."""
    if re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", document):
        words = re.sub("[-_]", " ", document)
        return words[0].upper() + words[1:]
    return document


def paragraph_number(position: int) -> int:
    """The number that the page shows, from 1; positions in the scores start at 0."""
    return position + 1


def read_stories(scores: pa.Table, labels: Sequence[str], shown: Sequence[int], *, limit: int) -> list[Story]:
    """The `limit` longest documents of sorted scores, in natural order (chapter 2 before 10).

    Args:
        scores: the scores, sorted by document and position.
        labels: all labels.
        shown: indexes of the labels that have an arc.
        limit: the maximum number of documents.
    """
    ranges = _document_ranges(scores)
    longest = sorted(ranges, key=lambda name: (-ranges[name][1], _natural_key(name)))[:limit]
    return [_story(name, scores.slice(*ranges[name]), labels, shown) for name in sorted(longest, key=_natural_key)]


def bin_paragraphs(
    positions: Sequence[int],
    columns: Sequence[Sequence[float]],
    assigned: Sequence[Sequence[int]] | None = None,
    *,
    limit: int = MAX_BINS,
) -> list[Bin]:
    """At most `limit` bins of equal width over ascending positions, without empty bins.

    A bin has one paragraph if there are at most `limit` of them. `columns[label][i]` and
    `assigned[i]` belong to `positions[i]`.

    Args:
        positions: the positions of the paragraphs.
        columns: the probabilities of each label.
        assigned: indexes of the labels that each paragraph has. None with a single-label model.
        limit: the maximum number of bins.
    """
    first, span = positions[0], positions[-1] - positions[0] + 1
    members: dict[int, list[int]] = {}
    for i, position in enumerate(positions):
        members.setdefault((position - first) * min(limit, span) // span, []).append(i)
    bins = []
    for rows in members.values():
        means = tuple(math.fsum(column[i] for i in rows) / len(rows) for column in columns)
        bins.append(
            Bin(
                first=positions[rows[0]],
                last=positions[rows[-1]],
                count=len(rows),
                center=sum(positions[i] for i in rows) / len(rows),
                probabilities=means,
                leading=_leading(means, None if assigned is None else [assigned[i] for i in rows]),
            )
        )
    return bins


def _leading(means: Sequence[float], assigned: Sequence[Sequence[int]] | None) -> int | None:
    """The leading label of a bin, see `Bin`."""
    if assigned is None:
        return max(range(len(means)), key=means.__getitem__)
    counts = Counter(label for labels in assigned for label in labels)
    return max(counts, key=lambda label: (counts[label], means[label], -label), default=None)


def smooth(bins: Sequence[Bin], *, points: int = 121) -> Arc:
    """The arc through bins: Nadaraya-Watson regression with a Gaussian kernel over the position."""
    first, last = bins[0].first, bins[-1].last
    bandwidth = max(1.0, (last - first + 1) * BANDWIDTH)
    start = first - 0.5  # a paragraph covers half a position on each side
    rows = [_estimate(bins, start + (last - first + 1) * point / (points - 1), bandwidth) for point in range(points)]
    return Arc(first, last, bandwidth, tuple(zip(*rows, strict=True)))


def describe_arc(arc: Arc, labels: Sequence[str]) -> str:
    """One sentence: the emotions of the opening and the close, and the highest peak.

    Neutral counts only if it is the only label.
    """
    candidates = emotion_indices(labels)
    edge = max(1, int(arc.points * OPENING))
    opening = max(candidates, key=lambda i: sum(arc.values[i][:edge]))
    closing = max(candidates, key=lambda i: sum(arc.values[i][-edge:]))
    peak = max(candidates, key=lambda i: max(arc.values[i]))
    height = max(arc.values[peak])
    if arc.first == arc.last:
        return f"A single paragraph, with {labels[peak]} at {percent(height)}."
    where = f"around paragraph {paragraph_number(arc.position(arc.values[peak].index(height))):,} ({percent(height)})"
    if opening == closing == peak:
        return f"Opens and closes in {labels[peak]}, strongest {where}."
    if opening == peak:
        return f"Opens in {labels[opening]}, strongest {where}, and closes in {labels[closing]}."
    if closing == peak:
        return f"Opens in {labels[opening]} and closes in {labels[closing]}, strongest {where}."
    return f"Opens in {labels[opening]}, peaks in {labels[peak]} {where}, and closes in {labels[closing]}."


def _estimate(bins: Sequence[Bin], x: float, bandwidth: float) -> tuple[float, ...]:
    exponents = [((each.center - x) / bandwidth) ** 2 / 2 for each in bins]
    nearest = min(exponents)  # subtracted, so that not all weights underflow inside a wide gap
    near = [
        (each.count * math.exp(nearest - exponent), each.probabilities)
        for each, exponent in zip(bins, exponents, strict=True)
        if exponent - nearest < _MAX_EXPONENT
    ]
    total = math.fsum(weight for weight, _ in near)
    labels = range(len(bins[0].probabilities))
    return tuple(math.fsum(weight * values[label] for weight, values in near) / total for label in labels)


def _document_ranges(scores: pa.Table) -> dict[str, tuple[int, int]]:
    """Offset and length of each document in a table that is sorted by document."""
    runs = pc.run_end_encode(scores["document"].combine_chunks())
    ends = runs.run_ends.to_pylist()
    starts = [0, *ends[:-1]]
    return {name: (start, end - start) for name, start, end in zip(runs.values.to_pylist(), starts, ends, strict=True)}


def _story(document: str, rows: pa.Table, labels: Sequence[str], shown: Sequence[int]) -> Story:
    columns = [rows[label].to_pylist() for label in labels]
    assigned = None
    if LABELS_ABOVE_THRESHOLD_COLUMN.name in rows.schema.names:
        index = {label: number for number, label in enumerate(labels)}
        assigned = [[index[label] for label in found] for found in rows[LABELS_ABOVE_THRESHOLD_COLUMN.name].to_pylist()]
    bins = bin_paragraphs(rows["position"].to_pylist(), columns, assigned)
    means = tuple(sum(column) / rows.num_rows for column in columns)
    drawn = [replace(each, probabilities=tuple(each.probabilities[i] for i in shown)) for each in bins]
    return Story(document, rows.num_rows, means, tuple(bins), smooth(drawn))


def _natural_key(name: str) -> list[tuple[int, str]]:
    return [(int(digits or -1), rest) for digits, rest in re.findall(r"(\d+)|(\D+)", name)]
