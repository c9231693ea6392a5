"""A run in pieces: which buckets are scored and committed together, and in how many tasks."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TASK_ROWS = 5000
"""Paragraphs of a task at most: enough to find those of like length, few enough to be lost with an executor."""
LEAST_TASK_ROWS = 256
"""Below this, a task costs more than it brings."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Buckets that are scored and committed together, and how many of their paragraphs are to be scored."""

    buckets: tuple[int, ...]
    paragraphs: int

    def tasks(self, slots: int) -> int:
        """How many tasks share the paragraphs where so many can run at once: each slot is used equally often, if it can be."""
        least = math.ceil(self.paragraphs / TASK_ROWS)
        most = max(1, self.paragraphs // LEAST_TASK_ROWS)
        return min(max(math.ceil(least / slots), 1) * slots, most)


def waves(to_score: Mapping[int, int], rows: int) -> Iterator[Wave]:
    """The buckets in order, cut into waves of about `rows` paragraphs; a bucket is never divided.

    Args:
        to_score: paragraphs to be scored by bucket; buckets without any (0) may have other changes, and take part.
        rows: paragraphs of a wave at most, unless a single bucket has more.
    """
    buckets: list[int] = []
    total = 0
    for bucket, paragraphs in sorted(to_score.items()):
        if buckets and total + paragraphs > rows:
            yield Wave(tuple(buckets), total)
            buckets, total = [], 0
        buckets.append(bucket)
        total += paragraphs
    if buckets:
        yield Wave(tuple(buckets), total)
