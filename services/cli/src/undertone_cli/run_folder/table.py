"""Rows of the scores table, and the Parquet files that contain them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import (
    DELETED_AT_COLUMN,
    FLAGS_COLUMN,
    LABELS_ABOVE_THRESHOLD_COLUMN,
    score_columns,
)
from undertone_client.values import Score

from undertone_cli.readers import InputParagraph, arrow_type
from undertone_cli.run_folder.manifest import RunIdentity


@dataclass(frozen=True, slots=True)
class TextScore:
    """Score of a text, shared by all paragraphs with this text. Fields are as in `Score`."""

    label: str
    probabilities: tuple[float, ...]
    tokens: int
    chunks: int
    truncated: bool
    labels_above_threshold: tuple[str, ...] = ()
    flags: str | None = None
    """As in FLAGS_COLUMN."""

    @classmethod
    def of(cls, score: Score) -> Self:
        """The part of a score that depends only on the text."""
        above, flags = score.labels_above_threshold, score.flags_text
        return cls(score.label, score.probabilities, score.tokens, score.chunks, score.truncated, above, flags)


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """Row of a paragraph in the scores table; `RunIdentity` has the values that all rows share."""

    paragraph: InputParagraph
    score: TextScore
    scored_at: datetime


class ScoreTable:
    """Columns of a run's table, and the conversion between rows and Parquet.

    Raises:
        OutputError: a label of the model or a kept column has the name of another column.
    """

    def __init__(self, identity: RunIdentity) -> None:
        self._identity = identity
        keep, types = identity.options.keep, identity.types
        kept = [pa.field(name, arrow_type(kind)) for name, kind in zip(keep, types.kept, strict=True)]
        # The folder has no `deleted_at`, but the table to which it is published has this column.
        columns = score_columns(
            identity.labels,
            multi_label=identity.multi_label,
            id_type=arrow_type(types.id),
            more=[DELETED_AT_COLUMN],
            kept=kept,
        )
        own = [field for field in columns[: len(columns) - len(kept)] if field.name != DELETED_AT_COLUMN.name]
        nullable = {FLAGS_COLUMN.name}
        self.schema = pa.schema([*(field.with_nullable(field.name in nullable) for field in own), *kept])

    def build(self, rows: Sequence[ScoreRow]) -> Any:
        """The Arrow table of the rows."""
        columns: dict[str, Any] = {
            name: [getattr(row.paragraph, name) for row in rows] for name in ("id", "document", "position", "text_sha256")
        }
        for name in ("label", "tokens", "chunks", "truncated", "flags"):
            columns[name] = [getattr(row.score, name) for row in rows]
        if self._identity.multi_label:
            columns[LABELS_ABOVE_THRESHOLD_COLUMN.name] = [row.score.labels_above_threshold for row in rows]
        for index, label in enumerate(self._identity.labels):
            columns[label] = [row.score.probabilities[index] for row in rows]
        for index, name in enumerate(self._identity.options.keep):
            columns[name] = [row.paragraph.kept[index] for row in rows]
        columns["scored_at"] = [row.scored_at for row in rows]
        model = self._identity.model
        shared = {
            "model_name": model.name,
            "model_version": model.version,
            "precision": model.precision,
            "policy": self._identity.policy.value,
        }
        columns |= {name: [value] * len(rows) for name, value in shared.items()}
        return pa.table(columns, schema=self.schema)

    def scores(self, table: Any) -> Iterator[TextScore]:
        """The score in each row of a table."""
        names = ("label", "tokens", "chunks", "truncated", "flags")
        labels, tokens, chunks, truncated, flags = (table[name].to_pylist() for name in names)
        probabilities = zip(*(table[label].to_pylist() for label in self._identity.labels), strict=True)
        above: Iterable[tuple[str, ...]] = repeat(())
        if self._identity.multi_label:
            above = map(tuple, table[LABELS_ABOVE_THRESHOLD_COLUMN.name].to_pylist())
        return map(TextScore, labels, probabilities, tokens, chunks, truncated, above, flags)

    def read(self, path: Path) -> Any:
        """The Arrow table of a part. Parts of earlier releases get a column of null flags.

        Raises:
            OutputError: the part is damaged or has other columns.
        """
        with _damage_errors(path):
            table = pq.read_table(path, partitioning=None)
        if FLAGS_COLUMN.name not in table.column_names:
            column = pa.nulls(len(table), FLAGS_COLUMN.type)
            table = table.add_column(self.schema.get_field_index(FLAGS_COLUMN.name), FLAGS_COLUMN, column)
        if not table.schema.equals(self.schema):
            different = ", ".join(dict.fromkeys(field.name for field in set(table.schema) ^ set(self.schema))) or "their order"
            raise OutputError(
                f"the columns of {path} differ from _run.json ({different}); discard the run with `undertone score --overwrite`"
            )
        return table

    @staticmethod
    def write(table: Any, path: Path) -> None:
        """Write a part."""
        # Given a path, Arrow keeps the file open, and its disk space used, while an error exists.
        with pa.OSFile(str(path), "wb") as sink:
            pq.write_table(table, sink, compression="zstd")


@contextmanager
def _damage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).rstrip(".")
        raise OutputError(f"{path} is damaged ({reason}); delete it and run the same `undertone score` again") from None
