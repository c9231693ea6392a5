"""Made-up rows of a table of scores and of its dead letters, and their Arrow tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import pyarrow as pa
from undertone_client.jobs.score_columns import DEAD_LETTER_COLUMNS, DELETED_AT_COLUMN, ID_COLUMN, score_columns

LABELS: Final = ("joy", "Calm sea", "day")
"""The second needs quotes in SQL. The third is also the name of a column of views."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A row of a table of scores. A probability is None if the model has no such label.

    `above_threshold` is None if the model is single-label.
    """

    id: str
    probabilities: tuple[float | None, ...]
    document: str | None = "story"
    position: int | None = 0
    text: str = "text"
    tokens: int = 10
    truncated: bool = False
    version: int = 1
    scored_at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    deleted: bool = False
    above_threshold: tuple[str, ...] | None = None
    flags: str | None = None

    @property
    def known(self) -> list[float]:
        return [value or 0.0 for value in self.probabilities]

    @property
    def label(self) -> str:
        return LABELS[self.known.index(max(self.known))]

    @property
    def labels(self) -> str:
        return ", ".join(sorted(self.own_labels)) or "(no label)"

    @property
    def label_count(self) -> int:
        return len(self.own_labels)

    @property
    def own_labels(self) -> tuple[str, ...]:
        return (self.label,) if self.above_threshold is None else self.above_threshold

    @property
    def model(self) -> str:
        return f"emotions {self.version} bf16 (truncate)"

    @property
    def flagged(self) -> bool:
        return bool(self.flags)

    @property
    def day(self) -> date:
        return self.scored_at.date()


@dataclass(frozen=True, slots=True)
class Failed:
    """A row of a table of dead letters."""

    id: str | None
    status: str = "INVALID_ARGUMENT"
    reason: str = "no text"
    attempts: int = 1
    failed_at: datetime | None = datetime(2026, 3, 1, 12, tzinfo=UTC)


def scores_table(rows: Sequence[Scored], *, multi_label: bool = False) -> pa.Table:
    """The Arrow table of the rows, with the column of multi-label models or without it."""
    assert multi_label or all(row.above_threshold is None for row in rows)
    fields = score_columns(LABELS, multi_label=multi_label, more=[DELETED_AT_COLUMN])
    deleted_at = datetime(2026, 4, 1, tzinfo=UTC)
    records = [
        {
            "id": row.id,
            "document": row.document,
            "position": row.position,
            "text_sha256": row.text,
            "labels_above_threshold": row.above_threshold,
            "label": row.label,
            **dict(zip(LABELS, row.probabilities, strict=True)),
            "tokens": row.tokens,
            "chunks": 1,
            "truncated": row.truncated,
            "flags": row.flags,
            "model_name": "emotions",
            "model_version": row.version,
            "precision": "bf16",
            "policy": "truncate",
            "scored_at": row.scored_at,
            "deleted_at": deleted_at if row.deleted else None,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(records, schema=pa.schema(fields))


def dead_letters_table(rows: Sequence[Failed]) -> pa.Table:
    """The Arrow table of the rows."""
    names = ("id", "status", "reason", "attempts", "failed_at")
    records = [{name: getattr(row, name) for name in names} for row in rows]
    return pa.Table.from_pylist(records, schema=pa.schema([ID_COLUMN, *DEAD_LETTER_COLUMNS]))
