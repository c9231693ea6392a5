"""Tables and folders of other programs at the name of the table."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, read_scores
from undertone_batch.layout import Layout, TableFormat
from undertone_batch.maintenance import Maintenance, Retention
from undertone_batch.tables import open_table
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG
from undertone_client.jobs.table_properties import FORMAT_PROPERTY

from tests.integration.support import score_table
from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import run, table, write_source

pytestmark = [needs_java, needs_iceberg]

TEXTS = {"1": "A paragraph that is not sent", "2": "Another one that is not sent"}


def test_a_table_of_another_program_is_refused_and_unchanged(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    write_source(config, TEXTS)
    open_table(spark, config.table, config.catalog, config.layout).close()  # configures the catalogue
    path = f"{CATALOG}.{config.table}"
    spark.sql(f"CREATE NAMESPACE {CATALOG}.{config.table.namespace}")
    spark.sql(f"CREATE TABLE {path}_dead_letters (id string, error string) USING iceberg")
    with pytest.raises(OutputError, match="posts_dead_letters is not a table of dead letters of this release: its columns"):
        run(spark, config)
    spark.sql(f"CREATE TABLE {path} (id string, label array<string>) USING iceberg")
    spark.sql(f"DROP TABLE {path}_dead_letters")
    message = r"emotions\.posts is not a table of scores of this release: its columns document, .*, label, .* are missing"
    with pytest.raises(OutputError, match=message):
        run(spark, config)
    with pytest.raises(OutputError, match=message):
        read_scores(spark, config.table, config.catalog)
    with pytest.raises(OutputError, match=message):
        list(Maintenance(spark, Retention(), datetime.now(UTC)).run(config.table))
    assert score_table.load(config.catalog.local_warehouse).schema().as_arrow().names == ["id", "label"]
    assert service.received_texts() == []


def test_a_table_of_another_format_or_release_is_refused_and_unchanged(spark: SparkSession, config: JobConfig) -> None:
    write_source(config, TEXTS)
    run(spark, config)
    parquet = replace(config, mode=RunMode.BACKFILL, layout=Layout(TableFormat.PARQUET, bucket_count=1))
    with pytest.raises(OutputError, match="posts has files that are not a table of scores in Parquet: set --table to another"):
        run(spark, parquet)
    assert table(spark, config).keys() == TEXTS.keys()
    other = replace(config.table, name="others")
    run(spark, parquet, table=other)
    with pytest.raises(OutputError, match="others is a table of scores in Parquet: set --table to another name"):
        run(spark, config, table=other)
    assert read_scores(spark, other, config.catalog, table_format=TableFormat.PARQUET).count() == len(TEXTS)
    spark.sql(f"ALTER TABLE {CATALOG}.{config.table} SET TBLPROPERTIES ('{FORMAT_PROPERTY}' = '99')")
    for use in (lambda: run(spark, config), lambda: read_scores(spark, config.table, config.catalog)):
        with pytest.raises(OutputError, match=r"posts has layout 99, but this release reads 1: use the release that wrote it"):
            use()
