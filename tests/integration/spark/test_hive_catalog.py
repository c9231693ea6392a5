"""A table with a Hive catalogue, in a metastore of the Hive that is part of Spark."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyiceberg.catalog import load_catalog
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, read_scores
from undertone_cli.__main__ import undertone
from undertone_client.jobs.catalog import CATALOG, CatalogSettings, CatalogType

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.hive_metastore import THRIFT, hive_metastore, needs_thrift
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, run, write_source
from tests.integration.support.table_readers import normalized

pytestmark = [needs_java, needs_iceberg, needs_thrift]

TEXTS = {str(number): f"Paragraph {number} of a table in a metastore" for number in range(4)}


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CatalogSettings]:
    monkeypatch.syspath_prepend(THRIFT)
    with hive_metastore(tmp_path / "lake") as uri:
        yield CatalogSettings(CatalogType.HIVE, str(tmp_path / "lake"), uri, {"hive.hive2-compatible": "true"})


def test_the_job_and_the_command_share_a_table_of_a_hive_catalogue(
    spark: SparkSession, service: BackgroundService, config: JobConfig, catalog: CatalogSettings, tmp_path: Path
) -> None:
    service.fake.thresholds = (0.5,) * len(service.fake.labels)
    config = replace(config, catalog=catalog)
    write_source(config, {**TEXTS, "long": TOO_LONG})
    summary = run(spark, config)
    assert (summary.scored, summary.failed, summary.rows) == (4, 1, 4)
    source = [str(tmp_path / "source/rows.json"), "--format=jsonl", "--id-column=id", f"--out={tmp_path / 'out'}"]
    options = [f"--catalog-option={name}={value}" for name, value in catalog.options.items()]
    table = [f"--table={config.table}", "--catalog-type=hive", f"--catalog-uri={catalog.uri}", *options]
    arguments = ["score", *source, f"--target={service.target}", f"--warehouse={catalog.warehouse}", *table]
    write_source(config, {"0": "This is a different text", "new": "A paragraph of the command"})
    published = CliRunner().invoke(undertone, arguments)
    assert published.exit_code == 0, published.output

    by_spark = normalized(row.asDict() for row in read_scores(spark, config.table, catalog, deleted=True).collect())
    assert [row[0] for row in by_spark] == [*TEXTS, "new"]
    lake = load_catalog(CATALOG, **catalog.pyiceberg_properties)
    assert normalized(lake.load_table(str(config.table)).scan().to_arrow().to_pylist()) == by_spark
    tables = {name for _, name in lake.list_tables(config.table.namespace)}
    assert tables == {"posts", "posts_dead_letters"}, "no staging table remains"
