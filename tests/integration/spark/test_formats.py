"""Formats of the source, with and without Spark packages."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from undertone_batch import JobConfig
from undertone_client.jobs import InputError

from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import assert_score_of, dead_letters_by_id, run, table

pytestmark = [needs_java, needs_iceberg]


class FakeFormat(DataSource):
    """Returns one row with the path and the snapshot that it was asked for."""

    @classmethod
    def name(cls) -> str:
        return "snapshots"

    def schema(self) -> str:
        return "id STRING, text STRING"

    def reader(self, schema: object) -> DataSourceReader:
        options = dict(self.options)

        class Reader(DataSourceReader):
            def read(self, partition: InputPartition) -> Iterator[tuple[str, str]]:
                yield options["path"], f"Paragraph of snapshot {options['snapshot-id']}"

        return Reader()


def test_the_error_for_a_missing_package_names_it(spark: SparkSession, config: JobConfig) -> None:
    release = spark.version.rpartition(".")[0]
    with pytest.raises(InputError) as error:
        run(spark, config, source=replace(config.source, format="delta"))
    assert f"--packages io.delta:delta-spark_{release}_2.13:" in str(error.value)
    assert not config.catalog.local_warehouse.exists()


def test_path_and_options_are_passed_to_the_format(spark: SparkSession, config: JobConfig) -> None:
    session = spark.newSession()
    session.dataSource.register(FakeFormat)
    run(session, config, source=replace(config.source, format="snapshots", options={"snapshot-id": "7"}))
    (row,) = table(session, config).values()
    assert row.id == config.source.locations[0]
    assert_score_of(row, "Paragraph of snapshot 7")


def test_a_text_that_spark_cannot_decode_is_a_dead_letter(spark: SparkSession, config: JobConfig) -> None:
    Path(config.source.locations[0]).write_bytes(
        'id,text\na,"Plain, and on\ntwo lines"\nb,A naïve paragraph\n'.encode("latin-1")
    )
    source = replace(config.source, format="csv")
    summary = run(spark, config, source=source)
    assert (summary.scored, summary.failed) == (1, 1)
    assert_score_of(table(spark, config)["a"], "Plain, and on\ntwo lines")
    assert "contains U+FFFD" in dead_letters_by_id(config)["b"]["reason"]
    run(spark, config, source=replace(source, options={"encoding": "ISO-8859-1"}))
    assert_score_of(table(spark, config)["b"], "A naïve paragraph")


def test_csv_with_padded_rows_and_other_columns_is_read(spark: SparkSession, config: JobConfig) -> None:
    Path(config.source.locations[0]).write_text('id,other,text\na,x,"One, two\nthree."\nb,,A whole paragraph.\n')
    assert run(spark, config, source=replace(config.source, format="csv")).scored == 2
