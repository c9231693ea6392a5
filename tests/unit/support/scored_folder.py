"""Run folders with made-up scores."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from undertone_cli.readers import Fingerprint, InputParagraph, ReadOptions, RowTypes
from undertone_cli.run_folder import Manifest, RunFolder, RunIdentity, Sample, ScoreTable, Shard, TextScore
from undertone_cli.run_folder.table import ScoreRow
from undertone_client import CallCounts
from undertone_client.values import Model, Policy, ProblemType

NOON = datetime(2025, 3, 5, 12, 0, tzinfo=UTC)
Point = Callable[..., list[float]]
LABELS = ("joy", "sadness", "anger", "fear", "anticipation", "surprise", "love", "disgust", "neutral")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class ScoredFolder:
    """Collects rows and failures; `write` writes the folder. Thresholds make it multi-label."""

    path: Path
    labels: Sequence[str] = LABELS
    thresholds: Sequence[float] = ()
    model: Model = field(default_factory=lambda: Model("emotions", 1, "fp32"))
    sources: tuple[Fingerprint, ...] = ()
    options: ReadOptions = field(default_factory=ReadOptions)
    types: RowTypes = field(default_factory=RowTypes)
    rows: list[ScoreRow] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)
    complete: bool = True
    throughput: tuple[Sample, ...] = ()
    calls: CallCounts = field(default_factory=CallCounts)

    def add(
        self,
        document: str,
        probabilities: Sequence[float],
        *,
        position: int | None = None,
        text: str = "",
        ident: str = "",
        kept: tuple[object, ...] = (),
        flags: str | None = "",
    ) -> None:
        """Add a paragraph, by default at the next position of its document."""
        if position is None:
            position = sum(row.paragraph.document == document for row in self.rows)
        label = self.labels[max(range(len(self.labels)), key=probabilities.__getitem__)]
        ident = ident or f"{document}/{position:04d}"
        paragraph = InputParagraph(len(self.rows), ident, document, position, "", None, sha256(text or ident), kept=kept)
        limits = zip(self.labels, probabilities, self.thresholds, strict=True) if self.thresholds else ()
        above = tuple(name for name, probability, threshold in limits if probability >= threshold)
        score = TextScore(label, tuple(probabilities), 10 + position, 1, False, above, flags)
        self.rows.append(ScoreRow(paragraph, score, NOON))

    def fail(self, ident: str, status: str, reason: str) -> None:
        record = {"document": "d", "position": 0, "text_sha256": "", "attempts": 5}
        self.failures.append({"id": ident, "status": status, "reason": reason, **record})

    def write(self, *, part: int = 0) -> Path:
        identity = RunIdentity(
            self.sources,
            self.options,
            50_000,
            self.model,
            tuple(self.labels),
            Policy.CHUNK_MEAN,
            self.types,
            problem_type=ProblemType.MULTI_LABEL if self.thresholds else ProblemType.SINGLE_LABEL,
            thresholds=tuple(self.thresholds),
        )
        folder = RunFolder(self.path)
        folder.path.mkdir(parents=True, exist_ok=True)
        if self.rows:
            table = ScoreTable(identity)
            table.write(table.build(self.rows), folder.part(part))
        if self.failures:
            folder.failures.write_text("".join(json.dumps(record) + "\n" for record in self.failures), encoding="utf-8")
        failed, tokens = len(self.failures), sum(row.score.tokens for row in self.rows)
        shard = Shard(part, len(self.rows) + failed, len(self.rows), failed, tokens, self.complete)
        manifest = Manifest(identity, NOON, shards=(shard,), seconds=2.0, throughput=self.throughput, calls=self.calls)
        folder.write_manifest(replace(manifest, complete=self.complete, finished_at=NOON if self.complete else None))
        return self.path
