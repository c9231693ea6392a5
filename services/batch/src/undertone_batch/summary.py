"""The summary of a run, for people and for programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from undertone_client import CallCounts, Model, Policy

from undertone_batch.plan import SCORED, Kind, RunMode
from undertone_batch.task_metrics import TaskMetrics

FORMAT = 1


@dataclass(frozen=True, slots=True)
class WaveResult:
    """A wave that was committed: the version that it made, its paragraphs with and without a score, and its time."""

    version: int
    scored: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run found, did and left.

    kinds: paragraphs by what they were to the run, see `Kind`; of invalid ones each row of the source.
    duplicates: rows of the source that repeat a paragraph.
    waves: those that were committed.
    executors: what the executors did.
    version, rows: the table's version after the run, and its rows, those marked as deleted included.
    finished_at: None while the run goes on.
    error: why the run failed; None if it did not.
    """

    run: str
    mode: RunMode
    table: str
    started_at: datetime
    finished_at: datetime | None = None
    model: Model | None = None
    policy: Policy | None = None
    kinds: Mapping[Kind, int] = field(default_factory=dict)
    duplicates: int = 0
    waves: tuple[WaveResult, ...] = ()
    executors: Mapping[str, TaskMetrics] = field(default_factory=dict)
    version: int = 0
    rows: int = 0
    error: str | None = None

    @property
    def outcome(self) -> str:
        """`running`, `succeeded` or `failed`."""
        if self.finished_at is None:
            return "running"
        return "failed" if self.error else "succeeded"

    @property
    def scored(self) -> int:
        """Paragraphs with a new score in the table."""
        return sum(wave.scored for wave in self.waves)

    @property
    def failed(self) -> int:
        """Paragraphs that got no score; of invalid ones each row of the source. They are in the dead letters."""
        return sum(wave.failed for wave in self.waves)

    @property
    def failed_share(self) -> float:
        """Failed of all paragraphs of the source that should have a score, from 0 to 1.

        Not of what this run had to score: where that is little, paragraphs that fail each day anew would be most of it.
        """
        wanted = sum(self.kinds.get(kind, 0) for kind in (*SCORED, Kind.RESTORED, Kind.CURRENT, Kind.INVALID))
        return self.failed / wanted if wanted else 0.0

    @property
    def calls(self) -> CallCounts:
        """The calls of all executors: the paper's Table 4."""
        return sum((metrics.calls for metrics in self.executors.values()), CallCounts())

    def to_json(self) -> str:
        """JSON text."""
        seconds = (self.finished_at - self.started_at).total_seconds() if self.finished_at else None
        document: dict[str, Any] = {
            "format": FORMAT,
            "run": self.run,
            "mode": self.mode,
            "outcome": self.outcome,
            "error": self.error,
            "table": self.table,
            "version": self.version,
            "rows": self.rows,
            "model": asdict(self.model) if self.model else None,
            "policy": self.policy,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
            "seconds": seconds,
            "paragraphs": {kind.value: self.kinds.get(kind, 0) for kind in Kind},
            "duplicates": self.duplicates,
            "scored": self.scored,
            "failed": self.failed,
            "failed_share": self.failed_share,
            "paragraphs_per_second": self.scored / busy if (busy := sum(wave.seconds for wave in self.waves)) else None,
            "calls": self.calls.to_json(),
            "executors": {name: _executor(metrics) for name, metrics in sorted(self.executors.items())},
            "waves": [asdict(wave) for wave in self.waves],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """A few lines for the log."""
        calls = self.calls
        attempts = ", ".join(f"{status} {count:,}" for status, count in sorted(calls.attempts.items())) or "none"
        found = ", ".join(f"{self.kinds[kind]:,} {kind}" for kind in Kind if self.kinds.get(kind))
        lines = [
            f"{self.mode} run {self.run} {self.outcome}{f': {self.error}' if self.error else ''}",
            f"  paragraphs     {found or 'none'}; {self.duplicates:,} duplicates",
            f"  scored         {self.scored:,}, failed {self.failed:,} ({self.failed_share:.2%})",
            f"  call attempts  {attempts}",
            f"  of these       {calls.errors:,} errors, {calls.recovered:,} handled; {calls.retried:,} retries,"
            f" {calls.hedged:,} hedges; {calls.shed:,} shed by the breaker",
        ]
        for name, metrics in sorted(self.executors.items()):
            figures = _executor(metrics)
            lines.append(
                f"  executor {name}: {metrics.tasks:,} tasks, {figures['paragraphs_per_second']:,.1f} paragraphs/s a task,"
                f" {figures['waiting_share']:.0%} of the time waiting for the service"
            )
        lines.append(f"  table          version {self.version} of {self.table}, {self.rows:,} rows")
        return "\n".join(lines)


def _executor(metrics: TaskMetrics) -> dict[str, float]:
    seconds = metrics.seconds or 1.0
    return {
        "tasks": metrics.tasks,
        "scored": metrics.scored,
        "seconds": metrics.seconds,
        "waiting_share": metrics.waiting_seconds / seconds,
        "paragraphs_per_second": metrics.scored / seconds,
    }
