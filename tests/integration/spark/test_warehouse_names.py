"""Warehouses in folders with odd names."""

from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession
from undertone_batch import JobConfig
from undertone_batch.diff import DiffKind

from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import dead_letters, run, table, write_source

pytestmark = [needs_java, needs_iceberg]


def test_a_warehouse_can_have_blanks_and_brackets_in_its_name(spark: SparkSession, config: JobConfig, tmp_path: Path) -> None:
    name = "lüke [v1] {a,b} * a+b#c"
    config = replace(config, catalog=replace(config.catalog, warehouse=str(tmp_path / name)))
    write_source(config, [{"id": "1", "text": "A paragraph in an odd folder"}, {"id": "2", "text": None}])
    assert run(spark, config).scored == 1
    assert run(spark, config).kinds == {DiffKind.CURRENT: 1, DiffKind.INVALID: 1}
    assert table(spark, config).keys() == {"1"}
    assert {letter["id"] for letter in dead_letters(config)} == {"2"}
    assert {entry.name for entry in tmp_path.iterdir()} == {"source", name}
