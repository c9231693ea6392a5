"""The summary of a run, for people and for programs, and the metrics of Spark tasks in it."""

import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from pyspark.accumulators import AccumulatorParam
from undertone_client import CallCounts, Model, Policy

from undertone_batch.config import RunMode
from undertone_batch.diff import PRESENT_KINDS, DiffKind

FORMAT = 2


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """The metrics of finished tasks.

    A killed task adds nothing, and a speculative copy adds its work, too. The exact counts of
    paragraphs are those of the table.

    Attributes:
        tasks: The number of tasks.
        scored: Paragraphs with a score.
        seconds: Time in Python.
        waiting_seconds: The part of it during which the task only waited for the service.
        calls: The calls to the service.
        tokens: Tokens of the paragraphs with a score.
        flags: Paragraphs with a score and each flag.
    """

    tasks: int = 0
    scored: int = 0
    seconds: float = 0.0
    waiting_seconds: float = 0.0
    calls: CallCounts = field(default_factory=CallCounts)
    tokens: int = 0
    flags: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "TaskMetrics") -> "TaskMetrics":
        return TaskMetrics(
            tasks=self.tasks + other.tasks,
            scored=self.scored + other.scored,
            seconds=self.seconds + other.seconds,
            waiting_seconds=self.waiting_seconds + other.waiting_seconds,
            calls=self.calls + other.calls,
            tokens=self.tokens + other.tokens,
            flags=self.flags + other.flags,
        )

    def to_json(self) -> dict[str, float]:
        """The metrics as a JSON object, with rates instead of the calls."""
        seconds = self.seconds or 1.0
        return {
            "tasks": self.tasks,
            "scored": self.scored,
            "seconds": self.seconds,
            "waiting_share": self.waiting_seconds / seconds,
            "paragraphs_per_second": self.scored / seconds,
        }


ExecutorMetrics = dict[str, TaskMetrics]
"""Metrics by executor."""


class ExecutorMetricsParam(AccumulatorParam[ExecutorMetrics]):
    """Adds metrics in a Spark accumulator.

    `spark.sparkContext.accumulator({}, ExecutorMetricsParam())`
    """

    def zero(self, value: ExecutorMetrics) -> ExecutorMetrics:
        return {}

    def addInPlace(self, value1: ExecutorMetrics, value2: ExecutorMetrics) -> ExecutorMetrics:  # noqa: N802 - Spark's name
        for executor, metrics in value2.items():
            value1[executor] = value1.get(executor, TaskMetrics()) + metrics
        return value1


def executor_name() -> str:
    """The name of this process's executor: its pod, its YARN container, or its host."""
    return os.environ.get("SPARK_EXECUTOR_POD_NAME") or os.environ.get("CONTAINER_ID") or socket.gethostname()


@dataclass(frozen=True, slots=True)
class WaveResult:
    """A committed wave.

    Attributes:
        snapshot: The committed snapshot of the table; None if no row has changed.
        scored: Paragraphs with a new score.
        failed: Paragraphs without a score.
        seconds: The duration.
    """

    snapshot: int | None
    scored: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of a run.

    Attributes:
        run: The id of the run.
        kinds: The number of paragraphs by kind. Each row of an invalid paragraph counts.
        duplicates: Rows of the source that repeat a paragraph.
        waves: The committed waves.
        executors: The metrics of each executor.
        snapshot: The snapshot of the table after the run; None before the first one.
        rows: Rows of that snapshot, including rows that are marked as deleted.
        finished_at: None during the run.
        error: Why the run failed; None if it did not.
        skipped: Why the run had nothing to do, if it did not compare the source with the table.
    """

    run: str
    mode: RunMode
    table: str
    started_at: datetime
    finished_at: datetime | None = None
    model: Model | None = None
    policy: Policy | None = None
    kinds: Mapping[DiffKind, int] = field(default_factory=dict)
    duplicates: int = 0
    waves: tuple[WaveResult, ...] = ()
    executors: Mapping[str, TaskMetrics] = field(default_factory=dict)
    snapshot: int | None = None
    rows: int = 0
    error: str | None = None
    skipped: str | None = None

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
        """Paragraphs without a score, which are in the dead letters.

        Each row of an invalid one counts.
        """
        return sum(wave.failed for wave in self.waves)

    @property
    def failed_share(self) -> float:
        """The failed share of all paragraphs of the source that should have a score, from 0 to 1.

        Not of the paragraphs that this run had to score: on a quiet day, those that fail every day
        would be most of them.
        """
        expected = sum(self.kinds.get(kind, 0) for kind in (*PRESENT_KINDS, DiffKind.INVALID))
        return self.failed / expected if expected else 0.0

    @property
    def calls(self) -> CallCounts:
        """The calls of all executors (the paper's Table 4)."""
        return sum((metrics.calls for metrics in self.executors.values()), CallCounts())

    @property
    def flags(self) -> Counter[str]:
        """Scored paragraphs with each flag."""
        return sum((metrics.flags for metrics in self.executors.values()), Counter())

    def to_json(self) -> str:
        """JSON text."""
        seconds = (self.finished_at - self.started_at).total_seconds() if self.finished_at else None
        wave_seconds = sum(wave.seconds for wave in self.waves)
        document: dict[str, Any] = {
            "format": FORMAT,
            "run": self.run,
            "mode": self.mode,
            "outcome": self.outcome,
            "error": self.error,
            "skipped": self.skipped,
            "table": self.table,
            "snapshot": _text(self.snapshot),
            "rows": self.rows,
            "model": asdict(self.model) if self.model else None,
            "policy": self.policy,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
            "seconds": seconds,
            "paragraphs": {kind.value: self.kinds.get(kind, 0) for kind in DiffKind},
            "duplicates": self.duplicates,
            "scored": self.scored,
            "failed": self.failed,
            "flags": dict(self.flags),
            "failed_share": self.failed_share,
            "paragraphs_per_second": self.scored / wave_seconds if wave_seconds else None,
            "calls": self.calls.to_json(),
            "executors": {name: metrics.to_json() for name, metrics in sorted(self.executors.items())},
            "waves": [asdict(wave) | {"snapshot": _text(wave.snapshot)} for wave in self.waves],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """A few lines for the terminal; one line if the run failed before it started to score."""
        reason = self.error or self.skipped
        outcome = f"{self.mode} run {self.run} {self.outcome}{f': {reason}' if reason else ''}"
        if self.model is None:
            return outcome
        calls = self.calls
        attempts = ", ".join(f"{status} {count:,}" for status, count in sorted(calls.attempts.items())) or "none"
        paragraphs = ", ".join(f"{self.kinds[kind]:,} {kind}" for kind in DiffKind if self.kinds.get(kind)) or "none"
        flags = "".join(f"; flag {flag} {count:,}" for flag, count in sorted(self.flags.items()))
        lines = [
            outcome,
            f"  paragraphs     {paragraphs}; {self.duplicates:,} duplicates",
            f"  scored         {self.scored:,}{flags}; failed {self.failed:,} ({self.failed_share:.2%})",
            f"  call attempts  {attempts}",
            f"  failures       {calls.errors:,} attempts, {calls.recovered:,} recovered; {calls.retried:,} retries,"
            f" {calls.hedged:,} hedges, {calls.shed:,} shed by the breaker",
        ]
        for name, metrics in sorted(self.executors.items()):
            figures = metrics.to_json()
            lines.append(
                f"  executor {name}: {metrics.tasks:,} tasks, {figures['paragraphs_per_second']:,.1f} paragraphs/s per task,"
                f" {figures['waiting_share']:.0%} of the time waiting for the service"
            )
        lines.append(f"  table          {self.table}, snapshot {self.snapshot}, {self.rows:,} rows")
        return "\n".join(lines)


def _text(snapshot: int | None) -> str | None:
    """The id as text: JSON readers round integers beyond 2^53."""
    return None if snapshot is None else str(snapshot)
