"""The Spark session of the command, the check for Java, and the signals that cancel a run."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

import pyspark
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession
from undertone_client import SettingsError
from undertone_client.jobs import Terminated

from undertone_batch.errors import JavaLostError
from undertone_batch.iceberg_catalog import EXTENSIONS_SETTING, PACKAGES_SETTING

LOCAL_MASTER = "local[*,4]"
"""All cores, and four attempts of each task as on a cluster.

Plain `local[*]` does not retry tasks.
"""

LOCAL_SETTINGS: dict[str, bool | float | int | str | None] = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
}
"""Spark listens on this machine only, and its log does not hide the job's."""

SIGNAL_SECONDS = 1.0
"""How much later than Java this process may receive a signal."""

MIN_JAVA_OF_SPARK = {3: 8, 4: 17}
"""The oldest version of Java by the major version of Spark.

Spark does not start on an older one (UnsupportedClassVersionError).
"""

log = logging.getLogger(__name__)

_JAVA_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
"""Up to Java 8, the second number is the version: 1.8.0."""


def open_session(run_id: str, settings: Mapping[str, str]) -> SparkSession:
    """Returns spark-submit's session, or starts a local one on all cores.

    Args:
        run_id: The id of the run, for the name of the application.
        settings: Settings of the session. `PACKAGES_SETTING` is for a local session only:
            spark-submit and PYSPARK_SUBMIT_ARGS have an option --packages. Extensions are added to
            those that the user has set, such as Delta's.

    Raises:
        SettingsError: Java is missing or too old.
        PySparkException: Spark's settings are invalid.
    """
    builder = SparkSession.builder.appName(f"undertone {run_id}")
    is_local = False
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # spark-submit sets it
        check_java()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        is_local = "PYSPARK_SUBMIT_ARGS" not in os.environ
    changed = dict(settings)
    if is_local:
        builder = builder.master(LOCAL_MASTER).config(map=LOCAL_SETTINGS)
    else:
        changed.pop(PACKAGES_SETTING, None)
        SparkContext._ensure_initialized()  # starts Java, which has the user's settings
        if EXTENSIONS_SETTING in changed:
            changed[EXTENSIONS_SETTING] = merged_extensions(SparkConf().get(EXTENSIONS_SETTING), changed[EXTENSIONS_SETTING])
    return builder.config(map=dict(changed)).getOrCreate()


def merged_extensions(present: str | None, needed: str) -> str:
    """The extensions of the user and those of the job, without repetition.

    Args:
        present: The user's value of `EXTENSIONS_SETTING`; None without one.
        needed: The job's.
    """
    names = [name.strip() for name in f"{present or ''},{needed}".split(",")]
    return ",".join(name for name in dict.fromkeys(names) if name)


def check_java(spark_version: str = pyspark.__version__) -> None:
    """Checks the version of the Java that Spark would start.

    Args:
        spark_version: The version of Spark, such as 4.1.4.

    Raises:
        SettingsError: Java is missing, does not run, or is too old.
    """
    min_java = MIN_JAVA_OF_SPARK[int(spark_version.partition(".")[0])]
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else "java"
    remedy = f"install Java {min_java} or later, or set JAVA_HOME to its folder"
    if shutil.which(java) is None:
        raise SettingsError(f"Spark needs Java, but {java!r} does not exist: {remedy}")
    try:
        output = subprocess.run([java, "-version"], check=False, capture_output=True, text=True, errors="replace").stderr
    except OSError as error:
        output = error.strerror or str(error)
    version = _JAVA_VERSION.search(output)
    if version is None:
        raise SettingsError(f"Spark needs Java, but {java!r} prints {output.strip()[:200]!r} instead of its version: {remedy}")
    if int(version[1]) < min_java:
        raise SettingsError(
            f"Spark {spark_version} needs Java {min_java} or later, but {java!r} is Java {version[1]}: {remedy}"
        )


def stop_session(spark: SparkSession) -> None:
    """Stops a session, also if its Java process has ended."""
    with ignore_lost_java():
        spark.stop()


@contextmanager
def ignore_lost_java() -> Iterator[None]:
    """Ignores the end of the Java process."""
    try:
        yield
    except (Py4JError, ConnectionError):
        log.debug("Java has ended", exc_info=True)


def silence_pyspark() -> None:
    """Stops PySpark and its connection to Java from logging exceptions that they also raise."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_from_py4j)  # py4j also uses the root logger
    logging.getLogger("DataFrameQueryContextLogger").setLevel(logging.CRITICAL)


def _is_not_from_py4j(record: logging.LogRecord) -> bool:
    return record.module not in ("java_gateway", "clientserver")


@contextmanager
def cancel_on_signals(cancel: Callable[[], None]) -> Iterator[None]:
    """Calls `cancel` in a thread on SIGINT and SIGTERM. The body is expected to raise then.

    The handler does not raise: an interrupted call into Java would leave the connection to it
    unusable. A signal to all processes can end Java before this process receives it: after a
    JavaLostError, the signal is awaited for SIGNAL_SECONDS.

    Raises:
        KeyboardInterrupt: instead of the body's exception, after SIGINT.
        Terminated: instead of the body's exception, after SIGTERM.
    """
    received: list[int] = []

    def cancel_if_connected() -> None:
        with ignore_lost_java():
            cancel()

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        threading.Thread(target=cancel_if_connected, name="cancel", daemon=True).start()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Exception as error:
        if not received and isinstance(error, JavaLostError):
            time.sleep(SIGNAL_SECONDS)
        if not received:
            raise
        raise (KeyboardInterrupt() if received[0] == signal.SIGINT else Terminated()) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
