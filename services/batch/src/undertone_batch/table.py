"""The table of scores: immutable Parquet files, and version files that say which of them count."""

from collections.abc import Collection, Iterable

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import score_columns

from undertone_batch.filesystem import FileSystem
from undertone_batch.version import Bucket, Version

DELETED_AT = pa.field("deleted_at", pa.timestamp("us", tz="UTC"))
UNKNOWN = frozenset({"document", "position"})
"""What `undertone score` knows of a paragraph, and Spark does not: its rows have an id and no order."""


def bucket_of(ident: Column, bucket_count: int) -> Column:
    """The bucket of an id: the same in every release of Spark."""
    return sql.pmod(sql.xxhash64(ident), sql.lit(bucket_count)).cast("int")


def schema(labels: Iterable[str]) -> StructType:
    """The columns of the table: those of `undertone score`, as far as Spark knows them, and when a row was marked as deleted.

    Raises:
        OutputError: an emotion is named as one of the other columns.
    """
    known = [field for field in score_columns(tuple(labels), more=[DELETED_AT]) if field.name not in UNKNOWN]
    return from_arrow_schema(pa.schema(known))


class Table:
    """A folder with a table.

        versions/00000012.json                       which files are version 12; the highest number counts
        data/00000012-RUN/bucket=7/part-….parquet    files; once written, they never change
        staging/00000012-RUN/                        what is written on the way to version 12
        dead-letters/00000012-RUN/part-….json        what version 12 has no score for
        runs/RUN.json                                summary of a run

    Parquet on an object store has no atomic way to replace a partition: Spark's dynamic overwrite deletes the old files first
    and then moves the new ones in, one by one. Here nothing is replaced. New files lie beside the old ones, unseen until a
    version file names them, and that is one small file, which appears whole or not at all.
    """

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.files = FileSystem(spark, path)
        self._spark = spark

    @property
    def path(self) -> str:
        """Where the folder is."""
        return self.files.root

    def current(self) -> Version | None:
        """The version that counts, None before the first.

        Raises:
            OutputError: the folder cannot be read, or the version file is damaged.
        """
        names = self._versions()
        return self._version(names[-1]) if names else None

    def read(self, version: Version, buckets: Iterable[int] | None = None) -> DataFrame:
        """The rows of a version, those that are marked as deleted included; only of some buckets if they are named."""
        files = [f"{self.path}/{file}" for file in version.files(buckets)]
        columns = schema(version.labels)
        # A missing column, of an emotion that came later, is null.
        return self._spark.read.schema(columns).parquet(*files) if files else self._spark.createDataFrame([], columns)

    def write(self, rows: DataFrame, folder: str, buckets: Collection[int]) -> dict[int, Bucket]:
        """Write rows, which have a column `bucket` besides the table's own, and say what was written: an entry for each bucket.

        A bucket is one file, unless it is very large.
        """
        writer = rows.repartition(len(buckets), "bucket").write.partitionBy("bucket").option("maxRecordsPerFile", 2_000_000)
        writer.mode("overwrite").parquet(f"{self.path}/data/{folder}")
        written = self._spark.read.schema(rows.schema).parquet(f"{self.path}/data/{folder}")
        counts = written.groupBy("bucket", "_metadata.file_path").count().collect()
        found: dict[int, Bucket] = dict.fromkeys(buckets, Bucket(0, ()))
        for number, location, count in sorted(counts):
            bucket = found[number]
            # Spark gives locations as URLs of the file system's own making; from the folder on they are ours.
            name = location[location.rindex(f"/data/{folder}/") + 1 :]
            found[number] = Bucket(bucket.rows + count, (*bucket.files, name))
        return found

    def stage(self, rows: DataFrame, folder: str) -> DataFrame:
        """Write rows aside, so that what made them happens once, and read them back."""
        path = f"{self.path}/staging/{folder}"
        rows.write.mode("overwrite").parquet(path)
        return self._spark.read.schema(rows.schema).parquet(path)

    def write_dead_letters(self, rows: DataFrame, folder: str) -> None:
        """Write what has no score."""
        rows.coalesce(1).write.mode("overwrite").option("ignoreNullFields", "false").json(f"{self.path}/dead-letters/{folder}")

    def write_summary(self, run: str, text: str) -> None:
        """Write the summary of a run."""
        self.files.write(f"runs/{run}.json", text)

    def commit(self, version: Version) -> None:
        """Make `version` the one that counts.

        Raises:
            OutputError: there is one of its number already: another run is at work on the table.
        """
        name = _name(version.number)
        if not self.files.write_new(name, version.to_json()) or self._version(name).run != version.run:
            raise OutputError(
                f"another run has committed version {version.number} of {self.path}; what this one wrote does not count."
                " Let one run end before the next begins"
            )

    def tidy(self, run: str) -> None:
        """Delete the versions before `run` except the last, which somebody may be reading; and files that none has any more.

        What was written for a version that is still to come stays: another run may be about to commit it.
        """
        names = self._versions()
        versions = [self._version(name) for name in names]
        own = sum(version.run == run for version in versions)
        kept = versions[-(own + 1) :]
        named = {file.split("/")[1] for version in kept for file in version.files()}
        for name in names[: -(own + 1)]:
            self.files.delete(name)
        for folder in self.files.names("data"):
            if folder not in named and _settled(folder, versions[-1]):
                self.files.delete(f"data/{folder}")
        for folder in self.files.names("staging"):
            if _settled(folder, versions[-1]):
                self.files.delete(f"staging/{folder}")

    def _versions(self) -> list[str]:
        return [f"versions/{name}" for name in self.files.names("versions") if name.endswith(".json")]

    def _version(self, name: str) -> Version:
        return Version.from_json(self.files.read(name), f"{self.path}/{name}")


def _name(number: int) -> str:
    return f"versions/{number:08d}.json"


def _settled(folder: str, last: Version) -> bool:
    """Whether a folder NUMBER-RUN was written for a version that there is, be it by the run that committed it or another."""
    number = folder.partition("-")[0]
    return number.isdecimal() and int(number) <= last.number


def read_scores(spark: SparkSession, path: str, *, deleted: bool = False) -> DataFrame:
    """The table of scores in the folder `path`, as of now; later runs do not change what the frame shows.

    Args:
        spark: the session to read with.
        path: the folder of the table.
        deleted: whether to include rows whose paragraph is gone from the source; their `deleted_at` is not null.

    Raises:
        OutputError: there is no table, or it cannot be read.
    """
    table = Table(spark, path)
    version = table.current()
    if version is None:
        raise OutputError(f"there is no table of scores in {path}; `undertone-batch run` makes one")
    rows = table.read(version)
    return rows if deleted else rows.where(sql.col("deleted_at").isNull())
