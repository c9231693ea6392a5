"""Runs day after day over real Parquet, a real session and a scripted service: what is scored, kept, and survives a kill."""

import json
import os
import signal
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch import Job, Order, RunMode, read_scores
from undertone_batch.errors import TooManyFailedError
from undertone_batch.plan import Kind

from tests.integration import spark_parts
from tests.integration.spark.orders import TOO_LONG, assert_right, dead_letters, run, table, write
from tests.integration.support.processes import until

pytestmark = spark_parts.needs_java

DAY_1 = {str(number): f"Paragraph {number} as it was at first" for number in range(600)}
DAY_2 = {
    **{ident: text for ident, text in DAY_1.items() if int(ident) >= 10},
    "20": "This is another text than before",
    "21": "too short",
    "22": TOO_LONG,
    "new": "Nobody has read this one before",
    "long": TOO_LONG,
}


def test_days_of_a_table(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    write(order, DAY_1)
    first = run(spark, order, mode=RunMode.BACKFILL)
    assert (first.scored, first.failed, first.rows) == (600, 0, 600)
    assert sorted(service.sent()) == sorted(DAY_1.values())
    for ident, row in table(spark, order).items():
        assert_right(row, DAY_1[ident])

    again = run(spark, order)
    assert again.kinds == {Kind.CURRENT: 600}
    assert again.version == first.version
    assert service.sent() == []

    write(order, DAY_2)
    second = run(spark, order)
    assert second.kinds == {Kind.CURRENT: 587, Kind.NEW: 2, Kind.MUTATED: 2, Kind.DELETED: 11}
    assert sorted(service.sent()) == sorted([DAY_2["20"], DAY_2["new"]])
    rows = table(spark, order)
    assert {ident for ident, row in rows.items() if row.deleted_at} == {*map(str, range(10)), "21", "22"}
    assert "long" not in rows
    for ident in DAY_2.keys() - {"21", "22", "long"}:
        assert_right(rows[ident], DAY_2[ident])
    assert second.failed == 2
    letters = dead_letters(order)
    assert letters.keys() == {"22", "long"}
    assert letters["long"]["status"] == "INVALID_ARGUMENT"
    assert letters["long"]["text_sha256"] == sha256(TOO_LONG.encode()).hexdigest()
    assert "word" not in json.dumps(letters)

    write(order, DAY_1)
    third = run(spark, order)
    assert third.kinds == {Kind.CURRENT: 587, Kind.RESTORED: 12, Kind.MUTATED: 1, Kind.DELETED: 1}
    assert service.sent() == [DAY_1["20"]]

    service.fake.version = 2
    fourth = run(spark, order)
    assert fourth.kinds == {Kind.OUTDATED: 600, Kind.GONE: 1}
    assert sorted(service.sent()) == sorted(DAY_1.values())
    rows = table(spark, order)
    for ident, text in DAY_1.items():
        assert_right(rows[ident], text, version=2)
    assert rows["new"].model_version == 1
    assert read_scores(spark, order.table).count() == 600
    summary = json.loads((Path(order.table) / "runs" / f"{fourth.run}.json").read_text())
    assert (summary["outcome"], summary["scored"], summary["version"]) == ("succeeded", 600, fourth.version)
    asked_by_driver = 1  # for its model
    assert summary["calls"]["attempts"] == {"OK": len(service.calls) - asked_by_driver}
    assert sum(executor["scored"] for executor in summary["executors"].values()) == 600


def test_killed_workers_lose_and_double_nothing(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    texts = {str(number): f"Paragraph {number} of many more" for number in range(2000)}
    write(order, texts)
    service.shut_gate()
    job = Job(spark, order)
    running = threading.Thread(target=job.run)
    running.start()
    for _ in range(2):  # the attempts of both tasks, and then their second attempts
        service.until_in_flight(4)
        for worker in spark_parts.python_workers(spark):
            os.kill(worker, signal.SIGKILL)
        until(lambda: service.fake.in_flight == 0, "the calls of the killed are gone")
    service.open_gate()
    running.join()
    assert job.summary.error is None
    assert (job.summary.scored, job.summary.failed, job.summary.rows) == (2000, 0, 2000)
    assert len(service.sent()) > len(texts)
    rows = table(spark, order)
    assert rows.keys() == texts.keys()
    for ident, row in rows.items():
        assert_right(row, texts[ident])


def test_a_backfill_that_was_stopped_goes_on_where_it_was(
    spark: SparkSession, service: spark_parts.Service, order: Order
) -> None:
    texts = {str(number): f"Paragraph {number} for a backfill" for number in range(300)}
    write(order, texts | {"long": TOO_LONG})
    order = replace(order, mode=RunMode.BACKFILL, wave_rows=1)
    with pytest.raises(TooManyFailedError, match="1 paragraphs have no score"):
        run(spark, order, max_failed_share=0)
    before = read_scores(spark, order.table).count()
    assert before < 300
    assert len(service.sent()) == before
    summary = run(spark, order, mode=RunMode.DAILY, wave_rows=1000)
    assert summary.kinds == {Kind.CURRENT: before, Kind.NEW: 301 - before}
    assert len(service.sent()) == 300 - before
    summary = run(spark, order)
    assert summary.kinds == {Kind.CURRENT: 300, Kind.NEW: 1}
    assert service.sent() == []
    assert table(spark, order).keys() == texts.keys()
    write(order, texts)
    assert run(spark, order).kinds == {Kind.REPEATED: 300}
    assert sorted(service.sent()) == sorted(texts.values())
