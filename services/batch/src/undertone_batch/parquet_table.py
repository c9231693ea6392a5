"""The table of scores as a folder of Parquet files, for users without Iceberg."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import StructType
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CatalogSettings, TableName

from undertone_batch.table import Commit, TableState

_INCOMPLETE = -1


class ParquetTable:
    """A folder with the scores of the last backfill.

        WAREHOUSE/NAMESPACE/NAME/               the rows
        WAREHOUSE/NAMESPACE/NAME_state/         the number of rows; -1 while a run replaces them
        WAREHOUSE/NAMESPACE/NAME_dead_letters/  paragraphs without a score, by run and wave
        WAREHOUSE/NAMESPACE/_NAME_staging-…/    scores of a run that has not finished

    A run scores all paragraphs and replaces all rows at its end. It is not atomic: Spark deletes
    the old files before it moves the new ones in. `read_parquet_scores` refuses a table in between,
    but other readers see a part of the rows, or none. If the driver dies in between, the table must
    be scored again. Daily runs are therefore not possible: they need the old rows. Two runs at the
    same time leave the rows of one of them, or a table that is refused.
    """

    def __init__(self, spark: SparkSession, name: TableName, catalog: CatalogSettings, bucket_count: int) -> None:
        """
        Args:
            spark: The session.
            name: The table.
            catalog: The settings with the warehouse.
            bucket_count: The number of buckets, of which waves consist.
        """
        self.name = str(name)
        self._folder = parquet_folder(name, catalog)
        self.dead_letters_name = f"{self._folder}_dead_letters"
        self._spark = spark
        self._bucket_count = bucket_count
        parent, _, last = self._folder.rpartition("/")
        self._staging = f"{parent}/_{last}_staging-{uuid.uuid4().hex[:12]}"
        self._staged: list[str] = []
        self._rows = 0

    def open(self) -> TableState | None:
        """None. Raises OutputError if the folder has other files, which a run would delete."""
        if has_files(self._spark, self._folder) and not has_files(self._spark, f"{self._folder}_state"):
            raise OutputError(
                f"{self._folder} has files that are not a table of scores in Parquet: set --table to another name, or"
                " --table-format iceberg for an Iceberg table"
            )
        return None

    def create(self, schema: StructType) -> TableState:
        return TableState(schema)

    def add_columns(self, state: TableState, schema: StructType) -> TableState:
        return replace(state, schema=schema)

    def rows(self, state: TableState, buckets: Sequence[int] | None = None) -> DataFrame:
        return self._spark.createDataFrame([], state.schema)

    def bucket(self, column: str) -> Column:
        return sql.pmod(sql.xxhash64(column), sql.lit(self._bucket_count)).cast("int")

    @contextmanager
    def stage(self, rows: DataFrame) -> Iterator[DataFrame]:
        folder = f"{self._staging}/{len(self._staged)}"
        rows.write.mode("overwrite").parquet(folder)
        self._staged.append(folder)
        yield self._spark.read.schema(rows.schema).parquet(folder)

    def write_dead_letters(self, letters: DataFrame, count: int, run_id: str, buckets: Sequence[int]) -> None:
        folder = f"{self.dead_letters_name}/run_id={run_id}/wave={min(buckets)}"
        if not count and not has_files(self._spark, folder):
            return
        letters.drop("run_id").write.mode("overwrite").parquet(folder)

    def commit(self, state: TableState, commit: Commit) -> TableState:
        self._rows = commit.rows
        return state

    def finish(self, state: TableState) -> TableState:
        if self._staged:
            staged = self._spark.read.parquet(*self._staged)
            scores = staged.where(sql.col("status") == "OK").select("new.*")
        else:
            scores = self._spark.createDataFrame([], state.schema)
        rows = scores.count()
        if rows != self._rows:
            raise OutputError(f"{self.name} would have {rows:,} rows instead of {self._rows:,}. Nothing was replaced")
        self._write_state(_INCOMPLETE)
        scores.write.mode("overwrite").parquet(self._folder)
        self._write_state(rows)
        return replace(state, backfill_began_at=None)

    def close(self) -> None:
        path, file_system = _hadoop(self._spark, self._staging)
        file_system.delete(path, True)  # noqa: FBT003 - Java has no keywords

    def begin_backfill(self, state: TableState, began_at: datetime) -> TableState:
        return replace(state, backfill_began_at=began_at)

    def end_backfill(self, state: TableState) -> TableState:
        return replace(state, backfill_began_at=None)

    def _write_state(self, rows: int) -> None:
        frame = self._spark.createDataFrame([(rows,)], "rows bigint")
        frame.coalesce(1).write.mode("overwrite").parquet(f"{self._folder}_state")


def parquet_folder(name: TableName, catalog: CatalogSettings) -> str:
    """The folder of a table."""
    warehouse = catalog.warehouse or ""
    root = warehouse.rstrip("/") if "://" in warehouse else str(catalog.local_warehouse)
    return f"{root}/{name.namespace}/{name.name}"


def has_files(spark: SparkSession, folder: str) -> bool:
    """Whether a folder exists and is not empty."""
    path, file_system = _hadoop(spark, folder)
    return bool(file_system.exists(path)) and len(file_system.listStatus(path)) > 0


def _hadoop(spark: SparkSession, name: str) -> tuple[Any, Any]:
    """A path and its file system."""
    context: Any = spark.sparkContext  # PySpark has no public access to Hadoop's classes
    path = context._jvm.org.apache.hadoop.fs.Path(name)
    return path, path.getFileSystem(context._jsc.hadoopConfiguration())


def read_parquet_scores(spark: SparkSession, name: TableName, catalog: CatalogSettings) -> DataFrame:
    """The rows of a table.

    Raises:
        OutputError: the table does not exist, or a run replaces it or was killed while it did so.
    """
    folder = parquet_folder(name, catalog)
    try:
        (state,) = spark.read.parquet(f"{folder}_state").collect()
        frame = spark.read.parquet(folder) if state.rows != _INCOMPLETE else None
    except (AnalysisException, ValueError):
        raise OutputError(f"{folder} has no complete table of scores: run `undertone-batch run --mode backfill`") from None
    if frame is None or frame.count() != state.rows:
        raise OutputError(
            f"{folder} is incomplete: a run replaces it, or was killed while it did so. Wait for the run, or start a backfill"
        )
    return frame
