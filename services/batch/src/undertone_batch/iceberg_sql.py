"""Parts of SQL statements on Iceberg tables."""

from collections.abc import Sequence

from undertone_client.jobs.catalog import CATALOG


def quoted(name: str) -> str:
    """A name as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def bucket_of(bucket_count: int, column: str) -> str:
    """The bucket of an id, by the function that also partitions the table. Null has bucket 0."""
    return f"coalesce({CATALOG}.system.bucket({bucket_count}, {column}), 0)"


def in_buckets(bucket_count: int, column: str, buckets: Sequence[int]) -> str:
    """Whether an id that is not null is in some buckets. Iceberg skips all other partitions."""
    return f"{CATALOG}.system.bucket({bucket_count}, {column}) IN ({', '.join(map(str, buckets))})"


def version_of(table: str, version: int | str) -> str:
    """The rows of a snapshot, by its id, or of a branch, by its name."""
    return f"SELECT * FROM {table} VERSION AS OF {version!r}"  # noqa: S608 - names are checked
