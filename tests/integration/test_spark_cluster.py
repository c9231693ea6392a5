"""`undertone-batch run` on a cluster: speculative execution, and the loss of an executor.

The executors have no other way to import Undertone than the packed environment, if it exists:
make spark-environment.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, command, until
from tests.integration.support.score_table import NAME, assert_scores_of, commits
from tests.integration.support.spark import JAVA_OPTIONS, SETTINGS, needs_iceberg, needs_java, submit_arguments
from tests.integration.support.spark_cluster import Cluster, cluster

pytestmark = [needs_java, needs_iceberg]

ARCHIVE = Path(__file__).parents[2] / "build/undertone-spark.tar.gz"

TEXTS = {str(number): f"Paragraph {number} of a cluster" for number in range(1200)}
SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "50ms",
    "spark.speculation.quantile": "0.1",
    "spark.speculation.multiplier": "1.1",
    "spark.speculation.minTaskRuntime": "10ms",
}


@pytest.fixture
def two_hosts(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as running:
        yield running


@contextmanager
def driver(master: str, service: BackgroundService, folder: Path) -> Iterator[None]:
    """Runs `undertone-batch run` on TEXTS with both executors. Waits for its success at the end."""
    (folder / "events").mkdir()
    pq.write_table(pa.table({"id": list(TEXTS), "text": list(TEXTS.values())}), folder / "source.parquet")
    settings = {
        **SETTINGS,
        "spark.executor.memory": "512m",
        "spark.executor.extraJavaOptions": JAVA_OPTIONS,
        "spark.default.parallelism": "2",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (folder / "events").as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        **SPECULATION,
    }
    program = [command("undertone-batch"), "run", "--mode=backfill", f"--source={folder / 'source.parquet'}"]
    # The long timeout prevents retries of held calls: a text that arrives twice was sent by two
    # tasks.
    options = [
        f"--table={NAME}",
        f"--warehouse={folder / 'lake'}",
        f"--summary={folder / 'summary.json'}",
        f"--target={service.target}",
        "--buckets=2",
        "--wave-rows=1",
        f"--timeout={TIMEOUT_SECONDS}",
    ]
    submit = {"PYSPARK_SUBMIT_ARGS": submit_arguments(master, settings)}
    if ARCHIVE.exists():
        submit["PYSPARK_SUBMIT_ARGS"] = f"--archives {ARCHIVE}#environment {submit['PYSPARK_SUBMIT_ARGS']}"
        submit["PYSPARK_PYTHON"] = "./environment/bin/python"
    environment = ENVIRONMENT | submit
    with subprocess.Popen([*program, *options], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
            _, log = process.communicate(timeout=TIMEOUT_SECONDS)
            assert process.returncode == 0, log
        finally:
            process.kill()


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The events of a kind in Spark's event log."""
    logs = [log.read_text() for log in (folder / "events").iterdir()]
    # Not splitlines: it splits at white space of Unicode, which Spark's plans contain.
    lines = [line for log in logs for line in log.split("\n")[:-1]]
    return [event for event in map(json.loads, lines) if event["Event"] == kind]


def test_speculative_tasks_and_a_killed_executor_lose_and_duplicate_nothing(
    two_hosts: Cluster, service: BackgroundService, tmp_path: Path
) -> None:
    # Two waves of one bucket each.
    slow = TEXTS["3"]
    service.hold(slow)
    with driver(two_hosts.master, service, tmp_path):
        until(lambda: service.fake.paragraphs().count(slow) == 2, "a speculative task has sent it")
        service.release(slow)
        until(lambda: commits(tmp_path / "lake") > 0, "the first wave is committed")
        service.close_gate()
        service.wait_for_in_flight(1)
        os.kill(two_hosts.executors()[0], signal.SIGKILL)
        service.open_gate()
    assert any(event["Task Info"]["Speculative"] for event in events(tmp_path, "SparkListenerTaskStart"))
    killed = 128 + signal.SIGKILL
    assert any(f"code {killed}" in event["Removed Reason"] for event in events(tmp_path, "SparkListenerExecutorRemoved"))
    assert_scores_of(tmp_path / "lake", TEXTS)
    assert ARCHIVE.exists() == any(tmp_path.glob("127.0.0.*/*/*/environment/bin/python"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["scored"], summary["failed"], summary["rows"]) == (1200, 0, 1200)
