"""The table of scores in Apache Iceberg."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import StructType
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG, TableName
from undertone_client.jobs.table_properties import BACKFILL_PROPERTY, NEW_TABLE

from undertone_batch.iceberg_catalog import require_extensions
from undertone_batch.iceberg_conflicts import is_conflict, repeat_lost_commits
from undertone_batch.iceberg_dead_letters import check_dead_letters, write_dead_letters
from undertone_batch.iceberg_sql import bucket_of, in_buckets, properties_of, version_of
from undertone_batch.iceberg_staging import new_branch_name, staged
from undertone_batch.layout import Layout
from undertone_batch.merge import merge_statement
from undertone_batch.source.columns import quoted
from undertone_batch.spark_reasons import spark_reason
from undertone_batch.table import Commit, TableState, check_format, check_schema

MAX_REBASES = 5
"""How often a commit starts again because maintenance has rewritten the files of the table."""

_BUCKETS = re.compile(r"bucket\((\d+), `?id`?\)")


class IcebergTable:
    """A table of the catalogue `undertone`.

    A commit is prepared on a branch of the snapshot that the run has compared with its source.
    There, the result is checked. Then the branch becomes the current state, in one atomic step that
    fails if the table has changed in the meantime. `MERGE INTO` on the table itself would not
    detect a change between the comparison and the start of the statement.
    """

    def __init__(self, spark: SparkSession, name: TableName, layout: Layout) -> None:
        """
        Args:
            spark: A session with the catalogue.
            name: The table.
            layout: The partitions of a new table. An existing table keeps its own.
        """
        require_extensions(spark)
        self.name = str(name)
        self.dead_letters_name = str(name.dead_letters)
        self._spark = spark
        self._namespace = name.namespace
        self._path = f"{CATALOG}.{name}"
        self._layout = layout
        self._bucket_count = layout.bucket_count
        self._location = ""

    def open(self) -> TableState | None:
        with self._explain_errors():
            exists = self._spark.catalog.tableExists(self._path)
            check_dead_letters(self._spark, f"{CATALOG}.{self.dead_letters_name}")
        return self._existing() if exists else None

    def _existing(self) -> TableState:
        state = self._state()
        with self._explain_errors():
            rows = self._spark.sql(f"DESCRIBE TABLE EXTENDED {self._path}").collect()
        described = {row.col_name: row.data_type for row in rows}
        self._location = described["Location"]
        partition = _BUCKETS.search(described.get("Part 0", ""))
        if partition:
            self._bucket_count = int(partition[1])
        return state

    def create(self, schema: StructType) -> TableState:
        columns = ", ".join(f"{quoted(column.name)} {column.dataType.simpleString()}" for column in schema.fields)
        properties = ", ".join(f"'{name}' = '{value}'" for name, value in NEW_TABLE.items())
        with self._explain_errors():
            self._spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}.{self._namespace}")
            self._spark.sql(
                f"CREATE TABLE IF NOT EXISTS {self._path} ({columns}) USING iceberg PARTITIONED BY ({self._layout.partition})"
                f" TBLPROPERTIES ({properties})"
            )
        return self.add_columns(self._existing(), schema)  # another run may have created the table

    def add_columns(self, state: TableState, schema: StructType) -> TableState:
        present = set(state.schema.names)
        places = [None, *schema.names]
        added = [
            f"{quoted(column.name)} {column.dataType.simpleString()}{f' AFTER {quoted(place)}' if place else ''}"
            for place, column in zip(places, schema.fields, strict=False)
            if column.name not in present
        ]
        if not added:
            return state
        with self._explain_errors():
            repeat_lost_commits(self._spark, f"ALTER TABLE {self._path} ADD COLUMNS ({', '.join(added)})")
            return replace(state, schema=self._spark.table(self._path).schema)

    def rows(self, state: TableState, buckets: Sequence[int] | None = None) -> DataFrame:
        if state.snapshot is None:
            return self._spark.createDataFrame([], state.schema)
        rows = self._spark.sql(version_of(self._path, state.snapshot))
        return rows if buckets is None else rows.where(in_buckets(self._bucket_count, "id", buckets))

    def bucket(self, column: str) -> Column:
        return sql.expr(bucket_of(self._bucket_count, column))

    @contextmanager
    def stage(self, rows: DataFrame) -> Iterator[DataFrame]:
        with staged(rows, self._path, self._location) as frame:
            yield frame

    def write_dead_letters(self, letters: DataFrame, count: int, run_id: str, buckets: Sequence[int]) -> None:
        with self._explain_conflicts(self.dead_letters_name):
            in_wave = f"{bucket_of(self._bucket_count, 'id')} IN ({', '.join(map(str, buckets))})"
            write_dead_letters(f"{CATALOG}.{self.dead_letters_name}", letters, count, run_id, in_wave)

    def commit(self, state: TableState, commit: Commit) -> TableState:
        for _ in range(MAX_REBASES):
            with self._branch(state) as branch:
                with self._explain_conflicts(self.name):
                    self._merge(f"{self._path}.branch_{branch}", state, commit)
                self._check_rows(branch, commit.rows)
                try:
                    with self._explain_conflicts(self.name):
                        call = f"CALL {CATALOG}.system.fast_forward('{CATALOG}.{self.name}', 'main', '{branch}')"
                        (result,) = repeat_lost_commits(self._spark, call)
                        return replace(state, snapshot=result.updated_ref)
                except OutputError:
                    current = self._state()
                    if not self._is_rewritten(state, current):
                        raise
                    state = current
        raise OutputError(f"{self.name} was rewritten {MAX_REBASES} times during a commit. Stop its maintenance during a run")

    def finish(self, state: TableState) -> TableState:
        return state

    def close(self) -> None:
        """Nothing is held."""

    def begin_backfill(self, state: TableState, began_at: datetime) -> TableState:
        with self._explain_errors():
            self._spark.sql(f"ALTER TABLE {self._path} SET TBLPROPERTIES ('{BACKFILL_PROPERTY}' = '{began_at.isoformat()}')")
        return replace(state, backfill_began_at=began_at)

    def end_backfill(self, state: TableState) -> TableState:
        with self._explain_errors():
            self._spark.sql(f"ALTER TABLE {self._path} UNSET TBLPROPERTIES IF EXISTS ('{BACKFILL_PROPERTY}')")
        return replace(state, backfill_began_at=None)

    def _state(self) -> TableState:
        with self._explain_errors():
            return read_state(self._spark, self.name)

    @contextmanager
    def _branch(self, state: TableState) -> Iterator[str]:
        """A branch of a snapshot. Maintenance drops the branch of a killed run.

        Without RETAIN, which Iceberg applies to the age of the branch's snapshot: the expiration of
        snapshots would remove a new branch of an old snapshot.
        """
        branch = new_branch_name(datetime.now(UTC))
        version = "" if state.snapshot is None else f" AS OF VERSION {state.snapshot}"
        with self._explain_conflicts(self.name):
            repeat_lost_commits(self._spark, f"ALTER TABLE {self._path} CREATE BRANCH {branch}{version}")
        try:
            yield branch
        finally:
            with suppress(PySparkException, Py4JJavaError):  # maintenance drops a branch that remains
                repeat_lost_commits(self._spark, f"ALTER TABLE {self._path} DROP BRANCH IF EXISTS {branch}")

    def _merge(self, target: str, state: TableState, commit: Commit) -> None:
        view = f"undertone_changes_{uuid.uuid4().hex[:12]}"
        commit.changes.createOrReplaceTempView(view)
        buckets = in_buckets(self._bucket_count, "old.id", commit.buckets)
        try:
            with self._snapshot_properties(commit.properties):
                self._spark.sql(merge_statement(target, view, state.schema, buckets, commit.at, commit.kept))
        finally:
            self._spark.catalog.dropTempView(view)

    def _check_rows(self, branch: str, expected: int) -> None:
        rows = self._spark.sql(version_of(self._path, branch)).count()
        if rows != expected:
            raise OutputError(
                f"{self.name} would have {rows:,} rows instead of {expected:,}. Nothing was committed: start the run again"
            )

    def _is_rewritten(self, base: TableState, current: TableState) -> bool:
        """Whether only maintenance, which changes no row, has committed since `base`."""
        if base.snapshot is None or base.snapshot == current.snapshot:
            return False
        rows = self._spark.table(f"{self._path}.snapshots").select("snapshot_id", "parent_id", "operation").collect()
        snapshots = {row.snapshot_id: row for row in rows}
        snapshot = current.snapshot
        while snapshot in snapshots and snapshots[snapshot].operation == "replace":
            snapshot = snapshots[snapshot].parent_id
            if snapshot == base.snapshot:
                return True
        return False

    @contextmanager
    def _snapshot_properties(self, properties: Mapping[str, str]) -> Iterator[None]:
        settings = {f"spark.sql.iceberg.snapshot-property.{name}": value for name, value in properties.items()}
        for name, value in settings.items():
            self._spark.conf.set(name, value)
        try:
            yield
        finally:
            for name in settings:
                self._spark.conf.unset(name)

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except (PySparkException, Py4JJavaError) as error:
            raise OutputError(f"the table {self.name} cannot be used: {spark_reason(error)}") from None

    @contextmanager
    def _explain_conflicts(self, table: str) -> Iterator[None]:
        try:
            yield
        except (PySparkException, Py4JJavaError) as error:
            if is_conflict(error):
                raise OutputError(
                    f"another run has changed {table} since this run has read it, so this wave's scores were discarded: do not"
                    " start a run before the previous one has ended"
                ) from None
            raise


def read_state(spark: SparkSession, name: str) -> TableState:
    """The current state of an existing table.

    Raises:
        OutputError: it is not a table of scores of this release.
    """
    path = f"{CATALOG}.{name}"
    properties, schema = properties_of(spark, path), spark.table(path).schema
    check_format(properties, name)
    check_schema(schema, name)
    snapshot, began_at = properties["current-snapshot-id"], properties.get(BACKFILL_PROPERTY)
    return TableState(
        schema,
        None if snapshot == "none" else int(snapshot),
        datetime.fromisoformat(began_at).astimezone(UTC) if began_at else None,
    )
