"""The time of the data that scheduled runs have scored, recorded in the table.

A scheduler can repeat an old day after a newer one, when it catches up or when a user clears a run.
A complete source of the old day would then return the table to an older state.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from pyspark.sql import SparkSession
from undertone_client import SettingsError
from undertone_client.jobs.catalog import CATALOG, TableName
from undertone_client.jobs.table_properties import AS_OF_PREFIX

from undertone_batch.iceberg_sql import properties_of

_JOB = re.compile(r"[A-Za-z0-9_.-]{1,250}")


@dataclass(frozen=True, slots=True)
class ScheduledTime:
    """The time of the data in the source of a scheduled run.

    Attributes:
        job: The name of the job. A table can have several, such as a daily job and a backfill.
        as_of: The time, in UTC.

    Raises:
        SettingsError: the name of the job cannot be part of the name of a table property.
    """

    job: str
    as_of: datetime

    def __post_init__(self) -> None:
        if not _JOB.fullmatch(self.job):
            raise SettingsError(f"with --as-of, the job name {self.job!r} is invalid: use letters, digits and _ . - for --job")


@dataclass(frozen=True, slots=True)
class Schedule:
    """The newest time of the data of each job.

    Attributes:
        times: The times by the name of the job.
    """

    times: Mapping[str, datetime]

    @classmethod
    def read(cls, spark: SparkSession, table: TableName) -> Self:
        """Reads the properties of an existing table."""
        properties = properties_of(spark, f"{CATALOG}.{table}")
        return cls(
            {
                key.removeprefix(AS_OF_PREFIX): datetime.fromisoformat(value).astimezone(UTC)
                for key, value in properties.items()
                if key.startswith(AS_OF_PREFIX)
            }
        )

    def reason_to_skip(self, scheduled: ScheduledTime) -> str | None:
        """Why a run with a complete source must not change the table; None if it may."""
        for job, newest in self.times.items():
            if newest > scheduled.as_of:
                return (
                    f"the table has the data as of {newest.isoformat()} (job {job}), and this run's source is older"
                    f" ({scheduled.as_of.isoformat()}): it would return the table to an older state"
                )
        return None

    def record(self, spark: SparkSession, table: TableName, scheduled: ScheduledTime) -> None:
        """Records the time of a successful run, unless a newer one is recorded."""
        newest = self.times.get(scheduled.job)
        if newest is None or newest < scheduled.as_of:
            value = scheduled.as_of.isoformat()
            spark.sql(f"ALTER TABLE {CATALOG}.{table} SET TBLPROPERTIES ('{AS_OF_PREFIX}{scheduled.job}' = '{value}')")
