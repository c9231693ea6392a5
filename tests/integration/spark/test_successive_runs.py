"""Successive runs with real Parquet files, a real session and a scripted service."""

import json
import os
import signal
import threading
from dataclasses import replace
from hashlib import sha256

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, ScoringJob, read_scores
from undertone_batch.diff import DiffKind
from undertone_batch.errors import TooManyFailedError
from undertone_bench.commands.spark import python_workers

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import until
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import (
    TOO_LONG,
    assert_score_of,
    dead_letters,
    dead_letters_by_id,
    run,
    table,
    write_source,
)

pytestmark = [needs_java, needs_iceberg]

DAY_1 = {str(number): f"Paragraph {number} as on the first day" for number in range(150)}
DAY_2 = {
    **{ident: text for ident, text in DAY_1.items() if int(ident) >= 10},
    "20": "This is a different text",
    "21": "too short",
    "22": TOO_LONG,
    "new": "This paragraph is new today",
    "long": TOO_LONG,
}


def test_runs_on_successive_days(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    write_source(config, DAY_1)
    first = run(spark, config, mode=RunMode.BACKFILL)
    assert (first.scored, first.failed, first.rows) == (150, 0, 150)
    assert sorted(service.received_texts()) == sorted(DAY_1.values())
    for ident, row in table(spark, config).items():
        assert_score_of(row, DAY_1[ident])

    repeated = run(spark, config)
    assert repeated.kinds == {DiffKind.CURRENT: 150}
    assert repeated.snapshot == first.snapshot
    assert service.received_texts() == []

    write_source(config, DAY_2)
    second = run(spark, config)
    assert second.kinds == {DiffKind.CURRENT: 137, DiffKind.NEW: 2, DiffKind.MUTATED: 2, DiffKind.DELETED: 11}
    assert sorted(service.received_texts()) == sorted([DAY_2["20"], DAY_2["new"]])
    rows = table(spark, config)
    assert {ident for ident, row in rows.items() if row.deleted_at} == {*map(str, range(10)), "21", "22"}
    assert "long" not in rows
    for ident in DAY_2.keys() - {"21", "22", "long"}:
        assert_score_of(rows[ident], DAY_2[ident])
    assert second.failed == 2
    letters = dead_letters_by_id(config)
    assert letters.keys() == {"22", "long"}
    assert letters["long"]["status"] == "INVALID_ARGUMENT"
    assert letters["long"]["text_sha256"] == sha256(TOO_LONG.encode()).hexdigest()
    assert "word" not in str(dead_letters(config))

    write_source(config, DAY_1)
    third = run(spark, config)
    assert third.kinds == {DiffKind.CURRENT: 137, DiffKind.RESTORED: 12, DiffKind.MUTATED: 1, DiffKind.DELETED: 1}
    assert service.received_texts() == [DAY_1["20"]]

    service.fake.version = 2
    fourth = run(spark, config)
    assert fourth.kinds == {DiffKind.OUTDATED: 150, DiffKind.GONE: 1}
    assert sorted(service.received_texts()) == sorted(DAY_1.values())
    rows = table(spark, config)
    for ident, text in DAY_1.items():
        assert_score_of(rows[ident], text, version=2)
    assert rows["new"].model_version == 1
    assert read_scores(spark, config.table, config.catalog).count() == 150
    summary = json.loads(fourth.to_json())
    assert (summary["outcome"], summary["scored"], summary["snapshot"]) == ("succeeded", 150, str(fourth.snapshot))
    calls_of_driver = 1  # GetModel
    assert summary["calls"]["attempts"] == {"OK": len(service.calls) - calls_of_driver}
    assert sum(executor["scored"] for executor in summary["executors"].values()) == 150


def test_killed_workers_lose_and_duplicate_nothing(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    texts = {str(number): f"Paragraph {number} of many more" for number in range(600)}
    write_source(config, texts)
    service.close_gate()
    job = ScoringJob(spark, config)
    running = threading.Thread(target=job.run)
    running.start()
    for _ in range(2):  # the first and the second attempts of both tasks
        service.wait_for_in_flight(4)
        for worker in python_workers(spark):
            os.kill(worker, signal.SIGKILL)
        until(lambda: service.fake.in_flight == 0, "the calls of the killed workers have ended")
    service.open_gate()
    running.join()
    assert job.summary.error is None
    assert (job.summary.scored, job.summary.failed, job.summary.rows) == (600, 0, 600)
    assert len(service.received_texts()) > len(texts)
    rows = table(spark, config)
    assert rows.keys() == texts.keys()
    for ident, row in rows.items():
        assert_score_of(row, texts[ident])


def test_a_stopped_backfill_continues_after_its_last_commit(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    texts = {str(number): f"Paragraph {number} for a backfill" for number in range(30)}
    write_source(config, texts | {"long": TOO_LONG})
    config = replace(config, mode=RunMode.BACKFILL, wave_rows=1)
    with pytest.raises(TooManyFailedError, match="1 paragraphs failed"):
        run(spark, config, max_failed_share=0)
    before = read_scores(spark, config.table, config.catalog).count()
    assert before < 30
    assert len(service.received_texts()) == before
    summary = run(spark, config, mode=RunMode.DAILY, wave_rows=1000)
    assert summary.kinds == {DiffKind.CURRENT: before, DiffKind.NEW: 31 - before}
    assert len(service.received_texts()) == 30 - before
    summary = run(spark, config)
    assert summary.kinds == {DiffKind.CURRENT: 30, DiffKind.NEW: 1}
    assert service.received_texts() == []
    assert table(spark, config).keys() == texts.keys()
    write_source(config, texts)
    assert run(spark, config, wave_rows=1000).kinds == {DiffKind.REPEATED: 30}
    assert sorted(service.received_texts()) == sorted(texts.values())
