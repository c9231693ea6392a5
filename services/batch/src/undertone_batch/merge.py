"""From the rows of the table and what a run found to the new rows of the table."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from undertone_client.jobs import OutputError

from undertone_batch.plan import SCORED, Aim, Kind, made_by
from undertone_batch.table import schema

FAILED = "FAILED_PRECONDITION"


def settled(predicted: DataFrame, aim: Aim, scored_at: datetime) -> DataFrame:
    """What `predict` made of a plan, as changes of the table: with `policy`, `scored_at`, and a `status` that is right for all.

    A score of another model than the run is for is a failure: the service was changed while the run was under way. What was not
    to be scored has a null status, unless it is invalid.
    """
    to_score = sql.col("kind").isin(*SCORED)
    foreign = (sql.col("status") == "OK") & ~made_by(aim.model)
    maker = sql.concat_ws(" ", "model_name", sql.lit("version"), "model_version", "precision")
    status = (
        sql.when(to_score & foreign, FAILED)
        .when(to_score, sql.col("status"))
        .when(sql.col("problem").isNotNull(), "INVALID_ARGUMENT")
    )
    reason = (
        sql.when(to_score & foreign, sql.concat(sql.lit("scored by "), maker, sql.lit(f"; this run is for {aim.model}")))
        .when(to_score, sql.col("reason"))
        .otherwise(sql.col("problem"))
    )
    attempts = sql.when(to_score & foreign, 1).when(to_score, sql.col("attempts")).when(status.isNotNull(), 0)
    changes = predicted.withColumns(
        {
            "attempts": attempts,
            "reason": reason,
            "status": status,
            "policy": sql.lit(aim.policy.value),
            "scored_at": sql.lit(scored_at),
        }
    )
    return changes.drop("problem")


def merge(table: DataFrame, changes: DataFrame, labels: Iterable[str], now: datetime) -> DataFrame:
    """The new rows, one for each id that has a score, with their `bucket`.

    No row is ever lost, and none of an id that is in neither side made:

    - a paragraph with a new score has the row of this score;
    - one whose scoring failed keeps a score of the same text, if there is one; a score of an earlier text, like that of a
      paragraph that is gone from the source, is marked as deleted;
    - whatever has not changed stays as it is.

    Args:
        table: rows of the table in some buckets, with their `bucket`.
        changes: those of the same buckets, as `settled` makes them; each id at most once.
        labels: emotions that have a column.
        now: the time of marks made now.
    """
    columns = schema(labels)
    old, new = table.alias("old"), changes.alias("new")
    both = old.join(new, sql.col("old.id") == sql.col("new.id"), "full_outer")
    scored = sql.coalesce(sql.col("new.status") == "OK", sql.lit(False))  # noqa: FBT003
    kind = sql.col("new.kind")
    same_text = kind.isin(Kind.OUTDATED.value, Kind.REPEATED.value, Kind.RESTORED.value)
    deleted_at = (
        sql.when(kind.isNull(), sql.col("old.deleted_at"))
        .when(scored | same_text, sql.lit(None).cast("timestamp"))
        .otherwise(sql.coalesce("old.deleted_at", sql.lit(now)))
    )

    def column(name: str) -> Column:
        if name == "deleted_at":
            return deleted_at.alias(name)
        fresh = sql.col("new.probabilities")[name] if name in labels else sql.col(f"new.{name}")
        kept = sql.col(f"old.{name}") if name in table.columns else sql.lit(None)
        return sql.when(scored, fresh).otherwise(kept).cast(columns[name].dataType).alias(name)

    kept = both.where(scored | sql.col("old.id").isNotNull())
    return kept.select(*(column(name) for name in columns.names), sql.coalesce("old.bucket", "new.bucket").alias("bucket"))


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """Changes with a new score, those that failed, and by bucket how many rows the table gains.

    What is invalid has failed as often as it is in the source; it is one dead letter all the same.
    """

    scored: int
    failed: int
    added: Mapping[int, int]


def change_counts(changes: DataFrame) -> ChangeCounts:
    """Count changes as `settled` makes them.

    Raises:
        OutputError: there are several of an id, from attempts of a task that should have left no files.
    """
    rows, ids = changes.agg(sql.count("id"), sql.count_distinct("id")).collect()[0]
    if rows != ids:
        raise OutputError(
            f"{rows - ids:,} of {rows:,} changes were written more than once on their way to the table, and nothing was"
            " committed. Start the run again"
        )
    scored = failed = 0
    added: Counter[int] = Counter()
    ok = (sql.col("status") == "OK").alias("ok")
    groups = changes.groupBy("bucket", "kind", ok).agg(sql.count("*"), sql.sum("copies"))
    for bucket, kind, good, count, copies in groups.collect():
        if good:
            scored += count
            added[bucket] += count if kind == Kind.NEW else 0
        elif good is False:  # None is what was not to be scored
            failed += copies if kind == Kind.INVALID else count
    return ChangeCounts(scored, failed, added)


def dead_letters(changes: DataFrame) -> DataFrame:
    """What has no score: `id`, `text_sha256`, `status`, `reason`, `attempts`; the columns of `failures.jsonl`."""
    failed = changes.where(sql.col("status").isNotNull() & (sql.col("status") != "OK"))
    return failed.select("id", "text_sha256", "status", "reason", "attempts")
