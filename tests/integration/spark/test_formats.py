"""Formats that Spark has only with a package of their own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from undertone_batch import Order
from undertone_client.jobs import InputError

from tests.integration import spark_parts
from tests.integration.spark.orders import assert_right, dead_letters, run, table

pytestmark = spark_parts.needs_java


class Iceberg(DataSource):
    """In the place of the real one: rows that say which path and which snapshot were asked for."""

    @classmethod
    def name(cls) -> str:
        return "iceberg"

    def schema(self) -> str:
        return "id STRING, text STRING"

    def reader(self, schema: object) -> DataSourceReader:
        asked = dict(self.options)

        class Reader(DataSourceReader):
            def read(self, partition: InputPartition) -> Iterator[tuple[str, str]]:
                yield asked["path"], f"Paragraph of snapshot {asked['snapshot-id']}"

        return Reader()


@pytest.mark.parametrize(
    ("form", "package"), [("delta", "io.delta:delta-spark_"), ("iceberg", "org.apache.iceberg:iceberg-spark-runtime-")]
)
def test_a_package_that_is_missing_is_named(spark: SparkSession, order: Order, form: str, package: str) -> None:
    release = spark.version.rpartition(".")[0]
    with pytest.raises(InputError) as raised:
        run(spark, order, source=replace(order.source, format=form))
    assert f"--packages {package}{release}_2.13:" in str(raised.value)
    assert not Path(order.table).exists()


def test_path_and_options_reach_the_package(spark: SparkSession, order: Order) -> None:
    session = spark.newSession()
    session.dataSource.register(Iceberg)
    run(session, order, source=replace(order.source, format="iceberg", options={"snapshot-id": "7"}))
    (row,) = table(session, order).values()
    assert row.id == order.source.locations[0]
    assert_right(row, "Paragraph of snapshot 7")


def test_what_spark_could_not_decode_is_a_dead_letter(spark: SparkSession, order: Order) -> None:
    Path(order.source.locations[0]).write_bytes(
        'id,text\na,"Plain, and on\ntwo lines"\nb,A naïve paragraph\n'.encode("latin-1")
    )
    source = replace(order.source, format="csv")
    summary = run(spark, order, source=source)
    assert (summary.scored, summary.failed) == (1, 1)
    assert_right(table(spark, order)["a"], "Plain, and on\ntwo lines")
    assert "has the character U+FFFD" in str(dead_letters(order)["b"]["reason"])
    run(spark, order, source=replace(source, options={"encoding": "ISO-8859-1"}))
    assert_right(table(spark, order)["b"], "A naïve paragraph")
