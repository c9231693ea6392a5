"""The Iceberg table of the job: writers at the same time, leftovers, schema and layout."""

import contextlib
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, ScoringJob, read_scores
from undertone_batch.diff import DiffKind
from undertone_batch.iceberg_staging import drop_leftovers, new_branch_name, staged
from undertone_batch.layout import Layout, PartitionBy
from undertone_batch.merge import ChangeCounts, count_changes
from undertone_batch.tables import open_table
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG

from tests.integration.support import score_table
from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import until
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, assert_score_of, run, table, write_source

pytestmark = [needs_java, needs_iceberg]

TEXTS = {str(number): f"Paragraph {number} of a table" for number in range(40)}


def leftovers(spark: SparkSession, config: JobConfig) -> list[str]:
    """The names of staging tables and branches."""
    tables = spark.sql(f"SHOW TABLES IN {CATALOG}.{config.table.namespace}").collect()
    branches = spark.table(f"{CATALOG}.{config.table}.refs").collect()
    return [row.tableName for row in tables if "staging" in row.tableName] + sorted(
        row["name"] for row in branches if row["name"] != "main"
    )


def run_and_catch(job: ScoringJob) -> None:
    """Runs a job. Its summary has the error."""
    with contextlib.suppress(OutputError):
        job.run()


def test_the_second_of_two_attempts_of_a_run_fails_and_loses_nothing(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    """Two attempts of one run id at the same time, as on YARN."""
    write_source(config, TEXTS)
    config = replace(config, run_id="same")
    run(spark, config, run_id="before")
    changed = TEXTS | {"3": "This text is different today", "new": "This paragraph is new today", "long": TOO_LONG}
    write_source(config, changed)
    service.close_gate()
    jobs = [ScoringJob(spark.newSession(), config) for _ in range(2)]
    threads = [threading.Thread(target=run_and_catch, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    until(lambda: all(job.expected_paragraphs is not None for job in jobs), "both have compared the source with the table")
    service.open_gate()
    for thread in threads:
        thread.join()
    (error,) = [job.summary.error for job in jobs if job.summary.error is not None]
    assert error.startswith("another run has changed emotions.posts")
    rows = table(spark, config)
    assert rows.keys() == changed.keys() - {"long"}
    for ident, row in rows.items():
        assert_score_of(row, changed[ident])
    assert len(score_table.load(config.catalog.local_warehouse).history()) == 2
    assert leftovers(spark, config) == []


def test_leftovers_of_killed_runs_are_dropped_by_age(spark: SparkSession, config: JobConfig) -> None:
    open_table(spark, config.table, config.catalog, config.layout).close()  # configures the catalogue
    path = f"{CATALOG}.{config.table}"
    spark.sql(f"CREATE NAMESPACE {CATALOG}.{config.table.namespace}")
    spark.sql(f"CREATE TABLE {path} (id string) USING iceberg")
    for name, age in (("old", timedelta(days=4)), ("new", timedelta(hours=4))):
        staged_at = (datetime.now(UTC) - age).isoformat()
        spark.sql(
            f"CREATE TABLE {path}_staging_{name} (id string) USING iceberg"
            f" TBLPROPERTIES ('undertone.staged-at' = '{staged_at}')"
        )
        spark.sql(f"ALTER TABLE {path} CREATE BRANCH {new_branch_name(datetime.now(UTC) - age)}")
    spark.sql(f"ALTER TABLE {path} CREATE BRANCH undertone_audit")
    drop_leftovers(spark, path, datetime.now(UTC))
    found = leftovers(spark, config)
    assert (len(found), found[0], found[-1]) == (3, "posts_staging_new", "undertone_audit")
    in_four_days = datetime.now(UTC) + timedelta(days=4)
    spark.sql(f"ALTER TABLE {path} CREATE BRANCH {(live := new_branch_name(in_four_days))}")
    drop_leftovers(spark, path, in_four_days)
    assert leftovers(spark, config) == [live, "undertone_audit"], "of the snapshots of four days ago"


def test_a_staging_table_is_deleted_with_its_files(spark: SparkSession, config: JobConfig) -> None:
    open_table(spark, config.table, config.catalog, config.layout).close()  # configures the catalogue
    spark.sql(f"CREATE NAMESPACE {CATALOG}.{config.table.namespace}")
    lake = config.catalog.local_warehouse

    def files() -> list[str]:
        return sorted(file.suffix for file in lake.rglob("*") if file.is_file() and not file.name.startswith("catalog"))

    with staged(spark.range(3).toDF("id"), f"{CATALOG}.{config.table}", f"{lake}/{config.table.name}") as frame:
        assert frame.count() == 3
        assert {".parquet", ".avro", ".json"} <= set(files())
    assert files() == []
    assert spark.sql(f"SHOW TABLES IN {CATALOG}.{config.table.namespace}").collect() == []


def test_a_commit_survives_compaction_during_the_run(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    write_source(config, TEXTS)
    first = run(spark, config)
    write_source(config, TEXTS | {"3": "This text is different today"})
    service.close_gate()
    job = ScoringJob(spark, config)
    running = threading.Thread(target=job.run)
    running.start()
    service.wait_for_in_flight(1)
    call = f"CALL {CATALOG}.system.rewrite_data_files(table => '{config.table}', options => map('rewrite-all', 'true'))"
    other = spark.newSession()
    read_scores(other, config.table, config.catalog)
    other.sql(call).collect()
    service.open_gate()
    running.join()
    assert job.summary.error is None
    history = score_table.load(config.catalog.local_warehouse).history()
    assert [entry.snapshot_id for entry in history][::2] == [first.snapshot, job.summary.snapshot]
    assert_score_of(table(spark, config)["3"], "This text is different today")


def test_a_table_with_days_as_partitions(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    config = replace(config, layout=Layout(partition_by=PartitionBy.DAY, bucket_count=2), wave_rows=1)
    write_source(config, TEXTS)
    first = run(spark, config, mode=RunMode.BACKFILL)
    assert len(first.waves) == 2
    write_source(config, TEXTS | {"3": "This text is different today"})
    second = run(spark, config)
    assert (second.kinds, len(second.waves)) == ({DiffKind.CURRENT: 39, DiffKind.MUTATED: 1}, 1)
    loaded = score_table.load(config.catalog.local_warehouse)
    assert [field.name for field in loaded.spec().fields] == ["scored_at_day"]
    rows = table(spark, config)
    assert rows.keys() == TEXTS.keys()
    assert_score_of(rows["3"], "This text is different today")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    times = {entry.snapshot_id: datetime.fromtimestamp(entry.timestamp_ms / 1000, UTC) for entry in loaded.history()}
    assert first.snapshot is not None
    at = times[first.snapshot]
    for as_of in (first.snapshot, at, at.replace(tzinfo=None), at.astimezone(ZoneInfo("Asia/Tokyo"))):
        before = read_scores(spark, config.table, config.catalog, as_of=as_of).collect()
        assert_score_of(next(row for row in before if row.id == "3"), TEXTS["3"])
    for as_of in (1, min(times.values()) - timedelta(milliseconds=1)):
        with pytest.raises(OutputError, match=f"emotions.posts has no snapshot as of {re.escape(str(as_of))} "):
            read_scores(spark, config.table, config.catalog, as_of=as_of)


def test_a_change_that_was_written_twice_is_detected(spark: SparkSession) -> None:
    once = (
        "('a', 'new', 'OK', 'score', 1L), (NULL, 'invalid', 'INVALID_ARGUMENT', NULL, 2L),"
        " (NULL, 'invalid', 'INVALID_ARGUMENT', NULL, 1L)"
    )
    columns = "AS changes(id, kind, status, action, copies)"
    assert count_changes(spark.sql(f"VALUES {once} {columns}")) == ChangeCounts(1, 3, 1, 1)
    with pytest.raises(OutputError, match="1 of 2 changes were written twice"):
        count_changes(spark.sql(f"VALUES {once}, ('a', 'new', 'UNAVAILABLE', NULL, 1L) {columns}"))
