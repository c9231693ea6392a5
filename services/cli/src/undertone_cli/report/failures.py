"""Paragraphs without a score, by the status they failed with."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from undertone_cli.job.failures import FailureRow

SAMPLES = 5


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """All failures of one gRPC status: how many, the most frequent reason, and the ids of the first few."""

    status: str
    count: int
    reason: str
    ids: tuple[str, ...]


def group_failures(failures: Iterable[FailureRow]) -> list[FailureGroup]:
    """A group for each status, the most frequent first."""
    counts: Counter[str] = Counter()
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for failure in failures:
        counts[failure.status] += 1
        reasons[failure.status][failure.reason] += 1
        if len(ids[failure.status]) < SAMPLES:
            ids[failure.status].append(failure.id)
    return [
        FailureGroup(status, count, reasons[status].most_common(1)[0][0], tuple(ids[status]))
        for status, count in counts.most_common()
    ]
