"""The table of scores as the job sees it. `IcebergTable` and `ParquetTable` implement it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_type
from pyspark.sql.types import DataType, LongType, StringType, StructField, StructType
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import (
    DELETED_AT_COLUMN,
    FLAGS_COLUMN,
    INPUT_COLUMNS,
    LABEL_COLUMN,
    LABELS_ABOVE_THRESHOLD_COLUMN,
    score_columns,
)
from undertone_client.jobs.table_properties import FORMAT, FORMAT_PROPERTY


def table_schema(
    labels: Sequence[str], id_type: DataType, kept: Sequence[StructField] = (), *, multi_label: bool = False
) -> StructType:
    """The columns of a table of scores.

    Args:
        labels: The emotions.
        id_type: The type of the ids.
        kept: Columns of the source that the run copies to the table.
        multi_label: Whether the table has scores of a multi-label model.

    Raises:
        OutputError: two columns have the same name.
    """
    names = [pa.field(column.name, pa.null()) for column in kept]
    columns = score_columns(
        labels, multi_label=multi_label, id_type=to_arrow_type(id_type), more=[DELETED_AT_COLUMN], kept=names
    )
    own = columns[: len(columns) - len(kept)]
    return StructType([*from_arrow_schema(pa.schema(own)).fields, *kept])


def labels_of(schema: StructType) -> list[str]:
    """The emotions of a table: the columns between `label` and `tokens`."""
    return schema.names[schema.names.index(LABEL_COLUMN.name) + 1 : schema.names.index(INPUT_COLUMNS[0].name)]


def is_multi_label(schema: StructType) -> bool:
    """Whether a table has scores of a multi-label model."""
    return LABELS_ABOVE_THRESHOLD_COLUMN.name in schema.names


def extended(schema: StructType, labels: Sequence[str], kept: Sequence[StructField], *, multi_label: bool) -> StructType:
    """The columns of an existing table and those that a run needs.

    Args:
        schema: The columns of the table.
        labels: The emotions of the run's model.
        kept: Columns of the source that the run copies to the table.
        multi_label: Whether the run's model is multi-label.

    Raises:
        OutputError: two columns have the same name, or a column has another type in the table.
    """
    return table_schema(
        list(dict.fromkeys((*labels_of(schema), *labels))),
        schema["id"].dataType,
        merge_kept(kept_of(schema), kept),
        multi_label=multi_label or is_multi_label(schema),
    )


def kept_of(schema: StructType) -> list[StructField]:
    """The columns of a table that are from the source: those after `deleted_at`."""
    return schema.fields[schema.names.index(DELETED_AT_COLUMN.name) + 1 :]


def merge_kept(table: Sequence[StructField], source: Sequence[StructField]) -> list[StructField]:
    """The kept columns of the table, and those that only the source has.

    Raises:
        OutputError: a column has another type in the table.
    """
    types = {column.name: column.dataType for column in table}
    for column in source:
        if types.get(column.name, column.dataType) != column.dataType:
            raise OutputError(
                f"the column {column.name!r} has type {column.dataType.simpleString()}, but in the table it has type"
                f" {types[column.name].simpleString()}: convert it, or remove --keep {column.name}"
            )
    return [*table, *(column for column in source if column.name not in types)]


def check_schema(schema: StructType, table: str) -> None:
    """Checks that a table has the columns of a table of scores.

    Raises:
        OutputError: a column is missing or has another type.
    """
    types = {column.name: column.dataType for column in schema.fields}
    if types.get("id") in (LongType(), StringType()):
        wanted = table_schema([], types["id"], multi_label=is_multi_label(schema))
        wrong = [column.name for column in wanted.fields if not _fits(column, types.get(column.name))]
    else:
        wrong = ["id"]
    if wrong:
        raise OutputError(
            f"{table} is not a table of scores of this release: its columns {', '.join(wrong)} are missing or have other"
            " types. Set --table to another name"
        )


def _fits(column: StructField, found: DataType | None) -> bool:
    """Whether a column of a table has the right type. A run adds a missing column of flags."""
    return found == column.dataType or (found is None and column.name == FLAGS_COLUMN.name)


def check_format(properties: Mapping[str, str], table: str) -> None:
    """Checks that this release can read a table with these properties.

    Raises:
        OutputError: another release has written it.
    """
    layout = properties.get(FORMAT_PROPERTY, FORMAT)
    if layout != FORMAT:
        raise OutputError(f"{table} has layout {layout}, but this release reads {FORMAT}: use the release that wrote it")


@dataclass(frozen=True, slots=True)
class TableState:
    """A snapshot of the table.

    Attributes:
        schema: The columns.
        snapshot: The id of the snapshot; None before the first commit.
        backfill_began_at: The start of an unfinished backfill; None without one.
    """

    schema: StructType
    snapshot: int | None = None
    backfill_began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """The changes of a wave.

    Attributes:
        changes: The staged changes, as in `merge.to_changes`.
        buckets: The buckets of the wave.
        at: The time of the changes.
        rows: The number of rows that the table must have afterwards.
        properties: Properties of the snapshot.
        kept: The names of the source's columns that the run copies to the table.
    """

    changes: DataFrame
    buckets: Sequence[int]
    at: datetime
    rows: int
    properties: Mapping[str, str] = field(default_factory=dict)
    kept: Sequence[str] = ()


class ScoreTable(Protocol):
    """A table of scores that a run changes, and its dead letters."""

    name: str
    """For messages and for the summary."""
    dead_letters_name: str
    """For messages."""

    def open(self) -> TableState | None:
        """The current state; None if the table does not exist. Raises OutputError."""

    def create(self, schema: StructType) -> TableState:
        """Creates the table without rows. Raises OutputError."""

    def add_columns(self, state: TableState, schema: StructType) -> TableState:
        """Adds the columns that the table lacks. Raises OutputError."""

    def rows(self, state: TableState, buckets: Sequence[int] | None = None) -> DataFrame:
        """The rows of some buckets, by default of all, in a snapshot.

        Includes rows that are marked as deleted.
        """

    def bucket(self, column: str) -> Column:
        """The bucket of the ids of a column, from 0. Waves consist of buckets."""

    def stage(self, rows: DataFrame) -> AbstractContextManager[DataFrame]:
        """Writes rows and reads them back, so that Spark computes them only once."""

    def write_dead_letters(self, letters: DataFrame, count: int, run_id: str, buckets: Sequence[int]) -> None:
        """Replaces the dead letters that the run has for some buckets by `letters`.

        `count` is 0 if and only if there are none. Raises OutputError.
        """

    def commit(self, state: TableState, commit: Commit) -> TableState:
        """Applies changes to a snapshot, which must be the current one.

        Raises:
            OutputError: another run has committed since, or the result has lost or duplicated
                rows. The table is unchanged.
        """

    def finish(self, state: TableState) -> TableState:
        """Ends a run whose waves are all committed. Raises OutputError."""

    def close(self) -> None:
        """Releases what the run holds, also after an error."""

    def begin_backfill(self, state: TableState, began_at: datetime) -> TableState:
        """Notes the start of a backfill."""

    def end_backfill(self, state: TableState) -> TableState:
        """Removes the start of the backfill."""
