"""Parts of SQL statements on Iceberg tables, and the properties of such a table."""

from collections.abc import Sequence

from pyspark.sql import SparkSession
from undertone_client.jobs.catalog import CATALOG


def bucket_of(bucket_count: int, column: str) -> str:
    """The bucket of an id, by the function that also partitions the table. Null has bucket 0."""
    return f"coalesce({CATALOG}.system.bucket({bucket_count}, {column}), 0)"


def in_buckets(bucket_count: int, column: str, buckets: Sequence[int]) -> str:
    """Whether an id that is not null is in some buckets. Iceberg skips all other partitions."""
    return f"{CATALOG}.system.bucket({bucket_count}, {column}) IN ({', '.join(map(str, buckets))})"


def version_of(table: str, version: int | str) -> str:
    """The rows of a snapshot, by its id, or of a branch, by its name."""
    return f"SELECT * FROM {table} VERSION AS OF {version!r}"  # noqa: S608 - names are checked


def properties_of(spark: SparkSession, table: str) -> dict[str, str]:
    """The properties of a table, with `current-snapshot-id`, which is `none` before a commit."""
    return {row.key: row.value for row in spark.sql(f"SHOW TBLPROPERTIES {table}").collect()}
