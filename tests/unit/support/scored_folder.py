"""Scored folders as the client's own writer leaves them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from undertone_cli.job.folder import OutputFolder
from undertone_cli.job.manifest import Identity, Manifest
from undertone_cli.job.shard import Shard
from undertone_cli.job.survey import Fingerprint
from undertone_cli.job.table import Row, ScoresTable
from undertone_cli.job.throughput import Sample
from undertone_cli.sources import SourceOptions
from undertone_client import CallCounts
from undertone_client.values import Model, Policy

NOON = datetime(2025, 3, 5, 12, 0, tzinfo=UTC)
Point = Callable[..., list[float]]
LABELS = ("joy", "sadness", "anger", "fear", "anticipation", "surprise", "love", "disgust", "neutral")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class ScoredFolder:
    """Builds a folder row by row; `write` puts it on the disk."""

    path: Path
    labels: Sequence[str] = LABELS
    model: Model = field(default_factory=lambda: Model("emotions", 1, "fp32"))
    sources: tuple[Fingerprint, ...] = ()
    options: SourceOptions = field(default_factory=SourceOptions)
    rows: list[Row] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)
    complete: bool = True
    throughput: tuple[Sample, ...] = ()
    calls: CallCounts = field(default_factory=CallCounts)

    def add(
        self, document: str, probabilities: Sequence[float], *, position: int | None = None, text: str = "", ident: str = ""
    ) -> None:
        """Add a paragraph; its label is the most probable one, its position the next in its document."""
        if position is None:
            position = sum(row.document == document for row in self.rows)
        label = self.labels[max(range(len(self.labels)), key=probabilities.__getitem__)]
        ident = ident or f"{document}/{position:04d}"
        digest = sha256(text or ident)
        self.rows.append(
            Row(
                ident,
                document,
                position,
                digest,
                label,
                tuple(probabilities),
                10 + position,
                1,
                truncated=False,
                scored_at=NOON,
            )
        )

    def fail(self, ident: str, status: str, reason: str) -> None:
        record = {"document": "d", "position": 0, "text_sha256": "", "attempts": 5}
        self.failures.append({"id": ident, "status": status, "reason": reason, **record})

    def write(self, *, part: int = 0) -> Path:
        identity = Identity(self.sources, self.options, 50_000, self.model, tuple(self.labels), Policy.CHUNK_MEAN)
        folder = OutputFolder(self.path)
        folder.scores.mkdir(parents=True, exist_ok=True)
        if self.rows:
            table = ScoresTable(identity)
            table.write(table.of(self.rows), folder.part(part))
        if self.failures:
            folder.failures.write_text("".join(json.dumps(record) + "\n" for record in self.failures), encoding="utf-8")
        failed, tokens = len(self.failures), sum(row.tokens for row in self.rows)
        shard = Shard(part, len(self.rows) + failed, len(self.rows), failed, tokens, self.complete)
        manifest = Manifest(identity, NOON, shards=(shard,), seconds=2.0, throughput=self.throughput, calls=self.calls)
        folder.write_manifest(replace(manifest, complete=self.complete, finished_at=NOON if self.complete else None))
        return self.path
