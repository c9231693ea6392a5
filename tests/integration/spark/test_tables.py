"""The table of scores in Spark: vacuum, and checks before a commit."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch.merge import ChangeCounts, count_changes
from undertone_batch.table import Table
from undertone_batch.version import Bucket, Version
from undertone_client.jobs import OutputError

from tests.integration.support.spark import needs_java

pytestmark = needs_java


def test_vacuum_keeps_the_files_of_uncommitted_versions(spark: SparkSession, tmp_path: Path) -> None:
    table = Table(spark, str(tmp_path))
    first = Version(1, 4, (), "one", datetime(2026, 3, 1, tzinfo=UTC), None, {0: Bucket(1, ("data/00000001-one/part",))})
    table.commit(first)
    table.commit(first.successor({}, "two", first.committed_at))
    for folder in ("00000001-one", "00000001-failed", "00000002-two", "00000003-another"):
        for parent in ("data", "staging"):
            (tmp_path / parent / folder).mkdir(parents=True)
    table.vacuum("three")
    assert {folder.name for folder in (tmp_path / "data").iterdir()} == {"00000001-one", "00000003-another"}
    assert {folder.name for folder in (tmp_path / "staging").iterdir()} == {"00000003-another"}


def test_a_change_that_was_written_twice_is_detected(spark: SparkSession) -> None:
    once = (
        "('a', 0, 'new', 'OK', 1L), (NULL, 0, 'invalid', 'INVALID_ARGUMENT', 2L), (NULL, 0, 'invalid', 'INVALID_ARGUMENT', 1L)"
    )
    columns = "AS changes(id, bucket, kind, status, copies)"
    assert count_changes(spark.sql(f"VALUES {once} {columns}")) == ChangeCounts(1, 3, {0: 1})
    with pytest.raises(OutputError, match="1 of 2 changes were written twice"):
        count_changes(spark.sql(f"VALUES {once}, ('a', 0, 'new', 'UNAVAILABLE', 1L) {columns}"))
