"""The new rows of the table, made from its old rows and the changes of a wave."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from undertone_client.jobs import OutputError

from undertone_batch.diff import KINDS_TO_SCORE, DiffKind, TargetState, scored_by
from undertone_batch.table import schema

WRONG_MODEL = "FAILED_PRECONDITION"


def to_changes(predicted: DataFrame, target: TargetState, scored_at: datetime) -> DataFrame:
    """Converts the result of `predict` on a comparison into changes of the table.

    A score of a model other than the target's is a failure: the service changed its model during
    the run. Paragraphs that were not to be scored have a null status, unless they are invalid.

    Returns:
        The frame with `policy`, `scored_at`, and the final `status`, `reason` and `attempts`.
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
    changes = predicted.withColumns(
        {
            "attempts": attempts,
            "reason": reason,
            "status": status,
            "policy": sql.lit(target.policy.value),
            "scored_at": sql.lit(scored_at),
        }
    )
    return changes.drop("problem")


def merge(table: DataFrame, changes: DataFrame, labels: Iterable[str], now: datetime) -> DataFrame:
    """The new rows with their `bucket`: one for each id that has a score.

    - A new score replaces the row.
    - If scoring failed, the row keeps a score of the same text. A score of an earlier text is
      marked as deleted, and so is the row of a paragraph that is not in the source any more.
    - All other rows are unchanged. No row is removed.

    Args:
        table: The rows of some buckets, with their `bucket`.
        changes: The changes of these buckets, from `to_changes`. Each id occurs at most once.
        labels: The emotions that have a column.
        now: The time of new marks.
    """
    columns = schema(labels)
    old, new = table.alias("old"), changes.alias("new")
    joined = old.join(new, sql.col("old.id") == sql.col("new.id"), "full_outer")
    has_new_score = sql.coalesce(sql.col("new.status") == "OK", sql.lit(False))  # noqa: FBT003
    kind = sql.col("new.kind")
    same_text = kind.isin(DiffKind.OUTDATED.value, DiffKind.REPEATED.value, DiffKind.RESTORED.value)
    deleted_at = (
        sql.when(kind.isNull(), sql.col("old.deleted_at"))
        .when(has_new_score | same_text, sql.lit(None).cast("timestamp"))
        .otherwise(sql.coalesce("old.deleted_at", sql.lit(now)))
    )

    def column(name: str) -> Column:
        if name == "deleted_at":
            return deleted_at.alias(name)
        new_value = sql.col("new.probabilities")[name] if name in labels else sql.col(f"new.{name}")
        old_value = sql.col(f"old.{name}") if name in table.columns else sql.lit(None)
        return sql.when(has_new_score, new_value).otherwise(old_value).cast(columns[name].dataType).alias(name)

    with_score = joined.where(has_new_score | sql.col("old.id").isNotNull())
    return with_score.select(
        *(column(name) for name in columns.names), sql.coalesce("old.bucket", "new.bucket").alias("bucket")
    )


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """The counts of a wave's changes.

    Attributes:
        scored: Paragraphs with a new score.
        failed: Paragraphs without a score. Each copy of an invalid paragraph counts, although all
            copies are one dead letter.
        added: New rows by bucket.
    """

    scored: int
    failed: int
    added: Mapping[int, int]


def count_changes(changes: DataFrame) -> ChangeCounts:
    """Counts changes from `to_changes`.

    Raises:
        OutputError: an id occurs twice, in files of a task attempt that Spark should have
            discarded.
    """
    rows, ids = changes.agg(sql.count("id"), sql.count_distinct("id")).collect()[0]
    if rows != ids:
        raise OutputError(f"{rows - ids:,} of {rows:,} changes were written twice. Nothing was committed: start the run again")
    scored = failed = 0
    added: Counter[int] = Counter()
    ok = (sql.col("status") == "OK").alias("ok")
    groups = changes.groupBy("bucket", "kind", ok).agg(sql.count("*"), sql.sum("copies"))
    for bucket, kind, is_ok, count, copies in groups.collect():
        if is_ok:
            scored += count
            added[bucket] += count if kind == DiffKind.NEW else 0
        elif is_ok is False:  # None: not to be scored
            failed += copies if kind == DiffKind.INVALID else count
    return ChangeCounts(scored, failed, added)


def dead_letters(changes: DataFrame) -> DataFrame:
    """The changes without a score, with the columns of `failures.jsonl`."""
    failed = changes.where(sql.col("status").isNotNull() & (sql.col("status") != "OK"))
    return failed.select("id", "text_sha256", "status", "reason", "attempts")
