"""The division of a run into waves, which end with a commit, and of a wave into tasks."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_TASK_ROWS = 5000
"""Maximum rows of a task: enough for calls of similar lengths, and few to lose with an executor."""

MIN_TASK_ROWS = 256
"""Minimum rows of a task. The overhead of smaller tasks exceeds their benefit."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Buckets that are scored and committed together.

    Attributes:
        buckets: Numbers of the buckets.
        paragraphs: Number of paragraphs to score.
    """

    buckets: tuple[int, ...]
    paragraphs: int

    def task_count(self, slots: int) -> int:
        """The number of tasks for `slots` slots. A multiple of `slots` if possible."""
        min_tasks = math.ceil(self.paragraphs / MAX_TASK_ROWS)
        max_tasks = max(1, self.paragraphs // MIN_TASK_ROWS)
        return min(max(math.ceil(min_tasks / slots), 1) * slots, max_tasks)


def divide(to_score: Mapping[int, int], wave_rows: int) -> Iterator[Wave]:
    """Divides buckets into waves of about `wave_rows` paragraphs. A bucket is never divided.

    Args:
        to_score: The number of paragraphs to score, by bucket. It may be 0: a bucket can have other
            changes.
        wave_rows: The maximum number of paragraphs of a wave of several buckets.
    """
    buckets: list[int] = []
    total = 0
    for bucket, paragraphs in sorted(to_score.items()):
        if buckets and total + paragraphs > wave_rows:
            yield Wave(tuple(buckets), total)
            buckets, total = [], 0
        buckets.append(bucket)
        total += paragraphs
    if buckets:
        yield Wave(tuple(buckets), total)
