"""A table in S3 with a REST catalogue, both served by SeaweedFS."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyiceberg.catalog import load_catalog
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, read_scores
from undertone_cli.__main__ import undertone
from undertone_client.jobs.catalog import CATALOG, CatalogSettings

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.rest_catalog import needs_rest_catalog, rest_catalog
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, run, write_source
from tests.integration.support.table_readers import normalized

pytestmark = [needs_java, needs_iceberg, needs_rest_catalog]

TEXTS = {str(number): f"Paragraph {number} of a table with a service" for number in range(4)}


@pytest.fixture
def catalog() -> Iterator[CatalogSettings]:
    with rest_catalog() as settings:
        yield settings


def test_the_job_and_the_command_share_a_table_of_a_rest_catalogue(
    spark: SparkSession, service: BackgroundService, config: JobConfig, catalog: CatalogSettings, tmp_path: Path
) -> None:
    service.fake.thresholds = (0.5,) * len(service.fake.labels)
    config = replace(config, catalog=catalog)
    # The command creates the table: SeaweedFS 4.48 refuses field ids of 0, which Spark gives to the
    # first column, as the source of a partition.
    write_source(config, TEXTS)
    options = [f"--catalog-option={name}={value}" for name, value in catalog.options.items()]
    table = ["--table", str(config.table), "--catalog-type=rest", f"--catalog-uri={catalog.uri}", *options]
    source = [str(tmp_path / "source/rows.json"), "--format=jsonl", "--id-column=id", f"--out={tmp_path / 'out'}"]
    arguments = ["score", *source, "--target", service.target, "--warehouse", str(catalog.warehouse), *table]
    published = CliRunner().invoke(undertone, arguments)
    assert published.exit_code == 0, published.output
    assert "4 added" in published.output
    assert run(spark, config, mode=RunMode.BACKFILL).scored == 4
    write_source(config, {**TEXTS, "0": "This is a different text", "long": TOO_LONG})
    second = run(spark, config)
    assert (second.scored, second.failed, second.rows) == (1, 1, 4)

    by_spark = normalized(row.asDict() for row in read_scores(spark, config.table, catalog, deleted=True).collect())
    lake = load_catalog(CATALOG, **catalog.pyiceberg_properties)
    assert normalized(lake.load_table(str(config.table)).scan().to_arrow().to_pylist()) == by_spark
    assert [row[0] for row in by_spark] == list(TEXTS)
    letters = lake.load_table(str(config.table.dead_letters)).scan().to_arrow()
    assert letters["id"].to_pylist() == ["long"]
    tables = {name for _, name in lake.list_tables(config.table.namespace)}
    assert tables == {"posts", "posts_dead_letters"}, "no staging table remains"
