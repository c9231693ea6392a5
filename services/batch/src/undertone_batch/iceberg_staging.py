"""Staging tables and branches, which keep the scores of a wave until its commit."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from undertone_client.jobs.catalog import CATALOG, CatalogType

from undertone_batch.iceberg_conflicts import repeat_lost_commits
from undertone_batch.iceberg_sql import properties_of

STAGING_SUFFIX = "_staging_"
STAGED_AT_PROPERTY = "undertone.staged-at"

MAX_AGE = timedelta(days=3)
"""Age at which a staging table or a branch belongs to a killed run. No wave takes longer."""

_BRANCH = re.compile(r"undertone_(\d{8}t\d{6}z)_[0-9a-f]{12}")
_BRANCH_TIME = "%Y%m%dt%H%M%Sz"


def new_branch_name(now: datetime) -> str:
    """A random name of a branch, with the time of its creation.

    The time of the branch's snapshot does not tell the age of the branch: a run begins its branch
    at the table's last snapshot, which may be weeks old.
    """
    return f"undertone_{now.astimezone(UTC):{_BRANCH_TIME}}_{uuid.uuid4().hex[:12]}"


def branch_created_at(name: str) -> datetime | None:
    """The time in a name from `new_branch_name`; None for the branches of other programs."""
    match = _BRANCH.fullmatch(name)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], _BRANCH_TIME).replace(tzinfo=UTC)
    except ValueError:  # no such day or time
        return None


@contextmanager
def staged(rows: DataFrame, table: str, location: str) -> Iterator[DataFrame]:
    """Writes rows to a new table beside `table`, and drops it at the end.

    An Iceberg table instead of a folder of Parquet files: it needs no other credentials than the
    table itself, and its commit leaves out the files of failed and speculative task attempts on
    every file system. Its files are in the folder of `table`, where maintenance removes files that
    no table knows. A Hadoop or REST catalogue chooses the folder of a table itself.

    Args:
        rows: What to write.
        table: The table of scores.
        location: The folder of the table of scores.
    """
    spark = rows.sparkSession
    number = uuid.uuid4().hex[:12]
    name = f"{table}{STAGING_SUFFIX}{number}"
    writer = rows.writeTo(name).using("iceberg").tableProperty(STAGED_AT_PROPERTY, datetime.now(UTC).isoformat())
    if spark.conf.get(f"spark.sql.catalog.{CATALOG}.type", None) not in (CatalogType.HADOOP, CatalogType.REST):
        writer = writer.tableProperty("location", f"{location}/staging/{number}")
    try:
        writer.tableProperty("write.distribution-mode", "none").create()
        yield spark.table(name)
    finally:
        with suppress(PySparkException, Py4JJavaError):  # maintenance drops a table that remains
            _purge(spark, name)


def _purge(spark: SparkSession, table: str) -> None:
    """Drops a table and deletes its files.

    By the catalogue itself: `DROP TABLE … PURGE` lists the files in jobs of Spark, which take a
    sixth of the CPU time of a small wave.
    """
    java: Any = spark
    catalog = java._jsparkSession.sessionState().catalogManager().catalog(CATALOG).icebergCatalog()
    identifier = java._jvm.org.apache.iceberg.catalog.TableIdentifier.parse(table.removeprefix(f"{CATALOG}."))
    catalog.dropTable(identifier, True)  # noqa: FBT003 - Java has no names of arguments


def drop_leftovers(spark: SparkSession, table: str, now: datetime) -> None:
    """Drops the staging tables and the branches that killed runs have left behind.

    Args:
        spark: A session with the catalogue.
        table: The table of scores.
        now: The time.
    """
    namespace, _, name = table.rpartition(".")
    for row in spark.sql(f"SHOW TABLES IN {namespace} LIKE '{name}{STAGING_SUFFIX}*'").collect():
        with suppress(PySparkException, Py4JJavaError):  # another run has dropped it
            staged_at = properties_of(spark, f"{namespace}.{row.tableName}").get(STAGED_AT_PROPERTY)
            if staged_at is not None and now - datetime.fromisoformat(staged_at) > MAX_AGE:
                _purge(spark, f"{namespace}.{row.tableName}")
    for row in spark.table(f"{table}.refs").where("type = 'BRANCH'").select("name").collect():
        created_at = branch_created_at(row["name"])
        if created_at is not None and now - created_at > MAX_AGE:
            with suppress(PySparkException, Py4JJavaError):
                repeat_lost_commits(spark, f"ALTER TABLE {table} DROP BRANCH IF EXISTS {row['name']}")
