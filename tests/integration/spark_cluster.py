"""A cluster on this machine: Spark's own standalone master, and two workers that each run an executor of one core."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pyspark

from tests.integration.spark_parts import JAVA_OPTIONS, children
from tests.integration.support.processes import until

HOSTS: Final = ("127.0.0.2", "127.0.0.3")
"""Of the workers. Spark starts no copy of a task on the host where it runs already, so one machine has to look like two."""


def _is_registered(worker_log: Path) -> bool:
    return "Successfully registered with master" in worker_log.read_text()


class Cluster:
    """Processes that have been started; their logs are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        log = self._start("127.0.0.1", "master.Master")
        until(lambda: "Starting Spark master at" in log.read_text(), "the master listens")
        found = re.search(r"Starting Spark master at (spark://\S+)", log.read_text())
        assert found
        self.master = found[1]
        for host in HOSTS:
            options = ("--cores=1", "--memory=1g", f"--work-dir={folder / host}", self.master)
            worker_log = self._start(host, "worker.Worker", *(part for option in options for part in option.split("=")))
            until(partial(_is_registered, worker_log), f"{host} is known to the master")

    def executors(self) -> list[int]:
        """Process ids of the executors' Java machines: each was started by its worker, as other things are."""
        started = (process for worker in self._processes[1:] for process in children(worker.pid))
        return [process for process in started if b"ExecutorBackend" in Path(f"/proc/{process}/cmdline").read_bytes()]

    def stop(self) -> None:
        """End all of it; a worker takes its executors with it."""
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
    """A cluster that lives as long as the block."""
    started = Cluster(folder)
    try:
        yield started
    finally:
        started.stop()
