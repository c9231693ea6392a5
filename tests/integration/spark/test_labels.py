"""Tables of models with other labels, of another kind, and with labels that need quotes in SQL."""

from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, read_scores
from undertone_batch.layout import Layout, TableFormat
from undertone_client.jobs.catalog import CATALOG
from undertone_client.testing import expected_independent_probabilities, expected_probabilities
from undertone_protos.v1 import classifier_pb2

from tests.integration.support import score_table
from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import run, table, write_source

pytestmark = [needs_java, needs_iceberg]

TEXTS = {str(number): f"Paragraph {number} with labels" for number in range(6)}

AWKWARD = (
    "Joy / Élan",
    'say "cheese"',
    "l'ennui",
    "a.b",
    "back`tick",
    "percent%",
    "semi;colon",
    "(x, y)=1",
    " tab\t ",
    "new\nline",
)


def serve(service: BackgroundService, version: int, labels: tuple[str, ...], *, thresholds: tuple[float, ...] = ()) -> None:
    service.fake.version, service.fake.labels, service.fake.thresholds = version, labels, thresholds


def above(text: str, labels: tuple[str, ...], threshold: float) -> list[str]:
    probabilities = expected_independent_probabilities(text, len(labels))
    return [label for label, value in zip(labels, probabilities, strict=True) if value >= threshold]


def test_models_with_other_labels_and_of_the_other_kind_share_a_table(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    write_source(config, TEXTS)
    serve(service, 1, ("joy", "fear"))
    first = run(spark, config)
    assert "labels_above_threshold" not in score_table.load(config.catalog.local_warehouse).schema().as_arrow().names

    gone, *present = TEXTS
    write_source(config, {ident: TEXTS[ident] for ident in present})
    serve(service, 2, labels := ("awe", "joy"), thresholds=(0.5, 0.5))
    second = run(spark, config)
    assert second.scored == len(present)
    names = score_table.load(config.catalog.local_warehouse).schema().as_arrow().names
    assert names[3:9] == ["text_sha256", "labels_above_threshold", "label", "joy", "fear", "awe"]
    rows = score_table.read(config.catalog.local_warehouse)
    assert_single(rows[gone], ("joy", "fear"), TEXTS[gone], without="awe")
    for ident in present:
        awe, joy = expected_independent_probabilities(TEXTS[ident], 2)
        assert (rows[ident]["awe"], rows[ident]["joy"], rows[ident]["fear"]) == (pytest.approx(awe), pytest.approx(joy), None)
        assert rows[ident]["labels_above_threshold"] == above(TEXTS[ident], labels, 0.5)
    assert {len(rows[ident]["labels_above_threshold"]) for ident in present} == {0, 1, 2}
    assert table(spark, config)[present[0]].labels_above_threshold == rows[present[0]]["labels_above_threshold"]
    before = read_scores(spark, config.table, config.catalog, as_of=first.snapshot)
    assert (before.count(), "awe" in before.columns) == (len(TEXTS), False)

    serve(service, 3, ("joy", "fear"))
    assert run(spark, config).scored == len(present)
    assert score_table.load(config.catalog.local_warehouse).schema().as_arrow().names == names
    for ident, row in score_table.read(config.catalog.local_warehouse).items():
        assert_single(row, ("joy", "fear"), TEXTS[ident], without="awe")


def assert_single(row: dict[str, Any], labels: tuple[str, ...], text: str, *, without: str) -> None:
    assert [row[label] for label in labels] == pytest.approx(expected_probabilities(text, len(labels)))
    assert (row[without], row["labels_above_threshold"]) == (None, None)


@pytest.mark.parametrize(("table_format", "count"), [(TableFormat.ICEBERG, 40), (TableFormat.PARQUET, 15)])
def test_many_labels_with_names_that_need_quotes(
    spark: SparkSession, service: BackgroundService, config: JobConfig, table_format: TableFormat, count: int
) -> None:
    labels = AWKWARD + tuple(f"label {number}" for number in range(count - len(AWKWARD)))
    config = replace(config, layout=Layout(table_format, bucket_count=1), mode=RunMode.BACKFILL)
    write_source(config, TEXTS)
    if table_format is TableFormat.ICEBERG:  # a table of Parquet is written anew
        serve(service, 1, labels[10:15])
        run(spark, config)
    serve(service, 2, labels, thresholds=(0.5,) * count)
    run(spark, config)
    rows = read_scores(spark, config.table, config.catalog, table_format=table_format).collect()
    assert len(rows) == len(TEXTS)
    if table_format is TableFormat.ICEBERG:
        assert {ident: row["a.b"] for ident, row in score_table.read(config.catalog.local_warehouse).items()} == {
            row.id: row["a.b"] for row in rows
        }
    for row in rows:
        text = TEXTS[row.id]
        assert [row[label] for label in labels] == pytest.approx(expected_independent_probabilities(text, count))
        assert row.labels_above_threshold == above(text, labels, 0.5)


def test_a_table_of_an_earlier_release_gets_the_column_of_flags(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    write_source(config, {ident: TEXTS[ident] for ident in ("1", "2")})
    run(spark, config)
    spark.sql(f"ALTER TABLE {CATALOG}.{config.table} DROP COLUMN flags")
    foreign = "Ein Absatz mit Gefühl"
    service.fake.flags = {foreign: (classifier_pb2.FLAG_LANGUAGE, classifier_pb2.FLAG_UNREADABLE)}
    write_source(config, {"1": TEXTS["1"], "2": foreign, "3": TEXTS["3"]})
    run(spark, config)
    names = score_table.load(config.catalog.local_warehouse).schema().as_arrow().names
    assert names[names.index("truncated") :][:3] == ["truncated", "flags", "model_name"]
    rows = score_table.read(config.catalog.local_warehouse)
    assert {ident: row["flags"] for ident, row in rows.items()} == {"1": None, "2": "language,unreadable", "3": ""}
