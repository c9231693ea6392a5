"""Paragraphs that cannot be scored become dead letters."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StringType, StructField, StructType
from undertone_batch import JobConfig, ScoringJob
from undertone_batch.diff import DiffKind
from undertone_batch.tables import open_table
from undertone_client import RetryPolicy
from undertone_client.jobs.catalog import CATALOG
from undertone_client.jobs.score_columns import DEAD_LETTER_COLUMNS
from undertone_client.testing import Fault

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, dead_letters, dead_letters_by_id, run, table, write_source

pytestmark = [needs_java, needs_iceberg]


def test_invalid_paragraphs_become_dead_letters(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    """The service refuses ids of more than 256 characters, so they are not sent."""
    long_good, long_bad = b"g" * 5_000, b"b" * 5_000
    rows = [
        (b"good", b"There is nothing wrong with this"),
        (b"good", b"There is nothing wrong with this"),
        (long_good, b"There is nothing wrong with that"),
        (long_bad, TOO_LONG.encode()),
        (b"two", b"One id for this text, and"),
        (b"two", b"the same id for that text"),
        (b"no text", None),
        (b"short", b"          ha          "),
        (b"huge", b"word " * 2_000_000),
        (b"text", b"not \xff in UTF-8, whatever it is"),
        ("a\ufffd".encode(), b"An odd id, but a valid one"),
        (b"a\xff", b"An id that is not, and a text"),
        (b"a\xfe", b"Another that is not, and a text"),
        (None, b"A text without an id"),
        (None, b"Another, which is there twice"),
        (None, b"Another, which is there twice"),
    ]
    folder = Path(config.source.locations[0])
    folder.mkdir()
    columns = {"id": [ident for ident, _ in rows], "text": [text for _, text in rows]}
    pq.write_table(pa.table(columns, pa.schema({"id": pa.binary(), "text": pa.binary()})), folder / "rows.parquet")
    summary = run(spark, config, source=replace(config.source, format="parquet"))
    assert summary.kinds == {DiffKind.NEW: 5, DiffKind.INVALID: 9, DiffKind.SHORT: 1}
    assert (summary.duplicates, summary.scored, summary.failed, summary.failed_share) == (1, 3, 11, 11 / 14)
    assert "There is nothing wrong with this" in service.received_texts()
    assert {ident for call in service.calls for ident in call.ids} == {""}
    assert table(spark, config).keys() == {"good", long_good.decode(), "a\ufffd"}
    found = dead_letters(config)
    letters = sorted((str(letter["id"])[:10], shortened(letter["reason"])) for letter in found)
    assert letters == [
        ("None", "the id is not UTF-8: X'61FE'"),
        ("None", "the id is not UTF-8: X'61FF'"),
        ("None", "the id is null"),
        ("None", "the id is null"),
        ("b" * 10, "text has 100000"),
        ("huge", "text has 10000000"),
        ("no text", "the text is null"),
        ("text", "the text is not UTF-8"),
        ("two", "the source has different texts with this id"),
    ]


def shortened(reason: str) -> str:
    """A reason without the limit."""
    return reason.partition(" bytes")[0].partition(" characters")[0]


def test_paragraphs_that_fail_every_day_do_not_fail_the_runs(
    spark: SparkSession, service: BackgroundService, config: JobConfig, tmp_path: Path
) -> None:
    """In a folder with an odd name."""
    name = "lüke [v1] {a,b} * a+b#c"
    poison = "This paragraph makes the service unavailable"
    service.fake.poison = {poison: Fault(grpc.StatusCode.UNAVAILABLE, "connection reset")}
    # The patience of a service that is down is 300 s.
    settings = replace(config.service.settings, retry=RetryPolicy(attempts=3, initial_seconds=0.01, max_seconds=0.05))
    catalog = replace(config.catalog, warehouse=str(tmp_path / name))
    config = replace(config, catalog=catalog, service=replace(config.service, settings=settings))
    texts = {str(number): f"Paragraph {number} of every day" for number in range(8)}
    write_source(config, texts | {"long": TOO_LONG, "poison": poison})
    try:
        for scored in (8, 0):  # the second run has no other paragraphs
            summary = run(spark, config, max_failed_share=0.2)
            assert (summary.scored, summary.failed, summary.failed_share) == (scored, 2, 0.2)
    finally:
        service.fake.poison = {}
    assert table(spark, config).keys() == texts.keys()
    letters = sorted((letter["id"], letter["status"]) for letter in dead_letters(config))
    assert letters == [("long", "INVALID_ARGUMENT")] * 2 + [("poison", "INTERNAL")] * 2
    assert all("on this paragraph alone" in letter["reason"] for letter in dead_letters(config) if letter["id"] == "poison")
    assert {entry.name for entry in tmp_path.iterdir()} == {"source", name}


def test_scores_of_a_model_that_replaced_the_runs_model_are_failures(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    write_source(config, {str(number): f"Paragraph {number} between two models" for number in range(40)})
    service.close_gate()
    job = ScoringJob(spark, config)
    running = threading.Thread(target=job.run)
    running.start()
    service.wait_for_in_flight(1)
    service.fake.version = 2
    service.open_gate()
    running.join()
    assert (job.summary.scored, job.summary.failed) == (0, 40)
    letter = dead_letters_by_id(config)["7"]
    assert letter["status"] == "FAILED_PRECONDITION"
    assert letter["reason"] == "scored by fake version 2 fp32; this run is for fake version 1 fp32"


def test_a_repeated_wave_of_a_run_replaces_its_dead_letters(spark: SparkSession, config: JobConfig) -> None:
    catalog = open_table(spark, config.table, config.catalog, config.layout)
    spark.sql(f"CREATE NAMESPACE {CATALOG}.{config.table.namespace}")
    columns = StructType([StructField("id", StringType()), *from_arrow_schema(pa.schema(DEAD_LETTER_COLUMNS)).fields])
    now = datetime.now(UTC)

    def write(run_id: str, *ids: str | None) -> list[tuple[str, str | None]]:
        rows = [(ident, "0" * 64, "INTERNAL", "a reason", 1, run_id, now) for ident in ids]
        catalog.write_dead_letters(spark.createDataFrame(rows, columns), len(rows), run_id, range(3))
        return sorted(((letter["run_id"], letter["id"]) for letter in dead_letters(config)), key=str)

    assert write("before", "1", None) == [("before", "1"), ("before", None)]
    before = [("before", "1"), ("before", None)]
    assert write("now", "1", "2") == [*before, ("now", "1"), ("now", "2")]
    assert write("now") == before
