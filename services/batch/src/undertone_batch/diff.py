"""The difference between the source and the table, which decides what a run scores."""

import enum
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from pyspark.sql.types import StructField, StructType
from undertone_client import Model, Policy

from undertone_batch.source.columns import quoted
from undertone_batch.source.paragraphs import KEPT_COLUMN


class DiffKind(enum.StrEnum):
    """The difference between a paragraph of the source and its row of the table."""

    NEW = "new"
    """The table has no row with this id."""
    MUTATED = "mutated"
    """The row has a score of a different text."""
    OUTDATED = "outdated"
    """The row was scored by a different model, version or precision, or with a different policy."""
    REPEATED = "repeated"
    """The row is up to date, but a backfill scores all paragraphs."""
    RESTORED = "restored"
    """The row is up to date, but marked as deleted."""
    MOVED = "moved"
    """The row is up to date, but its document, its position or a kept column differs."""
    CURRENT = "current"
    """The row is up to date."""
    DELETED = "deleted"
    """The paragraph is not in the source, or is too short. The row is to be marked."""
    GONE = "gone"
    """As DELETED, but the row is marked already, or this run marks no rows."""
    SHORT = "short"
    """The paragraph is too short, and the table has no row for it."""
    INVALID = "invalid"
    """No id, no text, invalid UTF-8, or an id with different texts."""


KINDS_TO_SCORE = (DiffKind.NEW, DiffKind.MUTATED, DiffKind.OUTDATED, DiffKind.REPEATED)
"""The kinds of paragraphs that a run scores."""

CHANGING_KINDS = (*KINDS_TO_SCORE, DiffKind.RESTORED, DiffKind.MOVED, DiffKind.DELETED, DiffKind.INVALID)
"""The kinds of paragraphs that can change the table or the dead letters."""


PRESENT_KINDS = (*KINDS_TO_SCORE, DiffKind.RESTORED, DiffKind.MOVED, DiffKind.CURRENT)
"""The kinds of paragraphs of the source that can have a score."""

DELETING_KINDS = (DiffKind.DELETED, DiffKind.INVALID)
"""The kinds whose row of the table is marked as deleted."""


class RowState(enum.StrEnum):
    """The row of the table for a paragraph."""

    NONE = "none"
    CURRENT = "current"
    DELETED = "deleted"
    """Marked as deleted."""


PLACE = ("document", "position")
"""Columns of the paragraph's place. Each table has them."""

_COMPARED = ("id", "text_sha256", "model_name", "model_version", "precision", "policy", "scored_at", "deleted_at")


@dataclass(frozen=True, slots=True)
class TargetState:
    """The state of the table after the run.

    Attributes:
        model: The model of all scores.
        policy: The policy of all scores.
        since: Rows that were scored earlier are scored again. The start of the backfill; None for
            daily runs.
        until: Rows that were scored later, by a driver whose clock was ahead, are scored again,
            too. The start of a run that is a backfill; None for daily runs.
        mark_deleted: Whether rows whose paragraph is not in the source are marked.
    """

    model: Model
    policy: Policy
    since: datetime | None = None
    until: datetime | None = None
    mark_deleted: bool = True


def compare(paragraphs: DataFrame, table: DataFrame, target: TargetState) -> DataFrame:
    """Compares the source with the table.

    Args:
        paragraphs: The source, as returned by `Source.paragraphs`.
        table: The rows of the table.
        target: The intended state of the table.

    Returns:
        One row for each id of either frame: `id`, `text`, `text_sha256`, `copies`, `problem`,
        `kind`, `row`, which is one of `RowState`, and `kept`, if the source has it.
    """
    kept = [field.name for field in kept_fields(paragraphs)]
    # A kept column may have the name of a column of the source's frame.
    old_kept = sql.struct(*(old_value(table, name) for name in kept)) if kept else sql.lit(None)
    scores = table.select(*_COMPARED, old_kept.alias("old_kept")).alias("scores")
    source = paragraphs.alias("source")
    moved = ~sql.col("old_kept").eqNullSafe(sql.col(KEPT_COLUMN)) if kept else sql.lit(False)  # noqa: FBT003
    joined = source.join(scores, sql.col("source.id") == sql.col("scores.id"), "full_outer")
    present = sql.col("copies").isNotNull() & ~sql.col("short")
    has_row = sql.col("scores.id").isNotNull()
    has_unmarked_row = has_row & sql.col("deleted_at").isNull()
    same_model = scored_by(target.model) & (sql.col("policy") == target.policy.value)
    # Null, which counts as false, without a backfill.
    outside_backfill = (sql.col("scored_at") < sql.lit(target.since)) | (sql.col("scored_at") > sql.lit(target.until))
    kind = (
        sql.when(sql.col("problem").isNotNull(), DiffKind.INVALID.value)
        .when(present & ~has_row, DiffKind.NEW.value)
        .when(present & (sql.col("source.text_sha256") != sql.col("scores.text_sha256")), DiffKind.MUTATED.value)
        .when(present & ~same_model, DiffKind.OUTDATED.value)
        .when(present & outside_backfill, DiffKind.REPEATED.value)
        .when(present & ~has_unmarked_row, DiffKind.RESTORED.value)
        .when(present & moved, DiffKind.MOVED.value)
        .when(present, DiffKind.CURRENT.value)
        .when(has_unmarked_row & (sql.col("short") | sql.lit(target.mark_deleted)), DiffKind.DELETED.value)
        .when(has_row, DiffKind.GONE.value)
        .otherwise(DiffKind.SHORT.value)
    )
    return joined.select(
        sql.coalesce("source.id", "scores.id").alias("id"),
        "text",
        "source.text_sha256",
        "copies",
        "problem",
        kind.alias("kind"),
        sql.when(~has_row, RowState.NONE.value)
        .when(has_unmarked_row, RowState.CURRENT.value)
        .otherwise(RowState.DELETED.value)
        .alias("row"),
        *([KEPT_COLUMN] if kept else []),
    )


def kept_fields(paragraphs: DataFrame) -> list[StructField]:
    """The columns of the source that the run copies to the table."""
    kept = paragraphs.schema[KEPT_COLUMN].dataType if KEPT_COLUMN in paragraphs.columns else StructType()
    assert isinstance(kept, StructType)  # noqa: S101
    return kept.fields


def kept_columns(paragraphs: DataFrame) -> list[StructField]:
    """As `kept_fields`, without `document` and `position`, which each table has."""
    return [StructField(field.name, field.dataType) for field in kept_fields(paragraphs) if field.name not in PLACE]


def old_value(table: DataFrame, name: str) -> Column:
    """A column of the table; null if the table lacks it."""
    return sql.col(quoted(name)) if name in table.columns else sql.lit(None).alias(name)


def scored_by(model: Model) -> Column:
    """Whether the model scored a row."""
    return (
        (sql.col("model_name") == model.name)
        & (sql.col("model_version") == model.version)
        & (sql.col("precision") == model.precision)
    )
