"""The job as Spark's own sinks, its Pushgateway and its DataDog agent see it, until it is terminated."""

import subprocess
from pathlib import Path
from urllib.request import urlopen

import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client.parser import text_string_to_metric_families
from undertone_bench.processes import free_ports

from tests.integration import spark_parts
from tests.integration.support.processes import ENVIRONMENT, PATIENCE_SECONDS, command, until
from tests.integration.support.reports import reports

pytestmark = spark_parts.needs_java

TEXTS = {str(number): f"Paragraph {number} of a run that is seen" for number in range(300)}
JOB = "nightly"


def submitted(port: int) -> dict[str, str]:
    """The environment of a run as docs/how-to/spark.md has it be submitted, with Spark's pages on this port."""
    settings = spark_parts.SETTINGS | {
        "spark.ui.enabled": "true",
        "spark.ui.port": str(port),
        "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
        "spark.metrics.namespace": "undertone",
    }
    options = " ".join(f"--conf {name}='{value}'" for name, value in settings.items())
    return ENVIRONMENT | {"PYSPARK_SUBMIT_ARGS": f"{options} --master local[2,4] pyspark-shell"}


def scraped(url: str) -> dict[str, float]:
    with urlopen(url) as page:  # noqa: S310 - of a process of ours
        families = text_string_to_metric_families(page.read().decode())
        return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_run_is_seen_while_it_goes_on_and_when_it_is_terminated(tmp_path: Path) -> None:
    source, table = tmp_path / "source.parquet", tmp_path / "table"
    pq.write_table(pa.table({"id": list(TEXTS), "text": list(TEXTS.values())}), source)
    [port] = free_ports(1)
    service = spark_parts.Service()
    options = ["--mode=backfill", f"--source={source}", f"--table={table}", f"--target={service.target}"]
    with reports() as heard, (tmp_path / "log").open("w") as log:
        program = [command("undertone-batch"), "run", *options, "--buckets=4", "--wave-rows=1", f"--job={JOB}", *heard.flags]
        driver = subprocess.Popen(program, env=submitted(port), stderr=log)
        try:
            until(lambda: driver.poll() is not None or (table / "versions/00000001.json").exists(), "the first commit")
            service.shut_gate()
            service.until_in_flight(1)
            pages = f"http://127.0.0.1:{port}/metrics"
            active_jobs = scraped(f"{pages}/prometheus")["metrics_undertone_driver_DAGScheduler_job_activeJobs_Value"]
            # Spark writes its executors' page from time to time.
            until(lambda: scraped(f"{pages}/executors/prometheus")["metrics_executor_activeTasks"] >= 1, "Spark shows the task")
            until(lambda: heard.counter("undertone_client_paragraphs", "code:OK") > 0, "a worker tells the agent")
            driver.terminate()
            code = driver.wait(PATIENCE_SECONDS)
        finally:
            driver.kill()
            driver.wait()
            service.close()
        events = heard.events()
    said = (tmp_path / "log").read_text()
    assert code == 143, said
    assert "Traceback" not in said
    assert active_jobs == 1
    assert [(event.title, event.type) for event in events] == [
        (f"undertone job {JOB} started", "info"),
        (f"undertone job {JOB} failed", "error"),
    ]
    assert events[-1].text.startswith("terminated")
    first, last = heard.gateway.pushes[0], heard.gateway.pushes[-1]
    assert [push.value("undertone_job_running", job=JOB) for push in (first, last)] == [1, 0]
    assert last.value("undertone_job_failed_total", job=JOB) == 1
    assert 0 < (last.value("undertone_job_paragraphs_total", job=JOB, code="OK") or 0) < len(TEXTS)
    assert last.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None
