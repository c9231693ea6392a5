"""Maintenance of an Iceberg table: small files, old snapshots, and files of killed runs.

Only Iceberg's procedures change the table. They commit as runs do, so that a run and a maintenance
can work at the same time.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession
from undertone_client import SettingsError
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG, TableName

from undertone_batch.iceberg_conflicts import is_conflict
from undertone_batch.iceberg_staging import drop_leftovers
from undertone_batch.spark_reasons import spark_reason
from undertone_batch.table import check_schema

MIN_FILES = 5
"""Files of a partition that are rewritten into one. Fewer small files are left as they are."""

MIN_MANIFESTS = 10
"""Manifests that are rewritten into few. Each commit adds one or two."""

ATTEMPTS = 3
"""Attempts of a step whose commit meets a commit of a run."""

_REWRITE_OPTIONS = f"map('min-input-files', '{MIN_FILES}', 'remove-dangling-deletes', 'true')"

log = logging.getLogger("undertone_batch")


@dataclass(frozen=True, slots=True)
class Retention:
    """What a maintenance keeps.

    Attributes:
        snapshot_days: Days for which snapshots are kept. Time travel goes back as far. A run that
            reads an older snapshot fails.
        snapshots: The number of latest snapshots that are kept, whatever their age.
        orphan_days: Age in days from which files that no snapshot uses are deleted. A younger file
            may belong to a run that has not committed it yet, so the age must exceed the time of a
            wave. Iceberg refuses less than 1.

    Raises:
        SettingsError: a value is less than 1.
    """

    snapshot_days: int = 30
    snapshots: int = 10
    orphan_days: int = 3

    def __post_init__(self) -> None:
        for flag, value in (
            ("--keep-days", self.snapshot_days),
            ("--keep-snapshots", self.snapshots),
            ("--orphan-days", self.orphan_days),
        ):
            if value < 1:
                raise SettingsError(f"{flag} is {value}: use 1 or more")


@dataclass(frozen=True, slots=True)
class Step:
    """A finished step of a maintenance, or with `dry_run` what it would do."""

    table: str
    action: str


class Maintenance:
    """Maintains a table of scores and its dead letters, in a session with their catalogue."""

    def __init__(self, spark: SparkSession, retention: Retention, now: datetime, *, dry_run: bool = False) -> None:
        """
        Args:
            spark: The session.
            retention: What to keep.
            now: The time.
            dry_run: Only report what is to be done.
        """
        self._spark = spark
        self._retention = retention
        self._now = now
        self._dry_run = dry_run

    def run(self, name: TableName) -> Iterator[Step]:
        """Does step after step. Each is complete on its own.

        Raises:
            OutputError: a table does not exist, is none of scores or cannot be changed, or a run
                has changed it during each attempt of a step.
        """
        if not self._spark.catalog.tableExists(f"{CATALOG}.{name}"):
            raise OutputError(f"there is no table of scores {name}: create one with `undertone-batch run`")
        check_schema(self._spark.table(f"{CATALOG}.{name}").schema, str(name))
        yield self._step(name, self._drop_leftovers)
        tables = [name, name.dead_letters]
        for table in tables:
            if self._spark.catalog.tableExists(f"{CATALOG}.{table}"):
                for step in (self._rewrite_files, self._rewrite_manifests, self._expire_snapshots, self._remove_orphan_files):
                    yield self._step(table, step)

    def _step(self, table: TableName, step: Callable[[TableName], str]) -> Step:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                result = Step(str(table), step(table))
            except (PySparkException, Py4JJavaError) as error:
                reason = spark_reason(error)
                if not is_conflict(error):
                    raise OutputError(f"the table {table} cannot be maintained: {reason}") from None
                if attempt == ATTEMPTS:
                    raise OutputError(
                        f"runs have changed the table {table} during {ATTEMPTS} attempts of its maintenance: start it again"
                        f" when no run is active ({reason})"
                    ) from None
                log.info("%s: a run has changed the table, attempt %d of %d", table, attempt + 1, ATTEMPTS)
            else:
                log.info("%s: %s", result.table, result.action)
                return result
        raise AssertionError

    def _drop_leftovers(self, table: TableName) -> str:
        if self._dry_run:
            return "would drop staging tables and branches of killed runs"
        drop_leftovers(self._spark, f"{CATALOG}.{table}", self._now)
        return "dropped staging tables and branches of killed runs, if any"

    def _rewrite_files(self, table: TableName) -> str:
        """Merges small files of a partition, and applies its deletions."""
        if self._dry_run:
            groups = self._spark.table(f"{CATALOG}.{table}.files").groupBy("partition").count().where(f"count >= {MIN_FILES}")
            files = sum(row["count"] for row in groups.collect())
            return f"would rewrite up to {files:,} small files"
        result = self._call("rewrite_data_files", table, f"options => {_REWRITE_OPTIONS}")
        removed = result.removed_delete_files_count
        return (
            f"rewrote {result.rewritten_data_files_count:,} data files into {result.added_data_files_count:,}, and removed"
            f" {removed:,} files of deletions"
        )

    def _rewrite_manifests(self, table: TableName) -> str:
        """Merges manifests, so that a query plans faster."""
        count = self._count(table, "manifests")
        if count < MIN_MANIFESTS:
            return f"left {count:,} manifests as they are"
        if self._dry_run:
            return f"would rewrite {count:,} manifests"
        result = self._call("rewrite_manifests", table, "use_caching => false")
        return f"rewrote {result.rewritten_manifests_count:,} manifests into {result.added_manifests_count:,}"

    def _expire_snapshots(self, table: TableName) -> str:
        """Deletes old snapshots, the branches of killed runs, and the files that only they use."""
        oldest = self._now - timedelta(days=self._retention.snapshot_days)
        before = self._count(table, "snapshots")
        if self._dry_run:
            old = self._count(table, "snapshots", f"committed_at < {_literal(oldest)}")
            return f"would delete {min(old, max(before - self._retention.snapshots, 0)):,} of {before:,} snapshots"
        arguments = f"older_than => {_literal(oldest)}, retain_last => {self._retention.snapshots}, stream_results => true"
        result = self._call("expire_snapshots", table, arguments)
        files = result.deleted_data_files_count + result.deleted_position_delete_files_count
        return f"deleted {before - self._count(table, 'snapshots'):,} of {before:,} snapshots, and {files:,} files of theirs"

    def _remove_orphan_files(self, table: TableName) -> str:
        """Deletes files in the table's folder that no snapshot uses."""
        oldest = self._now - timedelta(days=self._retention.orphan_days)
        # With prefix_listing, Iceberg lists with its own clients. Otherwise Hadoop would need S3A.
        arguments = (
            f"older_than => {_literal(oldest)}, prefix_listing => true, dry_run => {str(self._dry_run).lower()},"
            " stream_results => false"
        )
        files = len(self._calls("remove_orphan_files", table, arguments))
        return f"{'would delete' if self._dry_run else 'deleted'} {files:,} files that no snapshot uses"

    def _count(self, table: TableName, metadata: str, condition: str = "true") -> int:
        return self._spark.table(f"{CATALOG}.{table}.{metadata}").where(condition).count()

    def _call(self, procedure: str, table: TableName, arguments: str) -> Row:
        (result,) = self._calls(procedure, table, arguments)
        return result

    def _calls(self, procedure: str, table: TableName, arguments: str) -> list[Row]:
        return self._spark.sql(f"CALL {CATALOG}.system.{procedure}(table => '{CATALOG}.{table}', {arguments})").collect()


def _literal(time: datetime) -> str:
    return f"TIMESTAMP '{time.isoformat(sep=' ', timespec='milliseconds')}'"
