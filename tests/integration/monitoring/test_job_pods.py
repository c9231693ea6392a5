"""The pods that jobs need and the alert on late jobs, with real jobs in a real Prometheus."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from undertone_bench.chart import Chart
from undertone_bench.envoy import LOOPBACK
from undertone_bench.processes import free_ports
from undertone_telemetry import TelemetrySettings
from undertone_telemetry.jobs import JobReporter

from tests.chart.test_job_pods import BACKFILL, DAILY, HEADROOM, RATE, query
from tests.integration.support.prometheus import Prometheus, Pushgateway, Target

HOUR = 3600.0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_pods_follow_the_jobs_and_go_after_them(
    chart: Chart, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undertone_telemetry.jobs.PUSH_SECONDS", 0.5)
    (port,) = free_ports(1)
    gateway = Pushgateway(tmp_path)
    stack.callback(gateway.stop)
    labels = {"namespace": "monitoring"}
    # One job is scraped and pushes, the other only pushes.
    targets = [Target(port, {"namespace": "reading"}, honor_labels=True), Target(gateway.port, labels, honor_labels=True)]
    alert = {"jobLate": {"for": "0s", "severity": "warning"}}
    rules = chart.render({"monitoring": {"prometheusRule": True, "alerts": alert}}).one("PrometheusRule")["spec"]["groups"]
    prometheus = Prometheus(tmp_path, targets, [group for group in rules if group["name"] == "undertone-batch"])
    stack.callback(prometheus.stop)
    gateway.until_ready()
    prometheus.until_ready()
    expression = query(chart)

    def until(pods: int) -> None:
        prometheus.until(lambda: prometheus.query(expression) == [pods], f"the query gives {pods} pods")

    def until_late(late: bool) -> None:
        prometheus.until(lambda: ("UndertoneJobLate" in prometheus.firing()) == late, f"UndertoneJobLate fires: {late}")

    until(0)
    pushed = TelemetrySettings(pushgateway=gateway.url, pushgateway_namespace="reading")
    settings = replace(pushed, metrics_port=port, metrics_host=LOOPBACK)
    passed = 0.0  # seconds of which the job believes that they have passed
    with JobReporter(settings, DAILY, finish_by=time.time() + 2 * HOUR, now=lambda: time.time() + passed) as daily:
        until(1)  # the backlog is not known yet
        daily.report_progress({}, expected=1_000_000)
        needed = HEADROOM * 1_000_000 / (2 * HOUR) / RATE
        until(math.ceil(needed))
        with JobReporter(pushed, BACKFILL) as backfill:
            backfill.report_progress({}, expected=10**9)
            until(math.ceil(needed + 1))
        until(math.ceil(needed))
        assert not prometheus.firing()
        daily.report_progress({"OK": 1}, expected=1_000_000)
        passed = 400.0
        daily.report_progress({"OK": 2}, expected=1_000_000)
        until_late(True)
        passed = 800.0
        daily.report_progress({"OK": 900_000}, expected=1_000_000)
        until_late(False)
        until(math.ceil(needed / 10))
        daily.report_progress({"OK": 999_999, "INTERNAL": 1}, expected=1_000_000)
        until(1)
    until(0)
    assert not [error for error in prometheus.errors() if str(gateway.port) in error]
