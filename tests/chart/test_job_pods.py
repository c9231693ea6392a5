"""The KEDA query for the pods that jobs need, with promtool."""

import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.prometheus import find

DAILY, BACKFILL = "spring-undertone-daily", "spring-undertone-backfill"
RATE, HEADROOM, MIN_SECONDS = 12.5, 1.25, 600

Series = Mapping[str, str]


def query(chart: Chart, **jobs: Any) -> str:
    values = COMBINATIONS["scale to zero"]
    scaling = values["autoscaling"]
    keda = {**scaling["keda"], "jobs": {**scaling["keda"]["jobs"], **jobs}}
    rendered = chart.render({**values, "autoscaling": {**scaling, "keda": keda}})
    (trigger,) = [each for each in rendered.one("ScaledObject")["spec"]["triggers"] if each.get("metricType") == "AverageValue"]
    return str(trigger["metadata"]["query"])


def job(
    name: str,
    backlog: str,
    finish_by: str = "0x600",
    running: str = "1x600",
    pushed: str | None = "0+60x600",
    namespace: str = "reading",
) -> Series:
    """The series of a job by minute, in the notation of promtool."""
    values = {
        "undertone_job_backlog_paragraphs": backlog,
        "undertone_job_finish_by_timestamp_seconds": finish_by,
        "undertone_job_running": running,
    }
    if pushed is not None:
        values["push_time_seconds"] = pushed
    labels = f'job="{name}", namespace="{namespace}", instance="pushgateway"'
    return {f"{metric}{{{labels}}}": series for metric, series in values.items()}


def needed(backlog: float, seconds: float) -> float:
    """Pods, before they are rounded up."""
    return max(1.0, HEADROOM * backlog / max(seconds, MIN_SECONDS) / RATE)


def check(expression: str, folder: Path, series: Sequence[Series], expected: Mapping[str, int]) -> None:
    """Evaluates the query at several times; `expected` has the pods by time."""
    inputs = [{"series": name, "values": values} for each in series for name, values in each.items()]
    tests = [
        {"expr": expression, "eval_time": at, "exp_samples": [{"labels": "{}", "value": pods}]} for at, pods in expected.items()
    ]
    cases = {"tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": tests}]}
    (folder / "cases.yaml").write_text(yaml.safe_dump(cases))
    ran = subprocess.run(
        [find("promtool"), "test", "rules", "cases.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_without_a_job_no_pods_are_needed(chart: Chart, tmp_path: Path) -> None:
    other = job("autumn-undertone-daily", "1000000x600", "7200x600")
    check(query(chart), tmp_path, [other], {"10m": 0})


def test_the_backlog_and_the_time_left_give_the_pods(chart: Chart, tmp_path: Path) -> None:
    # Two hours for a million paragraphs. The backlog is known after two minutes and then stays.
    daily = job(DAILY, "0x1 1000000x600", "7200x600")
    expected = {
        "1m": 1,
        "10m": math.ceil(needed(1e6, 6600)),
        "60m": math.ceil(needed(1e6, 3600)),
        # Near the end, and after it, the job needs the pods that end it in ten minutes.
        "115m": math.ceil(needed(1e6, 600)),
        "300m": math.ceil(needed(1e6, 600)),
    }
    assert list(expected.values()) == [1, 16, 28, 167, 167]
    check(query(chart), tmp_path, [daily], expected)


def test_jobs_of_a_release_in_another_namespace_need_no_pods_of_this_one(chart: Chart, tmp_path: Path) -> None:
    twin = {"backlog": "9000000x600", "finish_by": "7200x600", "namespace": "testing"}
    series = [job(DAILY, "1000000x600", "7200x600"), job(DAILY, **twin), job(BACKFILL, **twin)]
    check(query(chart), tmp_path, series, {"10m": math.ceil(needed(1e6, 6600))})


def test_the_pods_of_several_jobs_add_up(chart: Chart, tmp_path: Path) -> None:
    series = [job(DAILY, "1000000x600", "7200x600"), job(BACKFILL, "500000x600", "36000x600")]
    check(query(chart), tmp_path, series, {"10m": math.ceil(needed(1e6, 6600) + needed(5e5, 35400))})


def test_a_job_without_a_time_needs_one_pod(chart: Chart, tmp_path: Path) -> None:
    check(query(chart), tmp_path, [job(BACKFILL, "500000x600")], {"10m": 1})


def test_a_finished_and_a_failed_job_need_no_pods(chart: Chart, tmp_path: Path) -> None:
    finished = job(DAILY, "1000000x19 0x600", "7200x600", running="1x19 0x600")
    failed = job(BACKFILL, "1000000x600", "7200x600", running="1x9 0x600")
    check(query(chart), tmp_path, [finished, failed], {"5m": math.ceil(2 * needed(1e6, 6900)), "15m": 16, "30m": 0})


def test_the_last_metrics_of_a_killed_job_hold_no_pods(chart: Chart, tmp_path: Path) -> None:
    # The Pushgateway keeps its last push, of minute 10, for ever.
    killed = job(DAILY, "1000000x600", "7200x600", pushed="0+60x10 600x600")
    check(query(chart), tmp_path, [killed], {"10m": 16, "12m": 16, "13m": 0, "300m": 0})


def test_a_killed_job_that_was_scraped_holds_no_pods(chart: Chart, tmp_path: Path) -> None:
    killed = job(DAILY, "1000000x10 stale", "7200x10 stale", running="1x10 stale", pushed=None)
    check(query(chart), tmp_path, [killed], {"10m": 16, "12m": 0})


def test_values_change_the_query(chart: Chart, tmp_path: Path) -> None:
    # A job outside the release can be in any namespace.
    series = [job("nightly", "1000000x600", "7200x600", namespace="emr"), job(DAILY, "1000000x600", "7200x600")]
    expression = query(chart, names="nightly", paragraphsPerSecond=25, headroom=2, minSeconds=3600)
    check(expression, tmp_path, series, {"10m": math.ceil(2 * 1e6 / 6600 / 25), "110m": math.ceil(2 * 1e6 / 3600 / 25)})


@pytest.mark.parametrize("monitor", ["none", "pod"])
def test_the_metrics_of_jobs_must_reach_prometheus(chart: Chart, monitor: str) -> None:
    values = {**COMBINATIONS["scale to zero"], "telemetry": {"pushgateway": ""}}
    values = {**values, "monitoring": {"monitor": monitor}}
    if monitor == "pod":
        assert chart.render(values).one("ScaledObject")
    else:
        with pytest.raises(Exception, match=r"Prometheus gets no metrics of the jobs: set telemetry\.pushgateway"):
            chart.render(values)
