"""The CronJob that scores the input of a day, and the directory of each of its Jobs."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from undertone_bench.chart import Chart

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.containers import run_container
from tests.chart.support.pods import containers, pod_spec

CLAIM = COMBINATIONS["jobs to a claim"]
BUCKET = COMBINATIONS["jobs to a bucket"]


def test_daily_runs_are_not_concurrent(chart: Chart) -> None:
    spec = chart.render(CLAIM).one("CronJob", "-daily")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 2 * * *", "Etc/UTC", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)
    assert spec["startingDeadlineSeconds"] == 3600
    # Each run ends before the next one starts.
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 86400


def daily_output(chart: Chart, folder: Path, job: str, today: str, values: Mapping[str, Any] = CLAIM) -> list[str]:
    """The arguments of `undertone` in an attempt of the Job `job` on the day `today`."""
    pod = pod_spec(chart.render(values).one("CronJob", "-daily"))
    (container,) = [one for one in containers(pod) if one["name"] == "score"]
    labels = {"metadata.labels['batch.kubernetes.io/job-name']": job}
    (name,) = [one for one in container["env"] if one["name"] == "JOB_NAME"]
    # Without `-d`, the date is that of the attempt.
    clock = f'case "$*" in *-d*) exec /usr/bin/date "$@" ;; *) echo {today} ;; esac'
    return run_container(
        container,
        folder,
        'printf "%s\\n" "$@"',
        environment={"JOB_NAME": labels[name["valueFrom"]["fieldRef"]["fieldPath"]]},
        programs={"date": clock},
    )


def scheduled(time: str) -> str:
    """The name of the Job that the controller of CronJobs creates for this time."""
    return f"spring-undertone-daily-{int(datetime.fromisoformat(time).timestamp()) // 60}"


@pytest.mark.parametrize("values", [CLAIM, BUCKET], ids=["claim", "bucket"])
def test_all_attempts_of_a_daily_job_write_to_one_directory(chart: Chart, tmp_path: Path, values: Mapping[str, Any]) -> None:
    job = scheduled("2026-11-30T22:00+00:00")
    for today in ("2026-11-30", "2026-12-01"):
        output = daily_output(chart, tmp_path, job, today, values)
        assert output == ["score", "--out", "/output/daily/2026-11-30", "--", "/input/today.jsonl"]


@pytest.mark.parametrize(
    ("job", "directory"),
    [
        (scheduled("2026-12-01T00:00+00:00"), "2026-12-01"),
        (scheduled("2026-11-30T23:59+00:00"), "2026-11-30"),
        (scheduled("2099-12-31T23:59+00:00"), "2099-12-31"),
        ("2026-11-29", "2026-11-29"),
        ("repeated", "repeated"),
        # Names of Jobs that look like those of the CronJob.
        ("spring-undertone-daily-20261130", "spring-undertone-daily-20261130"),
        ("spring-undertone-daily-1", "spring-undertone-daily-1"),
        ("spring-undertone-daily-29600000-2", "spring-undertone-daily-29600000-2"),
        ("other-29600000", "other-29600000"),
    ],
)
def test_directory_of_a_daily_job_follows_from_its_name(chart: Chart, tmp_path: Path, job: str, directory: str) -> None:
    assert daily_output(chart, tmp_path, job, "2026-11-30")[2] == f"/output/daily/{directory}"
