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
    write_source(
        config,
        [
            {"id": "good", "text": "There is nothing wrong with this"},
            {"id": "good", "text": "There is nothing wrong with this"},
            {"id": "two", "text": "One id for this text, and"},
            {"id": "two", "text": "the same id for that text"},
            {"id": "no text", "text": None},
            {"id": None, "text": "This one has a text, but no id"},
            {"id": "short", "text": "          ha          "},
        ],
    )
    summary = run(spark, config)
    assert summary.kinds == {DiffKind.NEW: 1, DiffKind.INVALID: 4, DiffKind.SHORT: 1}
    assert summary.duplicates == 1
    assert summary.failed_share == 0.8
    assert service.received_texts() == ["There is nothing wrong with this"]
    assert table(spark, config).keys() == {"good"}
    letters = dead_letters_by_id(config)
    assert {letters[ident]["reason"] for ident in ("two", "no text")} == {
        "the source has different texts with this id",
        "the text is null",
    }
    assert len(letters) == 3


def test_ids_and_texts_that_are_not_utf8(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    rows = [
        (b"good", b"There is nothing wrong with this"),
        (b"huge", b"word " * 2_000_000),
        (b"text", b"not \xff in UTF-8, whatever it is"),
        ("a\ufffd".encode(), b"An odd id, but a valid one"),
        (b"a\xff", b"An id that is not, and a text"),
        (b"a\xfe", b"Another that is not, and a text"),
        *[
            (None, text)
            for text in (b"A text without an id", b"Another, which is there twice", b"Another, which is there twice")
        ],
    ]
    folder = Path(config.source.locations[0])
    folder.mkdir()
    columns = {"id": [ident for ident, _ in rows], "text": [text for _, text in rows]}
    pq.write_table(pa.table(columns, pa.schema({"id": pa.binary(), "text": pa.binary()})), folder / "rows.parquet")
    summary = run(spark, config, source=replace(config.source, format="parquet"))
    assert (summary.kinds, summary.duplicates) == ({DiffKind.NEW: 3, DiffKind.INVALID: 6}, 0)
    assert (summary.scored, summary.failed) == (2, 7)
    assert table(spark, config).keys() == {"good", "a\ufffd"}
    letters = sorted((str(letter["id"]), letter["reason"].partition(" bytes")[0]) for letter in dead_letters(config))
    assert letters == [
        ("None", "the id is not UTF-8: X'61FE'"),
        ("None", "the id is not UTF-8: X'61FF'"),
        ("None", "the id is null"),
        ("None", "the id is null"),
        ("huge", "text has 10000000"),
        ("text", "the text is not UTF-8"),
    ]


def test_a_paragraph_that_fails_every_day_does_not_fail_the_runs(
    spark: SparkSession, config: JobConfig, tmp_path: Path
) -> None:
    """In a folder with an odd name."""
    name = "lüke [v1] {a,b} * a+b#c"
    config = replace(config, catalog=replace(config.catalog, warehouse=str(tmp_path / name)))
    texts = {str(number): f"Paragraph {number} of every day" for number in range(120)}
    write_source(config, texts | {"long": TOO_LONG})
    for scored in (120, 0):
        summary = run(spark, config, max_failed_share=0.01)
        assert (summary.scored, summary.failed, summary.failed_share) == (scored, 1, 1 / 121)
    assert table(spark, config).keys() == texts.keys()
    assert [letter["id"] for letter in dead_letters(config)] == ["long", "long"]
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


def test_a_paragraph_that_makes_the_service_unavailable_does_not_end_the_runs(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    poison = "This paragraph makes the service unavailable"
    service.fake.poison = {poison: Fault(grpc.StatusCode.UNAVAILABLE, "connection reset")}
    # The patience of a service that is down is 300 s.
    settings = replace(config.service.settings, retry=RetryPolicy(attempts=3, initial_seconds=0.01, max_seconds=0.05))
    config = replace(config, service=replace(config.service, settings=settings))
    write_source(config, {str(number): f"Paragraph {number} beside it" for number in range(3)} | {"poison": poison})
    try:
        for scored in (3, 0):  # the second run has no other paragraphs
            summary = run(spark, config)
            assert (summary.scored, summary.failed) == (scored, 1)
    finally:
        service.fake.poison = {}
    letters = dead_letters(config)
    assert [(letter["id"], letter["status"]) for letter in letters] == [("poison", "INTERNAL")] * 2
    assert all("on this paragraph alone" in letter["reason"] for letter in letters)


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
    assert write("now", "2") == [*before, ("now", "2")]
    assert write("now") == before


def test_long_ids_are_not_sent(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    """The service refuses ids of more than 256 characters."""
    good, bad = "g" * 5_000, "b" * 5_000
    write_source(config, {good: "There is nothing wrong with this", bad: TOO_LONG})
    summary = run(spark, config)
    assert (summary.scored, summary.failed) == (1, 1)
    assert table(spark, config).keys() == {good}
    service.received_texts()
    assert {ident for call in service.calls for ident in call.ids} == {""}
    (letter,) = dead_letters(config)
    assert letter["id"] == bad
    assert "characters" in letter["reason"] or "bytes" in letter["reason"]
    assert "id" not in letter["reason"].split()
