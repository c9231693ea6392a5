"""What the job cannot score becomes dead letters, and stops a run only where there are too many."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from undertone_batch import Job, Order
from undertone_batch.plan import Kind

from tests.integration import spark_parts
from tests.integration.spark.orders import TOO_LONG, dead_letters, run, table, write

pytestmark = spark_parts.needs_java


def test_what_cannot_be_scored_becomes_a_dead_letter(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    write(
        order,
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
    summary = run(spark, order)
    assert summary.kinds == {Kind.NEW: 1, Kind.INVALID: 4, Kind.SHORT: 1}
    assert summary.duplicates == 1
    assert summary.failed_share == 0.8
    assert service.sent() == ["There is nothing wrong with this"]
    assert table(spark, order).keys() == {"good"}
    letters = dead_letters(order)
    assert {letters[ident]["reason"] for ident in ("two", "no text")} == {
        "the id stands for several texts in the source",
        "the text is null",
    }
    assert len(letters) == 3


def test_bytes_of_all_kinds(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    rows = [
        (b"good", b"There is nothing wrong with this"),
        (b"huge", b"word " * 2_000_000),
        (b"text", b"not \xff in UTF-8, whatever it is"),
        ("a\ufffd".encode(), b"An odd id, but an id all the same"),
        (b"a\xff", b"An id that is not, and a text"),
        (b"a\xfe", b"Another that is not, and a text"),
        *[
            (None, text)
            for text in (b"A text without an id", b"Another, which is there twice", b"Another, which is there twice")
        ],
    ]
    folder = Path(order.source.locations[0])
    folder.mkdir()
    columns = {"id": [ident for ident, _ in rows], "text": [text for _, text in rows]}
    pq.write_table(pa.table(columns, pa.schema({"id": pa.binary(), "text": pa.binary()})), folder / "rows.parquet")
    summary = run(spark, order, source=replace(order.source, format="parquet"))
    assert (summary.kinds, summary.duplicates) == ({Kind.NEW: 3, Kind.INVALID: 6}, 0)
    assert (summary.scored, summary.failed) == (2, 7)
    assert table(spark, order).keys() == {"good", "a\ufffd"}
    lines = [line for file in Path(order.table).glob("dead-letters/*/*.json") for line in file.read_text().splitlines()]
    letters = sorted((str(letter["id"]), letter["reason"].partition(" bytes")[0]) for letter in map(json.loads, lines))
    assert letters == [
        ("None", "the id is not UTF-8: X'61FE'"),
        ("None", "the id is not UTF-8: X'61FF'"),
        ("None", "the id is null"),
        ("None", "the id is null"),
        ("huge", "10000000"),
        ("text", "the text is not UTF-8"),
    ]


def test_a_paragraph_that_fails_every_day_fails_no_day(spark: SparkSession, order: Order) -> None:
    write(order, {str(number): f"Paragraph {number} of every day" for number in range(120)} | {"long": TOO_LONG})
    for scored in (120, 0):
        summary = run(spark, order, max_failed_share=0.01)
        assert (summary.scored, summary.failed, summary.failed_share) == (scored, 1, 1 / 121)


def test_another_model_in_the_middle_of_a_run(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    write(order, {str(number): f"Paragraph {number} between two models" for number in range(40)})
    service.shut_gate()
    job = Job(spark, order)
    running = threading.Thread(target=job.run)
    running.start()
    service.until_in_flight(1)
    service.fake.version = 2
    service.open_gate()
    running.join()
    assert (job.summary.scored, job.summary.failed) == (0, 40)
    letter = dead_letters(order)["7"]
    assert letter["status"] == "FAILED_PRECONDITION"
    assert letter["reason"] == "scored by fake version 2 fp32; this run is for fake version 1 fp32"
