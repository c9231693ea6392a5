import json
from collections import Counter
from datetime import UTC, datetime, timedelta

from undertone_batch import RunMode, Summary, TaskMetrics
from undertone_batch.diff import DiffKind
from undertone_batch.summary import ExecutorMetricsParam, WaveResult
from undertone_client import CallCounts, Model, Policy

START = datetime(2026, 3, 1, tzinfo=UTC)
SUMMARY = Summary(
    run="r1",
    mode=RunMode.DAILY,
    table="scores",
    started_at=START,
    finished_at=START + timedelta(seconds=50),
    model=Model("emotions", 3, "bf16"),
    policy=Policy.CHUNK_MEAN,
    kinds={DiffKind.NEW: 70, DiffKind.MUTATED: 20, DiffKind.INVALID: 10, DiffKind.CURRENT: 900},
    waves=(WaveResult(8, 50, 2, 10.0), WaveResult(9, 40, 8, 20.0)),
    executors={
        "b": TaskMetrics(2, 40, 16.0, 4.0, CallCounts(attempts={"OK": 3, "UNAVAILABLE": 1}, retried=1, recovered=1)),
        "a": TaskMetrics(1, 50, 10.0, 9.0, CallCounts(attempts={"OK": 2}), flags=Counter(language=3)),
    },
    snapshot=9_007_199_254_740_993,
    rows=1000,
)


def test_the_json_contains_sums_and_rates() -> None:
    document = json.loads(SUMMARY.to_json())
    assert (document["outcome"], document["scored"], document["failed"]) == ("succeeded", 90, 10)
    assert document["failed_share"] == 0.01  # of all paragraphs that should have a score
    assert document["paragraphs_per_second"] == 3.0
    assert document["seconds"] == 50
    assert document["snapshot"] == "9007199254740993"  # as a number, JavaScript and jq would round it
    assert document["calls"]["attempts"] == {"OK": 5, "UNAVAILABLE": 1}
    assert document["flags"] == {"language": 3}
    assert document["executors"]["a"] == {
        "tasks": 1,
        "scored": 50,
        "seconds": 10.0,
        "waiting_share": 0.9,
        "paragraphs_per_second": 5.0,
    }
    assert document["paragraphs"]["short"] == 0


def test_the_text_contains_the_outcome_and_the_counts() -> None:
    text = SUMMARY.to_text()
    assert "daily run r1 succeeded" in text
    assert "900 current" in text
    assert "90; flag language 3; failed 10" in text
    assert "OK 5, UNAVAILABLE 1" in text
    assert "1 attempts, 1 recovered; 1 retries" in text
    assert text.index("executor a") < text.index("executor b")


def test_a_run_that_failed_before_the_comparison_has_only_an_error() -> None:
    empty = Summary("r2", RunMode.BACKFILL, "scores", START, START, error="no source")
    assert empty.failed_share == 0
    assert empty.to_text() == "backfill run r2 failed: no source"
    document = json.loads(empty.to_json())
    assert (document["outcome"], document["error"], document["paragraphs_per_second"]) == ("failed", "no source", None)


def test_the_accumulator_adds_metrics_by_executor() -> None:
    param = ExecutorMetricsParam()
    total = param.zero({})
    for name in ("a", "b", "a"):
        total = param.addInPlace(total, {name: SUMMARY.executors[name]})
    assert (total["a"].tasks, total["a"].scored, total["a"].calls.attempts) == (2, 100, {"OK": 4})
    assert total["b"] == SUMMARY.executors["b"]
