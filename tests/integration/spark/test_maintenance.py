"""Maintenance of a table."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession
from undertone_batch import JobConfig
from undertone_batch.iceberg_staging import STAGED_AT_PROPERTY, new_branch_name
from undertone_batch.layout import Layout
from undertone_batch.maintenance import Maintenance, Retention
from undertone_client.jobs.catalog import CATALOG

from tests.integration.support import score_table
from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import run, table, write_source

pytestmark = [needs_java, needs_iceberg]

TEXTS = {str(number): f"Paragraph {number} of a table" for number in range(4)}


def files(config: JobConfig) -> set[Path]:
    return set(config.catalog.local_warehouse.rglob("*.parquet"))


def test_maintenance_merges_files_and_deletes_what_no_reader_needs(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    config = replace(config, layout=Layout(bucket_count=1))
    write_source(config, TEXTS)
    run(spark, config)
    path = f"{CATALOG}.{config.table}"
    for joy in (1, 2, 3, 4):  # as further runs do
        one = f"(SELECT '0' AS id) AS new ON {path}.id = new.id"
        spark.sql(f"MERGE INTO {path} USING {one} WHEN MATCHED THEN UPDATE SET joy = {joy}")
    rows = table(spark, config)
    # What killed runs have left: a branch, a staging table, and a file.
    spark.sql(f"ALTER TABLE {path} CREATE BRANCH {new_branch_name(datetime.now(UTC))}")
    staged_at = f"TBLPROPERTIES ('{STAGED_AT_PROPERTY}' = '{datetime.now(UTC).isoformat()}')"
    spark.sql(f"CREATE TABLE {path}_staging_0123456789ab USING iceberg {staged_at} AS SELECT 1 AS x")
    spark.sql(f"CREATE TABLE {path}_staging USING iceberg AS SELECT 1 AS x")
    data = config.catalog.local_warehouse / "emotions/posts/data"
    old, new = data / "old.parquet", data / "new.parquet"
    for orphan in (old, new):
        orphan.write_bytes(b"not committed")
    week_ago = time.time() - 7 * 86_400
    os.utime(old, (week_ago, week_ago))
    before, now = files(config), datetime.now(UTC)

    for step in Maintenance(spark, Retention(1, 1, 1), now, dry_run=True).run(config.table):
        assert "would" in step.action or "left" in step.action
    assert files(config) == before

    for _ in Maintenance(spark, Retention(1, 1, 1), now).run(config.table):
        pass
    assert table(spark, config) == rows
    assert before - files(config) == {old}, "the others are younger than a day"

    in_a_week = Maintenance(spark, Retention(1, 1, 1), now + timedelta(days=7)).run(config.table)
    for step in in_a_week:
        if "snapshots" in step.action:
            break
    assert table(spark, config) == rows
    tables = spark.sql(f"SHOW TABLES IN {CATALOG}.emotions").collect()
    assert {row.tableName for row in tables} == {"posts", "posts_staging"}
    stored = score_table.load(config.catalog.local_warehouse, str(config.table))
    assert len(stored.snapshots()) == 1
    assert set(stored.refs()) == {"main"}
    # One data file. Iceberg 1.11, the last one for Spark 4.0, leaves a file of deletions of no row.
    left = [0, 1] if spark.version.startswith("4.0.") else [0]
    assert sorted(stored.inspect.files()["content"].to_pylist()) == left
