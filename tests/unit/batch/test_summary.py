"""What a run says about itself."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from undertone_batch import RunMode, Summary, TaskMetrics
from undertone_batch.command import write_summary
from undertone_batch.plan import Kind
from undertone_batch.summary import WaveResult
from undertone_batch.task_metrics import ExecutorMetricsParam
from undertone_client import CallCounts, Model, Policy
from undertone_client.jobs import OutputError

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
SUMMARY = Summary(
    run="r1",
    mode=RunMode.DAILY,
    table="scores",
    started_at=BEGAN,
    finished_at=BEGAN + timedelta(seconds=50),
    model=Model("emotions", 3, "bf16"),
    policy=Policy.CHUNK_MEAN,
    kinds={Kind.NEW: 70, Kind.MUTATED: 20, Kind.INVALID: 10, Kind.CURRENT: 900},
    waves=(WaveResult(8, 50, 2, 10.0), WaveResult(9, 40, 8, 20.0)),
    executors={
        "b": TaskMetrics(2, 40, 16.0, 4.0, CallCounts(attempts={"OK": 3, "UNAVAILABLE": 1}, retried=1, recovered=1)),
        "a": TaskMetrics(1, 50, 10.0, 9.0, CallCounts(attempts={"OK": 2})),
    },
    version=9,
    rows=1000,
)


def test_the_document_adds_up() -> None:
    document = json.loads(SUMMARY.to_json())
    assert (document["outcome"], document["scored"], document["failed"]) == ("succeeded", 90, 10)
    assert document["failed_share"] == 0.01  # of all that should have a score
    assert document["paragraphs_per_second"] == 3.0
    assert document["seconds"] == 50
    assert document["calls"]["attempts"] == {"OK": 5, "UNAVAILABLE": 1}
    assert document["executors"]["a"] == {
        "tasks": 1,
        "scored": 50,
        "seconds": 10.0,
        "waiting_share": 0.9,
        "paragraphs_per_second": 5.0,
    }
    assert document["paragraphs"]["short"] == 0


def test_the_text_says_the_same_in_short() -> None:
    text = SUMMARY.to_text()
    assert "daily run r1 succeeded" in text
    assert "900 current" in text
    assert "OK 5, UNAVAILABLE 1" in text
    assert text.index("executor a") < text.index("executor b")


def test_a_run_that_found_nothing_has_no_shares() -> None:
    empty = Summary("r2", RunMode.BACKFILL, "scores", BEGAN, BEGAN, error="no source")
    assert empty.failed_share == 0
    document = json.loads(empty.to_json())
    assert (document["outcome"], document["error"], document["paragraphs_per_second"]) == ("failed", "no source", None)


def test_a_summary_that_cannot_be_written_does_not_hide_why_the_run_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_summary(tmp_path / "summary.json", SUMMARY)
    assert (tmp_path / "summary.json").read_text() == SUMMARY.to_json()
    with pytest.raises(OutputError, match=r"Is a directory\. Name another file with --summary"):
        write_summary(tmp_path, SUMMARY)
    write_summary(tmp_path, replace(SUMMARY, error="the table is full"))
    assert "cannot be written: Is a directory" in caplog.text


def test_metrics_are_added_by_executor() -> None:
    param = ExecutorMetricsParam()
    total = param.zero({})
    for name in ("a", "b", "a"):
        total = param.addInPlace(total, {name: SUMMARY.executors[name]})
    assert (total["a"].tasks, total["a"].scored, total["a"].calls.attempts) == (2, 100, {"OK": 4})
    assert total["b"] == SUMMARY.executors["b"]
