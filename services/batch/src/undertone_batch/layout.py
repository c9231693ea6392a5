"""The layout of a new table: its format and its partitions."""

import enum
from dataclasses import dataclass

from undertone_client import SettingsError


class TableFormat(enum.StrEnum):
    """The format of the table of scores."""

    ICEBERG = "iceberg"
    PARQUET = "parquet"


class PartitionBy(enum.StrEnum):
    """The hidden partitions of an Iceberg table."""

    ID = "id"
    """Buckets of ids. A wave changes a few partitions."""
    DAY = "day"
    """Days of `scored_at`, for queries by time. Each wave reads the ids of all partitions."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a new table. An existing table keeps its own.

    Attributes:
        format: The format. Must be that of an existing table.
        partition_by: The partitions of an Iceberg table.
        bucket_count: The number of buckets of ids. Waves consist of buckets, also if these are not
            the partitions.

    Raises:
        SettingsError: a value is invalid.
    """

    format: TableFormat = TableFormat.ICEBERG
    partition_by: PartitionBy = PartitionBy.ID
    bucket_count: int = 64

    def __post_init__(self) -> None:
        if self.bucket_count < 1:
            raise SettingsError(f"bucket_count is {self.bucket_count}: use 1 or more")

    @property
    def partition(self) -> str:
        """The partitions in SQL."""
        return f"bucket({self.bucket_count}, id)" if self.partition_by is PartitionBy.ID else "days(scored_at)"
