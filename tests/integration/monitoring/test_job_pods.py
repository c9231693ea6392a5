"""The KEDA query for the pods of jobs, with the metrics of real jobs in a real Prometheus."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
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


def test_pods_follow_the_jobs_and_go_after_them(chart: Chart, tmp_path: Path, stack: ExitStack) -> None:
    (port,) = free_ports(1)
    gateway = Pushgateway(tmp_path)
    stack.callback(gateway.stop)
    labels = {"namespace": "monitoring"}
    # One job is scraped and pushes, the other only pushes.
    targets = [Target(port, {"namespace": "reading"}, honor_labels=True), Target(gateway.port, labels, honor_labels=True)]
    prometheus = Prometheus(tmp_path, targets, [])
    stack.callback(prometheus.stop)
    gateway.until_ready()
    prometheus.until_ready()
    expression = query(chart)

    def until(pods: int) -> None:
        prometheus.until(lambda: prometheus.query(expression) == [pods], f"the query gives {pods} pods")

    until(0)
    settings = TelemetrySettings(pushgateway=gateway.url, metrics_port=port, metrics_host=LOOPBACK)
    with JobReporter(settings, DAILY, finish_by=time.time() + 2 * HOUR) as daily:
        until(1)  # the backlog is not known yet
        daily.report_progress({}, expected=1_000_000)
        needed = HEADROOM * 1_000_000 / (2 * HOUR) / RATE
        until(math.ceil(needed))
        with JobReporter(TelemetrySettings(pushgateway=gateway.url), BACKFILL) as backfill:
            backfill.report_progress({}, expected=10**9)
            until(math.ceil(needed + 1))
        until(math.ceil(needed))
        daily.report_progress({"OK": 900_000}, expected=1_000_000)
        until(math.ceil(needed / 10))
        daily.report_progress({"OK": 999_999, "INTERNAL": 1}, expected=1_000_000)
        until(1)
    until(0)
    assert not [error for error in prometheus.errors() if str(gateway.port) in error]
