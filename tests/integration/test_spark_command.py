"""`undertone-batch` as processes: killed, terminated and completed runs, and maintenance."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client.parser import text_string_to_metric_families
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import StringType
from undertone_bench.processes import free_ports

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, command, until
from tests.integration.support.reports import Reports, reports
from tests.integration.support.score_table import NAME, assert_scores_of, commits, read
from tests.integration.support.shared_java import shared_java
from tests.integration.support.spark import SETTINGS, needs_iceberg, needs_java, submit_arguments

pytestmark = [needs_java, needs_iceberg]

TEXTS = {str(number): f"Paragraph {number} of a run that is stopped" for number in range(90)}
BUCKET = BucketTransform(3).transform(StringType())
WAVES = [{ident for ident in TEXTS if BUCKET(ident) == number} for number in range(3)]
"""The ids of each wave of a run. Each bucket is a wave."""

JOB = "nightly"


def spark_settings(port: int) -> dict[str, str]:
    """The settings of docs/how-to/spark.md for Spark's metrics, with Spark's UI on a port."""
    return SETTINGS | {
        # An extension of the user. Spark only warns that its class is missing.
        "spark.sql.extensions": "com.example.UserExtensions",
        "spark.ui.enabled": "true",
        "spark.ui.port": str(port),
        "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
        "spark.metrics.namespace": "undertone",
    }


def scrape(url: str) -> dict[str, float]:
    with urlopen(url) as page:  # noqa: S310 - a local process
        families = text_string_to_metric_families(page.read().decode())
        return {sample.name: sample.value for family in families for sample in family.samples}


class Table:
    """A source with TEXTS and its table, in a folder."""

    def __init__(self, folder: Path, service: BackgroundService) -> None:
        self.lake = folder / "lake"
        self._folder = folder
        self._service = service
        pq.write_table(pa.table({"id": list(TEXTS), "text": list(TEXTS.values())}), folder / "source.parquet")

    @contextmanager
    def run(self, java: Mapping[str, str], *flags: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A running backfill. Kills it and its children at the end of the body."""
        options = [f"--table={NAME}", f"--warehouse={self.lake}", f"--target={self._service.target}"]
        source = f"--source={self._folder / 'source.parquet'}"
        program = [command("undertone-batch"), "run", "--mode=backfill", source, *options, "--buckets=3", "--wave-rows=1"]
        with (
            self.log.open("wb") as log,
            subprocess.Popen(
                [*program, "--limit=2", *flags], env=ENVIRONMENT | dict(java), stderr=log, start_new_session=True
            ) as driver,
        ):
            try:
                yield driver
            finally:
                if driver.poll() is None:
                    os.killpg(driver.pid, signal.SIGKILL)

    @property
    def log(self) -> Path:
        """The log of the last run."""
        return self._folder / "log"

    def wait_for_wave(self, number: int, driver: "subprocess.Popen[bytes]") -> None:
        """Waits until a run has committed the waves before, and waits for the held text."""
        until(lambda: driver.poll() is not None or commits(self.lake) == number, f"{number} commits")
        assert driver.poll() is None, self.log.read_text()
        self._service.wait_for_in_flight(1)

    def committed(self) -> set[str]:
        return set(read(self.lake))


def test_a_run_that_is_killed_and_terminated_is_completed_and_its_table_maintained(
    service: BackgroundService, tmp_path: Path
) -> None:
    table = Table(tmp_path, service)
    held = [TEXTS[min(wave)] for wave in WAVES]
    for text in held[1:]:
        service.hold(text)
    [port] = free_ports(1)
    with table.run({"PYSPARK_SUBMIT_ARGS": submit_arguments("local[2,4]", spark_settings(port))}) as driver:
        table.wait_for_wave(1, driver)
        os.killpg(driver.pid, signal.SIGKILL)
    assert "CatalogNotFoundException" not in table.log.read_text(), "the namespace of a table is not the name of a catalogue"
    assert table.committed() == WAVES[0]
    until(lambda: service.fake.in_flight == 0, "the calls of the killed processes have ended")
    service.received_texts()
    service.release(held[1])
    with shared_java("local[2,4]", spark_settings(port)) as variables, reports() as received:
        java = {**variables, "PYSPARK_PYTHON": sys.executable}
        flags = [f"--job={JOB}", *received.flags]
        with table.run(java, *flags) as driver:
            table.wait_for_wave(2, driver)
            url = f"http://127.0.0.1:{port}/metrics"
            active_jobs = scrape(f"{url}/prometheus")["metrics_undertone_driver_DAGScheduler_job_activeJobs_Value"]
            # Spark refreshes the metrics of executors periodically.
            until(lambda: scrape(f"{url}/executors/prometheus")["metrics_executor_activeTasks"] >= 1, "Spark shows the task")
            until(lambda: received.counter("undertone_client_paragraphs", "code:OK") > 0, "a worker sends to the agent")
            driver.terminate()
            assert driver.wait(TIMEOUT_SECONDS) == 143, table.log.read_text()
        assert active_jobs == 1
        assert "Traceback" not in table.log.read_text()
        assert table.committed() == WAVES[0] | WAVES[1]
        assert_job_was_terminated(received)
        until(lambda: service.fake.in_flight == 0, "the calls of the terminated run have ended")
        service.release(held[2])
        with table.run(java, *flags) as driver:
            assert driver.wait(TIMEOUT_SECONDS) == 0, table.log.read_text()
        assert f"{len(WAVES[0] | WAVES[1])} current" in table.log.read_text()
        assert_scores_of(table.lake, TEXTS)
        assert_job_succeeded(received)
        assert not {TEXTS[ident] for ident in WAVES[0]} & set(service.received_texts()), "they are not sent again"

        program = [command("undertone-batch"), "maintain", f"--table={NAME}", f"--warehouse={table.lake}"]
        environment = ENVIRONMENT | java
        done = subprocess.run(program, check=False, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        assert done.returncode == 0, done.stderr
    steps = done.stdout.splitlines()
    assert len(steps) == 5, steps
    assert all(step.startswith(f"{NAME}: ") for step in steps)
    assert_scores_of(table.lake, TEXTS)


def assert_job_was_terminated(received: Reports) -> None:
    events = received.events()
    assert [(event.title, event.type) for event in events] == [
        (f"undertone job {JOB} started", "info"),
        (f"undertone job {JOB} failed", "error"),
    ]
    assert events[-1].text.startswith("terminated")
    first, last = received.gateway.pushes[0], received.gateway.pushes[-1]
    assert [push.value("undertone_job_running", job=JOB) for push in (first, last)] == [1, 0]
    assert last.value("undertone_job_failed_total", job=JOB) == 1
    assert last.value("undertone_job_expected_paragraphs", job=JOB) == len(WAVES[1] | WAVES[2])
    finished = last.value("undertone_job_paragraphs_total", job=JOB, code="OK")
    assert finished is not None
    assert len(WAVES[1]) <= finished < len(WAVES[1] | WAVES[2])
    assert last.value("undertone_job_last_success_timestamp_seconds", job=JOB) is None


def assert_job_succeeded(received: Reports) -> None:
    assert [event.title.split()[-1] for event in received.events()] == ["started", "failed", "started", "succeeded"]
    last = received.gateway.pushes[-1]
    assert last.value("undertone_job_paragraphs_total", job=JOB, code="OK") == len(WAVES[2])
    assert last.value("undertone_job_expected_paragraphs", job=JOB) == len(WAVES[2])
    assert last.value("undertone_job_last_success_timestamp_seconds", job=JOB)
