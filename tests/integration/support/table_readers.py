"""The rows of a table of scores as Spark, pyiceberg and DuckDB read them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pyspark.sql import SparkSession
from undertone_batch import JobConfig, read_scores

from tests.integration.support import score_table
from tests.integration.support.duckdb_reader import DuckDBReader

COLUMNS: Final = [
    "id",
    "text_sha256",
    "labels_above_threshold",
    "label",
    "joy",
    "neutral",
    "model_version",
    "policy",
    "deleted_at",
]
"""Columns of a table with scores of a multi-label model."""

Rows = list[tuple[str, ...]]


def same_rows(spark: SparkSession, duckdb: DuckDBReader, config: JobConfig) -> Rows:
    """The rows of the table, sorted. Checks that the three engines read the same ones."""
    name = str(config.table)
    table = score_table.load(config.catalog.local_warehouse, name)
    by_pyiceberg = normalized(table.scan().to_arrow().to_pylist())
    by_duckdb = normalized(duckdb.read(table.metadata_location, COLUMNS))
    frame = read_scores(spark, config.table, config.catalog, deleted=True)
    by_spark = normalized(row.asDict() for row in frame.select(*COLUMNS).collect())
    assert by_pyiceberg == by_duckdb == by_spark
    return by_spark


def normalized(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Rows as sorted tuples of texts."""
    texts = ({name: str(row[name]) for name in COLUMNS} for row in rows)
    # The engines write times differently.
    return sorted(
        tuple(("no" if row[name] == "None" else "yes") if name == "deleted_at" else row[name] for name in COLUMNS)
        for row in texts
    )
