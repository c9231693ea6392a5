"""Paragraphs without a score, by the status they failed with."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undertone_client.report.errors import ReportError

SAMPLES = 5


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """All failures of one gRPC status: how many, the most frequent reason, and the ids of the first few."""

    status: str
    count: int
    reason: str
    ids: tuple[str, ...]


def read_failures(folder: Path) -> list[FailureGroup]:
    """Groups of `folder/failures.jsonl`, most frequent first; none when there is no such file.

    Raises:
        ReportError: a line is not a failure record.
    """
    path = folder / "failures.jsonl"
    counts: Counter[str] = Counter()
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ids: defaultdict[str, list[str]] = defaultdict(list)
    try:
        lines = path.open(encoding="utf-8")
    except FileNotFoundError:
        return []
    with lines:
        for number, line in enumerate(lines, start=1):
            record = _parse(path, number, line)
            status = str(record["status"])
            counts[status] += 1
            reasons[status][str(record["reason"])] += 1
            if len(ids[status]) < SAMPLES:
                ids[status].append(str(record["id"]))
    return [
        FailureGroup(status, count, reasons[status].most_common(1)[0][0], tuple(ids[status]))
        for status, count in counts.most_common()
    ]


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)
        if {"status", "reason", "id"} <= record.keys():
            return record
    except (ValueError, AttributeError):
        pass
    raise ReportError(f"{path}, line {number}: not a failure record; run the same `undertone score` again to have it rewritten")
