"""Reader of tables of scores that releases before Iceberg wrote: a folder with version files.

    versions/00000012.json      files and labels of version 12; the highest version is current
    data/…/part-….parquet       rows

This module is only for `undertone-batch import`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import StructType
from undertone_client.jobs import InputError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class OldTable:
    """The current version of an old table.

    Attributes:
        path: The folder.
        number: The number of the version.
        labels: The emotions, in order.
        rows: The number of rows.
        files: The files with the rows, relative to the folder.
        bucket_count: The number of buckets of ids.
        backfill_began_at: The start of an unfinished backfill; None without one.
    """

    path: str
    number: int
    labels: Sequence[str]
    rows: int
    files: Sequence[str]
    bucket_count: int
    backfill_began_at: datetime | None

    @classmethod
    def open(cls, spark: SparkSession, path: str) -> "OldTable":
        """Reads the current version.

        Raises:
            InputError: the folder has no table, or its version file is damaged.
        """
        path = path.rstrip("/")
        try:
            texts = spark.read.text(f"{path}/versions", wholetext=True, pathGlobFilter="*.json")
            newest = texts.orderBy(sql.col("_metadata.file_name").desc()).first()
        except (PySparkException, Py4JJavaError):
            newest = None
        if newest is None:
            raise InputError(f"{path} has no readable file in versions/: use the folder of a table of an earlier release")
        try:
            version = json.loads(newest.value)
            buckets = version["buckets"].values()
            began_at = version["backfill_began_at"]
            table = cls(
                path,
                version["number"],
                version["labels"],
                sum(bucket["rows"] for bucket in buckets),
                [file for bucket in buckets for file in bucket["files"]],
                version["bucket_count"],
                datetime.fromisoformat(began_at) if began_at else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the newest version file of {path} is damaged ({error!r}): restore it from a copy") from None
        if version.get("format") != FORMAT:
            raise InputError(f"{path} has format {version.get('format')!r}, but only format {FORMAT} can be imported")
        return table

    def read(self, spark: SparkSession, schema: StructType) -> DataFrame:
        """The rows with the columns of `schema`. Columns that a file lacks are null.

        Raises:
            InputError: rows are missing, or ids are not unique.
        """
        if not self.files:
            return spark.createDataFrame([], schema)
        try:
            rows = spark.read.schema(schema).parquet(*(f"{self.path}/{file}" for file in self.files))
            count, ids = rows.agg(sql.count("*"), sql.count_distinct("id")).collect()[0]
        except (PySparkException, Py4JJavaError):
            raise InputError(
                f"files of version {self.number} of {self.path} cannot be read: restore them from a copy"
            ) from None
        if not count == ids == self.rows:
            raise InputError(
                f"version {self.number} of {self.path} has {count:,} rows with {ids:,} ids instead of {self.rows:,} rows:"
                " restore its files from a copy"
            )
        return rows
