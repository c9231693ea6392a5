"""Rows of the scores' table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import score_columns

from undertone_cli.job.answers import Answer
from undertone_cli.job.manifest import Identity
from undertone_cli.sources import Item


@dataclass(frozen=True, slots=True)
class Row:
    """One paragraph's row, without what all rows have in common."""

    id: str
    document: str
    position: int
    text_sha256: str
    label: str
    probabilities: tuple[float, ...]
    tokens: int
    chunks: int
    truncated: bool
    scored_at: datetime

    @classmethod
    def of(cls, item: Item, answer: Answer, scored_at: datetime) -> "Row":
        """The row of a paragraph; the text stays behind."""
        return cls(
            item.id,
            item.document,
            item.position,
            item.text_sha256,
            answer.label,
            answer.probabilities,
            answer.tokens,
            answer.chunks,
            answer.truncated,
            scored_at,
        )


class ScoresTable:
    """The columns of a run's table, and the way from rows to Parquet and back.

    Raises:
        OutputError: an emotion of the model is named as one of the other columns.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self.schema = pa.schema([field.with_nullable(nullable=False) for field in score_columns(identity.labels)])

    def of(self, rows: Sequence[Row]) -> Any:
        """The table of the rows."""
        model = self._identity.model
        columns: dict[str, Any] = {
            name: [getattr(row, name) for row in rows]
            for name in ("id", "document", "position", "text_sha256", "label", "tokens", "chunks", "truncated", "scored_at")
        }
        for index, label in enumerate(self._identity.labels):
            columns[label] = [row.probabilities[index] for row in rows]
        for name, value in (
            ("model_name", model.name),
            ("model_version", model.version),
            ("precision", model.precision),
            ("policy", self._identity.policy.value),
        ):
            columns[name] = [value] * len(rows)
        return pa.table(columns, schema=self.schema)

    def answers(self, table: Any) -> Iterator[Answer]:
        """What a table's rows say of their texts, row by row."""
        labels, tokens, chunks, truncated = (table[name].to_pylist() for name in ("label", "tokens", "chunks", "truncated"))
        probabilities = zip(*(table[label].to_pylist() for label in self._identity.labels), strict=True)
        return map(Answer, labels, probabilities, tokens, chunks, truncated)

    def read(self, path: Path) -> Any:
        """The table in a part.

        Raises:
            OutputError: it is damaged, or has other columns.
        """
        with _damage(path):
            table = pq.read_table(path, partitioning=None)
        if not table.schema.equals(self.schema):
            differing = ", ".join(dict.fromkeys(field.name for field in set(table.schema) ^ set(self.schema))) or "their order"
            raise OutputError(f"{path} has other columns than run.json promises ({differing}); start anew with --overwrite")
        return table

    @staticmethod
    def rows(path: Path) -> int:
        """How many rows a part has.

        Raises:
            OutputError: it is damaged.
        """
        with _damage(path):
            return int(pq.read_metadata(path).num_rows)

    @staticmethod
    def write(table: Any, path: Path) -> None:
        """Write a part."""
        # A path would stay open for as long as somebody holds the error of a full disk, and keep its room.
        with pa.OSFile(str(path), "wb") as sink:
            pq.write_table(table, sink, compression="zstd")


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).rstrip(".")
        raise OutputError(f"{path} is damaged ({reason}); delete it and run the same `undertone score` again") from None
