"""The table as Spark, pyiceberg and DuckDB read it after faults at each step of a run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode
from undertone_batch.layout import Layout

from tests.integration.support import score_table
from tests.integration.support.background_service import BackgroundService
from tests.integration.support.crash_images import CrashImages
from tests.integration.support.duckdb_reader import DuckDBReader, duckdb_reader, needs_duckdb_iceberg
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, dead_letters, run, write_source
from tests.integration.support.table_readers import Rows, normalized, same_rows

pytestmark = [needs_java, needs_iceberg, needs_duckdb_iceberg]

DAY_1 = {str(number): f"Paragraph {number} as on the first day" for number in range(8)}
DAY_2 = {
    **{ident: text for ident, text in DAY_1.items() if ident not in ("0", "1")},
    "2": "This is a different text",
    "3": "This is a different text, too",
    "new": "This paragraph is new today",
    "long": TOO_LONG,
}


@pytest.fixture(scope="module")
def duckdb() -> Iterator[DuckDBReader]:
    with duckdb_reader() as reader:
        yield reader


def committed(config: JobConfig) -> list[Rows]:
    """The rows of each snapshot that was the current one, as pyiceberg reads them."""
    table = score_table.load(config.catalog.local_warehouse, str(config.table))
    snapshots = [entry.snapshot_id for entry in table.history()]
    return [normalized(table.scan(snapshot_id=snapshot).to_arrow().to_pylist()) for snapshot in snapshots]


def test_a_driver_that_is_killed_at_any_step_leaves_a_commit_and_the_next_run_completes_it(
    spark: SparkSession, service: BackgroundService, config: JobConfig, duckdb: DuckDBReader, tmp_path: Path
) -> None:
    service.fake.thresholds = (0.5,) * len(service.fake.labels)
    config = replace(config, layout=Layout(bucket_count=1))
    write_source(config, {**DAY_1, "long": TOO_LONG})
    run(spark, config, mode=RunMode.BACKFILL, run_id="day-1")
    before = same_rows(spark, duckdb, config)

    write_source(config, DAY_2)
    crashes = CrashImages(config.catalog.local_warehouse, tmp_path / "copies")
    with crashes.taken():
        run(spark, config, run_id="day-2")
    states = committed(config)
    after = same_rows(spark, duckdb, config)
    assert states == [before, after]
    kills = crashes.kills()
    assert len(kills) > 5, "before, in, between and after the statements"
    for image in kills:
        crashes.restore(image)
        assert same_rows(spark, duckdb, config) in states, image.statement
        if image is kills[0]:  # the start of the run itself
            continue
        run(spark, config, run_id="day-2")
        assert committed(config)[-1] == after, image.statement
        letters = sorted((letter["id"], letter["run_id"]) for letter in dead_letters(config))
        assert letters == [("long", "day-1"), ("long", "day-2")], image.statement
    assert same_rows(spark, duckdb, config) == after
