"""`undertone-batch run` on a cluster: a straggler's copy ends when it does, and an executor is lost with all that it holds."""

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

from tests.integration import spark_parts
from tests.integration.spark_cluster import Cluster, cluster
from tests.integration.spark_table import assert_right
from tests.integration.support.processes import ENVIRONMENT, PATIENCE_SECONDS, command, until

pytestmark = spark_parts.needs_java

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
    with cluster(tmp_path) as started:
        yield started


@pytest.fixture
def service() -> Iterator[spark_parts.Service]:
    running = spark_parts.Service()
    yield running
    running.close()


@contextmanager
def driver(master: str, service: spark_parts.Service, folder: Path) -> Iterator[None]:
    """`undertone-batch run` over TEXTS, which go to both executors; the block ends when it does, which must be well."""
    (folder / "events").mkdir()
    pq.write_table(pa.table({"id": list(TEXTS), "text": list(TEXTS.values())}), folder / "source.parquet")
    settings = {
        **spark_parts.SETTINGS,
        "spark.executor.memory": "512m",
        "spark.executor.extraJavaOptions": spark_parts.JAVA_OPTIONS,
        "spark.default.parallelism": "2",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (folder / "events").as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        **SPECULATION,
    }
    submit = " ".join(f"--conf {name}='{value}'" for name, value in settings.items()) + f" --master {master} pyspark-shell"
    program = [command("undertone-batch"), "run", "--mode=backfill", f"--source={folder / 'source.parquet'}"]
    # A call that is held back must not be tried again: what is sent twice was sent by two tasks.
    options = [
        f"--table={folder / 'table'}",
        f"--target={service.target}",
        "--buckets=2",
        "--wave-rows=1",
        f"--timeout={PATIENCE_SECONDS}",
    ]
    environment = ENVIRONMENT | {"PYSPARK_SUBMIT_ARGS": submit}
    with subprocess.Popen([*program, *options], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, said
        finally:
            process.kill()


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """What Spark itself has noted of a run."""
    lines = [line for log in (folder / "events").iterdir() for line in log.read_text().splitlines()]
    return [event for event in map(json.loads, lines) if event["Event"] == kind]


def test_a_copied_straggler_and_a_killed_executor(two_hosts: Cluster, service: spark_parts.Service, tmp_path: Path) -> None:
    # Two waves, of one bucket each.
    slow = TEXTS["3"]
    service.hold(slow)
    with driver(two_hosts.master, service, tmp_path):
        until(lambda: service.fake.paragraphs().count(slow) == 2, "a second task has sent it")
        service.let_go(slow)
        until((tmp_path / "table/versions/00000001.json").exists, "the first wave is committed")
        service.shut_gate()
        service.until_in_flight(1)
        os.kill(two_hosts.executors()[0], signal.SIGKILL)
        service.open_gate()
    assert any(event["Task Info"]["Speculative"] for event in events(tmp_path, "SparkListenerTaskStart"))
    killed = 128 + signal.SIGKILL
    assert any(f"code {killed}" in event["Removed Reason"] for event in events(tmp_path, "SparkListenerExecutorRemoved"))
    assert_right(tmp_path / "table", TEXTS)
    (summary,) = (json.loads(file.read_text()) for file in (tmp_path / "table/runs").glob("*.json"))
    assert (summary["scored"], summary["failed"], summary["rows"]) == (1200, 0, 1200)
