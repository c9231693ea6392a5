"""A local Spark session and its Python workers."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch.iceberg_catalog import EXTENSIONS

ICEBERG_JARS = sorted((Path(__file__).parents[3] / "build/iceberg").glob("*.jar"))
"""Iceberg's runtime for the locked Spark, its AWS clients, and SQLite's JDBC driver."""

needs_iceberg = pytest.mark.skipif(not ICEBERG_JARS, reason="build/iceberg has no jars: run .ci/iceberg")

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed; Spark needs it, 17 or later")

# With little data, compilation takes longer than execution, and loading Spark's classes takes most
# of the time.
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
    "spark.jars": ",".join(map(str, ICEBERG_JARS)),
    "spark.sql.extensions": EXTENSIONS,
}
"""Listens on this machine only. Without optimizations that pay off only for much data."""


def submit_arguments(master: str, settings: dict[str, str]) -> str:
    """The value of PYSPARK_SUBMIT_ARGS."""
    return " ".join(f"--conf {name}='{value}'" for name, value in settings.items()) + f" --master {master} pyspark-shell"


@contextmanager
def spark_session(folder: Path) -> Iterator[SparkSession]:
    """A session with two cores and, as on a cluster, four attempts of each task."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        local = {"spark.sql.warehouse.dir": str(folder / "warehouse"), "spark.local.dir": str(folder / "local")}
        session = SparkSession.builder.master("local[2,4]").config(map={**SETTINGS, **local}).getOrCreate()
        try:
            yield session
        finally:
            session.stop()
