"""A local Spark session and its Python workers."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession
from undertone_batch.iceberg_catalog import EXTENSIONS
from undertone_batch.iceberg_packages import iceberg_packages
from undertone_client.jobs.catalog import CatalogType


def _iceberg_jars() -> list[Path]:
    packages = {package for catalog in CatalogType for package in iceberg_packages(pyspark.__version__, catalog)}
    fitting = {"{1}-{2}.jar".format(*package.split(":")) for package in packages}
    jars = (Path(__file__).parents[3] / "build/iceberg").glob("*.jar")
    return sorted(jar for jar in jars if jar.name in fitting)


ICEBERG_JARS = _iceberg_jars()
"""Iceberg's runtime for the installed Spark, its AWS clients, and SQLite's JDBC driver."""

needs_iceberg = pytest.mark.skipif(
    not any("spark-runtime" in jar.name for jar in ICEBERG_JARS),
    reason=f"build/iceberg has no jars for Spark {pyspark.__version__}: run .ci/iceberg {pyspark.__version__}",
)

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed; Spark needs it, 17 or later")

# With little data, compilation takes longer than execution, and loading Spark's classes takes most
# of the time.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"

SPARK_CLASSES = Path(__file__).parents[3] / "build/spark-classes" / f"{pyspark.__version__}.jsa"
"""Spark's classes in the form in which Java maps them into memory; see spark_classes.py."""

if SPARK_CLASSES.exists():
    # The logging is that of an outdated file, which Java ignores.
    JAVA_OPTIONS += f" -XX:SharedArchiveFile={SPARK_CLASSES} -Xlog:disable"

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
def spark_session(folder: Path, java_options: str = JAVA_OPTIONS) -> Iterator[SparkSession]:
    """A session with two cores and, as on a cluster, four attempts of each task."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        local = {
            "spark.driver.extraJavaOptions": java_options,
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.local.dir": str(folder / "local"),
        }
        session = SparkSession.builder.master("local[2,4]").config(map={**SETTINGS, **local}).getOrCreate()
        try:
            yield session
        finally:
            session.stop()
