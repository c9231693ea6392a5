"""The changes of a wave, and the statement that applies them to the table."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from pyspark.sql.types import StructType
from undertone_client.jobs import OutputError

from undertone_batch.diff import KINDS_TO_SCORE, DiffKind, RowState, TargetState, kept_fields, scored_by
from undertone_batch.source.columns import quoted
from undertone_batch.source.paragraphs import KEPT_COLUMN
from undertone_batch.table import kept_of, labels_of, table_schema

WRONG_MODEL = "FAILED_PRECONDITION"

_SAME_TEXT = (DiffKind.OUTDATED, DiffKind.REPEATED, DiffKind.RESTORED, DiffKind.MOVED)
"""Kinds whose row has a score of the present text."""


class Action(enum.StrEnum):
    """What a change does to the row of its paragraph."""

    SCORE = "score"
    """The new score replaces the row, or is a new row."""
    RESTORE = "restore"
    """The row loses its mark."""
    DELETE = "delete"
    """The row is marked as deleted."""
    MOVE = "move"
    """The row gets the kept columns of the source."""


def to_changes(predicted: DataFrame, target: TargetState, scored_at: datetime, schema: StructType) -> DataFrame:
    """Converts the result of `predict` on a comparison into changes of the table.

    A score of a model other than the target's is a failure: the service changed its model during
    the run. Paragraphs that were not to be scored have a null status, unless they are invalid.

    - A new score replaces the row.
    - If scoring failed, the row keeps a score of the same text. A score of an earlier text is
      marked as deleted, and so is the row of a paragraph that is not in the source any more.

    Args:
        predicted: The scored comparison.
        target: The intended state of the table.
        scored_at: The time of new scores and marks.
        schema: The columns of the table.

    Returns:
        `id`, `bucket`, `kind`, `copies`, `text_sha256`, the final `status`, `reason` and
        `attempts`, `action`, which is an `Action` or null, and `new`, the row of a new score.
    """
    to_score = sql.col("kind").isin(*KINDS_TO_SCORE)
    wrong_model = (sql.col("status") == "OK") & ~scored_by(target.model)
    model = sql.concat_ws(" ", "model_name", sql.lit("version"), "model_version", "precision")
    status = (
        sql.when(to_score & wrong_model, WRONG_MODEL)
        .when(to_score, sql.col("status"))
        .when(sql.col("problem").isNotNull(), "INVALID_ARGUMENT")
    )
    reason = (
        sql.when(to_score & wrong_model, sql.concat(sql.lit("scored by "), model, sql.lit(f"; this run is for {target.model}")))
        .when(to_score, sql.col("reason"))
        .otherwise(sql.col("problem"))
    )
    attempts = sql.when(to_score & wrong_model, 1).when(to_score, sql.col("attempts")).when(status.isNotNull(), 0)
    same_text, row = sql.col("kind").isin(*_SAME_TEXT), sql.col("row")
    action = (
        sql.when(status == "OK", Action.SCORE.value)
        .when(same_text & (row == RowState.DELETED.value), Action.RESTORE.value)
        .when(sql.col("kind") == DiffKind.MOVED.value, Action.MOVE.value)
        .when(~same_text & (row == RowState.CURRENT.value), Action.DELETE.value)
    )
    return predicted.select(
        "id",
        "bucket",
        "kind",
        "copies",
        "text_sha256",
        status.alias("status"),
        reason.alias("reason"),
        attempts.alias("attempts"),
        action.alias("action"),
        sql.struct(*_new_columns(predicted, target, scored_at, schema)).alias("new"),
    )


def _new_columns(predicted: DataFrame, target: TargetState, scored_at: datetime, schema: StructType) -> list[Column]:
    constants = {"policy": sql.lit(target.policy.value), "scored_at": sql.lit(scored_at), "deleted_at": sql.lit(None)}
    labels = labels_of(schema)
    own = table_schema([], schema["id"].dataType, multi_label=True).names
    kept = [field.name for field in kept_fields(predicted)]
    columns = []
    for field in schema.fields:
        if field.name in labels:
            value = sql.try_element_at("probabilities", sql.lit(field.name))
        elif field.name in kept:
            value = sql.col(KEPT_COLUMN).getField(field.name)
        elif field.name in constants:
            value = constants[field.name]
        elif field.name in own and field.name in predicted.columns:
            value = sql.col(quoted(field.name))
        else:
            value = sql.lit(None)
        columns.append(value.cast(field.dataType).alias(field.name))
    return columns


def merge_statement(
    table: str, changes: str, schema: StructType, condition: str, now: datetime, kept: Sequence[str] = ()
) -> str:
    """The statement that applies changes to an Iceberg table.

    Args:
        table: The table or its branch.
        changes: A view of the staged changes.
        schema: The columns of the table.
        condition: A condition on the rows of the table, `old`, that is true for all rows with
            changes.
        now: The time of new marks.
        kept: The columns of the source that the run copies. Other columns keep their values.
    """
    names = [quoted(name) for name in schema.names]
    unchanged = {"document", "position", *(field.name for field in kept_of(schema))} - set(kept)
    updated = [quoted(name) for name in schema.names if name not in unchanged]
    assignments = ", ".join(f"{name} = change.new.{name}" for name in updated)
    moved = "".join(f", {quoted(name)} = change.new.{quoted(name)}" for name in kept)
    return (
        f"MERGE INTO {table} AS old"  # noqa: S608 - names are quoted
        f" USING (SELECT * FROM {changes} WHERE action IS NOT NULL) AS change"
        f" ON old.id = change.id AND {condition}"
        f" WHEN MATCHED AND change.action = '{Action.SCORE}' THEN UPDATE SET {assignments}"
        f" WHEN MATCHED AND change.action = '{Action.RESTORE}' THEN UPDATE SET deleted_at = NULL{moved}"
        f" WHEN MATCHED AND change.action = '{Action.MOVE}' THEN UPDATE SET deleted_at = old.deleted_at{moved}"
        f" WHEN MATCHED THEN UPDATE SET deleted_at = TIMESTAMP '{now.isoformat()}'"
        f" WHEN NOT MATCHED AND change.action = '{Action.SCORE}'"
        f" THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f'change.new.{name}' for name in names)})"
    )


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """The counts of a wave's changes.

    Attributes:
        scored: Paragraphs with a new score.
        failed: Paragraphs without a score. Each copy of an invalid paragraph counts, although all
            copies are one dead letter.
        added: New rows.
        changes: Changes of the table.
    """

    scored: int
    failed: int
    added: int
    changes: int


def count_changes(changes: DataFrame) -> ChangeCounts:
    """Counts changes from `to_changes`.

    Raises:
        OutputError: an id occurs twice, in files of a task attempt that Spark should have
            discarded.
    """
    rows, ids = changes.agg(sql.count("id"), sql.count_distinct("id")).collect()[0]
    if rows != ids:
        raise OutputError(f"{rows - ids:,} of {rows:,} changes were written twice. Nothing was committed: start the run again")
    scored = failed = added = applied = 0
    ok = (sql.col("status") == "OK").alias("ok")
    groups = changes.groupBy("kind", ok).agg(sql.count("*"), sql.sum("copies"), sql.count("action"))
    for kind, is_ok, count, copies, actions in groups.collect():
        applied += actions
        if is_ok:
            scored += count
            added += count if kind == DiffKind.NEW else 0
        elif is_ok is False:  # None: not to be scored
            failed += copies if kind == DiffKind.INVALID else count
    return ChangeCounts(scored, failed, added, applied)


def dead_letters(changes: DataFrame, run_id: str, failed_at: datetime) -> DataFrame:
    """The changes without a score, with the columns of the table of dead letters."""
    failed = changes.where(sql.col("status").isNotNull() & (sql.col("status") != "OK"))
    return failed.select(
        "id",
        "text_sha256",
        "status",
        "reason",
        "attempts",
        sql.lit(run_id).alias("run_id"),
        sql.lit(failed_at).alias("failed_at"),
    )
