"""The table of scores as Spark writes it: what is deleted, and what is checked before a commit."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch.merge import ChangeCounts, change_counts
from undertone_batch.table import Table
from undertone_batch.version import Bucket, Version
from undertone_client.jobs import OutputError

from tests.integration import spark_parts

pytestmark = spark_parts.needs_java


def test_what_another_run_is_writing_is_left_to_it(spark: SparkSession, tmp_path: Path) -> None:
    kept = Table(spark, str(tmp_path))
    first = Version(1, 4, (), "one", datetime(2026, 3, 1, tzinfo=UTC), None, {0: Bucket(1, ("data/00000001-one/part",))})
    kept.commit(first)
    kept.commit(first.followed_by({}, "two", first.committed_at))
    for folder in ("00000001-one", "00000001-dead", "00000002-two", "00000003-another"):
        for parent in ("data", "staging"):
            (tmp_path / parent / folder).mkdir(parents=True)
    kept.tidy("three")
    assert {folder.name for folder in (tmp_path / "data").iterdir()} == {"00000001-one", "00000003-another"}
    assert {folder.name for folder in (tmp_path / "staging").iterdir()} == {"00000003-another"}


def test_rows_that_are_staged_twice_are_noticed(spark: SparkSession) -> None:
    once = (
        "('a', 0, 'new', 'OK', 1L), (NULL, 0, 'invalid', 'INVALID_ARGUMENT', 2L), (NULL, 0, 'invalid', 'INVALID_ARGUMENT', 1L)"
    )
    columns = "AS changes(id, bucket, kind, status, copies)"
    assert change_counts(spark.sql(f"VALUES {once} {columns}")) == ChangeCounts(1, 3, {0: 1})
    with pytest.raises(OutputError, match="1 of 2 changes were written more than once"):
        change_counts(spark.sql(f"VALUES {once}, ('a', 0, 'new', 'UNAVAILABLE', 1L) {columns}"))
