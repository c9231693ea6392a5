"""A Spark session on this machine, the Python workers behind it, and a scripted service for them to call."""

import asyncio
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_client.testing import FakeClassifier, ReceivedCall

from tests.integration.support.processes import PATIENCE_SECONDS

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed; Spark needs it, 17 or later")

# For little data, compiling takes longer than running, and most of a process's time is that of loading Spark's own classes.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.log.level": "OFF",
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
}
"""Nothing listens to other machines, and little time is spent on what pays with much data only."""


@contextmanager
def spark_session(folder: Path) -> Iterator[SparkSession]:
    """A session of two cores, with four attempts for a task as on a cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        local = {"spark.sql.warehouse.dir": str(folder / "warehouse"), "spark.local.dir": str(folder / "local")}
        session = SparkSession.builder.master("local[2,4]").config(map={**SETTINGS, **local}).getOrCreate()
        try:
            yield session
        finally:
            session.stop()


def python_workers(session: SparkSession) -> list[int]:
    """Process ids of the session's Python workers: Java keeps a daemon, which forks them."""
    gateway = session.sparkContext._gateway
    assert gateway is not None
    return [worker for daemon in children(gateway.proc.pid) for worker in children(daemon)]


def children(process: int) -> list[int]:
    """Process ids of the processes that another has started."""
    return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == process]


def _parent(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended meanwhile
        return None


class Service:
    """A FakeClassifier on an event loop of its own, so that a test can wait for Spark and script the service at once."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service")
        self._thread.start()
        self.fake = FakeClassifier()
        self.calls: list[ReceivedCall] = []
        self._await(self.fake.__aenter__())

    @property
    def target(self) -> str:
        return self.fake.target

    def close(self) -> None:
        """Stop it."""
        self.open_gate()
        self._await(self.fake.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def shut_gate(self) -> None:
        """Hold all answers to paragraphs back."""
        self._loop.call_soon_threadsafe(self.fake.gate.clear)

    def open_gate(self) -> None:
        """Let them go, and those to come."""
        self._loop.call_soon_threadsafe(self.fake.gate.set)

    def hold(self, text: str) -> None:
        """Hold the answers to calls with this text back, and no others."""
        self._loop.call_soon_threadsafe(self.fake.gates.__setitem__, text, asyncio.Event())

    def let_go(self, text: str) -> None:
        """Let them go, all at once."""
        self._loop.call_soon_threadsafe(self.fake.gates[text].set)

    def until_in_flight(self, calls: int) -> None:
        """Wait until so many calls are held back."""
        self._await(self.fake.until_in_flight(calls))

    def sent(self) -> list[str]:
        """The texts of all calls since the last time, each as often as it was sent; the calls themselves are in `calls`."""
        texts = self.fake.paragraphs()
        self.calls = list(self.fake.calls)
        self.fake.calls.clear()
        return texts

    def _await(self, what: object) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE_SECONDS)  # type: ignore[arg-type]
