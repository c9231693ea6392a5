"""The table of scores: immutable Parquet files, and version files that list the current ones."""

from collections.abc import Collection, Iterable

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import DELETED_AT_COLUMN, score_columns

from undertone_batch.filesystem import FileSystem
from undertone_batch.version import Bucket, Version

NOT_IN_SPARK = frozenset({"document", "position"})
"""Columns of `undertone score` that rows of Spark lack: they have an id and no order."""


def bucket_of(ident: Column, bucket_count: int) -> Column:
    """The bucket of an id. The hash is the same in every release of Spark."""
    return sql.pmod(sql.xxhash64(ident), sql.lit(bucket_count)).cast("int")


def schema(labels: Iterable[str]) -> StructType:
    """The columns of the table: `undertone score`'s without NOT_IN_SPARK, and `deleted_at`.

    Raises:
        OutputError: an emotion is named like another column.
    """
    columns = [field for field in score_columns(tuple(labels), more=[DELETED_AT_COLUMN]) if field.name not in NOT_IN_SPARK]
    return from_arrow_schema(pa.schema(columns))


class Table:
    """A table in a folder.

        versions/00000012.json                       files of version 12; the highest is current
        data/00000012-RUN/bucket=7/part-….parquet    rows; the files never change
        staging/00000012-RUN/                        intermediate results of version 12
        dead-letters/00000012-RUN/part-….json        paragraphs that version 12 has no score for
        runs/RUN.json                                summary of a run

    Parquet on an object store cannot replace a partition atomically: Spark's dynamic overwrite
    deletes the old files first and then moves the new ones in. Here nothing is replaced. New files
    are invisible until a version file lists them, and that small file appears atomically.
    """

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.files = FileSystem(spark, path)
        self._spark = spark

    @property
    def path(self) -> str:
        """The folder."""
        return self.files.root

    def current(self) -> Version | None:
        """The current version; None in an empty folder.

        Raises:
            OutputError: the folder cannot be read, or the version file is damaged.
        """
        names = self._version_files()
        return self._read_version(names[-1]) if names else None

    def read(self, version: Version, buckets: Iterable[int] | None = None) -> DataFrame:
        """The rows of some buckets, by default of all. Includes rows that are marked as deleted."""
        files = [f"{self.path}/{file}" for file in version.files(buckets)]
        columns = schema(version.labels)
        # A file without the column of a later emotion has null there.
        return self._spark.read.schema(columns).parquet(*files) if files else self._spark.createDataFrame([], columns)

    def write(self, rows: DataFrame, folder: str, buckets: Collection[int]) -> dict[int, Bucket]:
        """Writes rows, which have the table's columns and `bucket`, to one file for each bucket.

        A very large bucket gets several files.

        Returns:
            The written buckets; an empty one for each bucket without rows.
        """
        writer = rows.repartition(len(buckets), "bucket").write.partitionBy("bucket").option("maxRecordsPerFile", 2_000_000)
        writer.mode("overwrite").parquet(f"{self.path}/data/{folder}")
        written = self._spark.read.schema(rows.schema).parquet(f"{self.path}/data/{folder}")
        counts = written.groupBy("bucket", "_metadata.file_path").count().collect()
        result: dict[int, Bucket] = dict.fromkeys(buckets, Bucket(0, ()))
        for number, location, count in sorted(counts):
            bucket = result[number]
            # Spark returns URLs in the file system's notation. The part from the folder on is ours.
            name = location[location.rindex(f"/data/{folder}/") + 1 :]
            result[number] = Bucket(bucket.rows + count, (*bucket.files, name))
        return result

    def stage(self, rows: DataFrame, folder: str) -> DataFrame:
        """Writes rows and reads them back, so that Spark computes them only once."""
        path = f"{self.path}/staging/{folder}"
        rows.write.mode("overwrite").parquet(path)
        return self._spark.read.schema(rows.schema).parquet(path)

    def write_dead_letters(self, rows: DataFrame, folder: str) -> None:
        rows.coalesce(1).write.mode("overwrite").option("ignoreNullFields", "false").json(f"{self.path}/dead-letters/{folder}")

    def write_summary(self, run_id: str, text: str) -> None:
        self.files.write(f"runs/{run_id}.json", text)

    def commit(self, version: Version) -> None:
        """Makes a version the current one.

        Raises:
            OutputError: another run has committed a version with this number.
        """
        name = f"versions/{version.number:08d}.json"
        if not self.files.create(name, version.to_json()) or self._read_version(name).run != version.run:
            raise OutputError(
                f"another run has committed version {version.number} of {self.path}, so this run's scores were discarded:"
                " do not start a run before the previous one has ended"
            )

    def vacuum(self, run_id: str) -> None:
        """Deletes old versions and unused files.

        Keeps the versions of the run and the one before, which may have readers, and the files of
        versions that another run has not committed yet.
        """
        names = self._version_files()
        versions = [self._read_version(name) for name in names]
        own = sum(version.run == run_id for version in versions)
        retained = versions[-(own + 1) :]
        used = {file.split("/")[1] for version in retained for file in version.files()}
        for name in names[: -(own + 1)]:
            self.files.delete(name)
        for folder in self.files.names("data"):
            if folder not in used and _is_committed(folder, versions[-1]):
                self.files.delete(f"data/{folder}")
        for folder in self.files.names("staging"):
            if _is_committed(folder, versions[-1]):
                self.files.delete(f"staging/{folder}")

    def _version_files(self) -> list[str]:
        return [f"versions/{name}" for name in self.files.names("versions") if name.endswith(".json")]

    def _read_version(self, name: str) -> Version:
        return Version.from_json(self.files.read(name), f"{self.path}/{name}")


def _is_committed(folder: str, last: Version) -> bool:
    """Whether the version of a folder NUMBER-RUN exists.

    This run or another may have committed it.
    """
    number = folder.partition("-")[0]
    return number.isdecimal() and int(number) <= last.number


def read_scores(spark: SparkSession, path: str, *, deleted: bool = False) -> DataFrame:
    """The current rows of a table of scores. Later runs do not change the frame.

    Args:
        spark: The session.
        path: The folder of the table.
        deleted: Include rows whose paragraph is not in the source any more. Their `deleted_at` is
            not null.

    Raises:
        OutputError: the folder has no table, or cannot be read.
    """
    table = Table(spark, path)
    version = table.current()
    if version is None:
        raise OutputError(f"{path} has no table of scores: create one with `undertone-batch run`")
    rows = table.read(version)
    return rows if deleted else rows.where(sql.col("deleted_at").isNull())
