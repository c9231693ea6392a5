"""A standalone Spark cluster on this machine: a master, and two workers with one executor each."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pyspark
from undertone_bench.processes import child_processes

from tests.integration.support.processes import until
from tests.integration.support.spark import JAVA_OPTIONS

HOSTS: Final = ("127.0.0.2", "127.0.0.3")
"""The addresses of the workers.

Two, because Spark starts no speculative task on the host of the original.
"""


def _is_registered(worker_log: Path) -> bool:
    return "Successfully registered with master" in worker_log.read_text()


class Cluster:
    """The processes of a cluster. Their logs are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        log = self._start("127.0.0.1", "master.Master")
        until(lambda: "Starting Spark master at" in log.read_text(), "the master listens")
        match = re.search(r"Starting Spark master at (spark://\S+)", log.read_text())
        assert match
        self.master = match[1]
        for host in HOSTS:
            options = ("--cores=1", "--memory=1g", f"--work-dir={folder / host}", self.master)
            worker_log = self._start(host, "worker.Worker", *(part for option in options for part in option.split("=")))
            until(partial(_is_registered, worker_log), f"{host} is registered")

    def executors(self) -> list[int]:
        """The process ids of the executors, which are children of the workers."""
        processes = (process for worker in self._processes[1:] for process in child_processes(worker.pid))
        return [process for process in processes if b"ExecutorBackend" in Path(f"/proc/{process}/cmdline").read_bytes()]

    def stop(self) -> None:
        """Stops all processes. A worker stops its executors."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait()

    def _start(self, host: str, program: str, *options: str) -> Path:
        log = self._folder / f"{host}.log"
        home = Path(pyspark.__file__).parent
        command = [
            str(home / "bin/spark-class"),
            f"org.apache.spark.deploy.{program}",
            "--host",
            host,
            "--port",
            "0",
        ]
        environment = os.environ | {
            "SPARK_LOCAL_IP": host,
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": JAVA_OPTIONS,
        }
        with log.open("wb") as output:
            process = subprocess.Popen([*command, "--webui-port", "0", *options], stdout=output, stderr=output, env=environment)
        self._processes.append(process)
        return log


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A running cluster."""
    running = Cluster(folder)
    try:
        yield running
    finally:
        running.stop()
