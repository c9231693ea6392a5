"""What a run has to do: each paragraph of the source beside its row of the table."""

import enum
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from undertone_client import Model, Policy


class RunMode(enum.StrEnum):
    """What a run scores."""

    BACKFILL = "backfill"
    """Everything."""
    DAILY = "daily"
    """What has no score by this model with this policy yet."""


class Kind(enum.StrEnum):
    """What a paragraph is to a run. The first four are scored."""

    NEW = "new"
    """The table has no row of this id."""
    MUTATED = "mutated"
    """The row is of another text."""
    OUTDATED = "outdated"
    """The row is by another model, version or precision, or with another policy."""
    REPEATED = "repeated"
    """The row would do, but a backfill scores everything."""
    RESTORED = "restored"
    """The row would do, but is marked as deleted."""
    CURRENT = "current"
    """The row is as it should be."""
    DELETED = "deleted"
    """The row's paragraph is gone from the source, or has become too short."""
    GONE = "gone"
    """So it had in an earlier run; or runs of this kind do not look for the deleted."""
    SHORT = "short"
    """Too short, and not in the table."""
    INVALID = "invalid"
    """Without id or text, not UTF-8, or with an id that stands for several texts."""


SCORED = (Kind.NEW, Kind.MUTATED, Kind.OUTDATED, Kind.REPEATED)
CHANGING = (*SCORED, Kind.RESTORED, Kind.DELETED, Kind.INVALID)
"""Kinds after which the table, or the dead letters, may differ from before."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What the table should be like after the run.

    model, policy: by which, and how, each paragraph should have been scored.
    since: rows that were scored earlier are scored again; None for daily runs, the beginning of the backfill for others.
    mark_deleted: whether rows whose paragraph is not in the source are marked.
    """

    model: Model
    policy: Policy
    since: datetime | None = None
    mark_deleted: bool = True


def compare(paragraphs: DataFrame, table: DataFrame, aim: Aim) -> DataFrame:
    """One row for each id of either side: `id`, `bucket`, `text`, `text_sha256`, `copies`, `problem`, `kind`.

    Args:
        paragraphs: those of the source, as `Source.paragraphs` gives them.
        table: the rows of the table, with their `bucket`.
        aim: what the table should be like.
    """
    here, there = paragraphs.alias("here"), table.alias("there")
    both = here.join(there, sql.col("here.id") == sql.col("there.id"), "full_outer")
    present = sql.col("copies").isNotNull() & ~sql.col("short")
    known = sql.col("there.id").isNotNull()
    live = known & sql.col("deleted_at").isNull()
    same_maker = made_by(aim.model) & (sql.col("policy") == aim.policy.value)
    earlier = sql.col("scored_at") < sql.lit(aim.since)  # null, as good as false, if it is None
    kind = (
        sql.when(sql.col("problem").isNotNull(), Kind.INVALID.value)
        .when(present & ~known, Kind.NEW.value)
        .when(present & (sql.col("here.text_sha256") != sql.col("there.text_sha256")), Kind.MUTATED.value)
        .when(present & ~same_maker, Kind.OUTDATED.value)
        .when(present & earlier, Kind.REPEATED.value)
        .when(present & ~live, Kind.RESTORED.value)
        .when(present, Kind.CURRENT.value)
        .when(live & (sql.col("short") | sql.lit(aim.mark_deleted)), Kind.DELETED.value)
        .when(known, Kind.GONE.value)
        .otherwise(Kind.SHORT.value)
    )
    return both.select(
        sql.coalesce("here.id", "there.id").alias("id"),
        sql.coalesce("here.bucket", "there.bucket").alias("bucket"),
        "text",
        "here.text_sha256",
        "copies",
        "problem",
        kind.alias("kind"),
    )


def made_by(model: Model) -> Column:
    """Whether a row was scored by the model."""
    return (
        (sql.col("model_name") == model.name)
        & (sql.col("model_version") == model.version)
        & (sql.col("precision") == model.precision)
    )
