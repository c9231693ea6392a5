"""Staging tables, which keep the scores of a wave until its commit."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame

STAGING_SUFFIX = "_staging_"


@contextmanager
def staged(rows: DataFrame, table: str) -> Iterator[DataFrame]:
    """Writes rows to a new table beside `table`, and drops it at the end.

    An Iceberg table instead of a folder: it needs no other credentials than the table itself, and
    its commit leaves out the files of failed and speculative task attempts on every file system.
    """
    spark = rows.sparkSession
    name = f"{table}{STAGING_SUFFIX}{uuid.uuid4().hex[:12]}"
    try:
        rows.writeTo(name).using("iceberg").tableProperty("write.distribution-mode", "none").create()
        yield spark.table(name)
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {name} PURGE")
