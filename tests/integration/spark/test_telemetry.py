"""Metrics and events of a run until SIGTERM, in Prometheus, a Pushgateway and Datadog."""

import subprocess
from pathlib import Path
from urllib.request import urlopen

import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client.parser import text_string_to_metric_families
from undertone_bench.processes import free_ports

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, command, until
from tests.integration.support.reports import reports
from tests.integration.support.score_table import NAME, commits
from tests.integration.support.spark import SETTINGS, needs_iceberg, needs_java, submit_arguments

pytestmark = [needs_java, needs_iceberg]

TEXTS = {str(number): f"Paragraph {number} of a monitored run" for number in range(300)}
JOB = "nightly"


def environment(port: int) -> dict[str, str]:
    """The environment that docs/how-to/spark.md describes, with Spark's UI on a port."""
    settings = SETTINGS | {
        "spark.ui.enabled": "true",
        "spark.ui.port": str(port),
        "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
        "spark.metrics.namespace": "undertone",
    }
    return ENVIRONMENT | {"PYSPARK_SUBMIT_ARGS": submit_arguments("local[2,4]", settings)}


def scrape(url: str) -> dict[str, float]:
    with urlopen(url) as page:  # noqa: S310 - a local process
        families = text_string_to_metric_families(page.read().decode())
        return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_run_reports_its_progress_and_its_termination(tmp_path: Path) -> None:
    source, lake = tmp_path / "source.parquet", tmp_path / "lake"
    pq.write_table(pa.table({"id": list(TEXTS), "text": list(TEXTS.values())}), source)
    [port] = free_ports(1)
    service = BackgroundService()
    options = ["--mode=backfill", f"--source={source}", f"--table={NAME}", f"--warehouse={lake}", f"--target={service.target}"]
    with reports() as received, (tmp_path / "log").open("w") as log_file:
        flags = ["--buckets=4", "--wave-rows=1", f"--job={JOB}", *received.flags]
        driver = subprocess.Popen([command("undertone-batch"), "run", *options, *flags], env=environment(port), stderr=log_file)
        try:
            until(lambda: driver.poll() is not None or commits(lake) > 0, "the first commit")
            service.close_gate()
            service.wait_for_in_flight(1)
            url = f"http://127.0.0.1:{port}/metrics"
            active_jobs = scrape(f"{url}/prometheus")["metrics_undertone_driver_DAGScheduler_job_activeJobs_Value"]
            # Spark refreshes the metrics of executors periodically.
            until(lambda: scrape(f"{url}/executors/prometheus")["metrics_executor_activeTasks"] >= 1, "Spark shows the task")
            until(lambda: received.counter("undertone_client_paragraphs", "code:OK") > 0, "a worker sends to the agent")
            driver.terminate()
            code = driver.wait(TIMEOUT_SECONDS)
        finally:
            driver.kill()
            driver.wait()
            service.close()
        events = received.events()
    log = (tmp_path / "log").read_text()
    assert code == 143, log
    assert "Traceback" not in log
    assert "CatalogNotFoundException" not in log  # the namespace of the table is not the name of a catalogue
    assert active_jobs == 1
    assert [(event.title, event.type) for event in events] == [
        (f"undertone job {JOB} started", "info"),
        (f"undertone job {JOB} failed", "error"),
    ]
    assert events[-1].text.startswith("terminated")
    first, last = received.gateway.pushes[0], received.gateway.pushes[-1]
    assert [push.value("undertone_job_running", job=JOB) for push in (first, last)] == [1, 0]
    assert last.value("undertone_job_failed_total", job=JOB) == 1
    assert 0 < (last.value("undertone_job_paragraphs_total", job=JOB, code="OK") or 0) < len(TEXTS)
    assert last.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None
