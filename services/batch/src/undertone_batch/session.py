"""The Spark session of the command, wherever it was started."""

import os
import sys

from pyspark.sql import SparkSession

from undertone_batch.java import check_java

LAPTOP = "local[*,4]"
"""All cores, and as on a cluster four attempts for a task; plain `local[*]` would give up after the first."""


LOCAL: dict[str, bool | float | int | str | None] = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
}
"""Nothing listens to other machines, and what Spark has to say does not drown what we have."""


def open_session(run: str) -> SparkSession:
    """The session that spark-submit has configured; started as a plain program, one on this machine's own cores.

    Raises:
        SettingsError: Java is missing, or too old.
        PySparkException: Spark's own settings cannot work.
    """
    builder = SparkSession.builder.appName(f"undertone {run}")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # which spark-submit sets
        check_java()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if "PYSPARK_SUBMIT_ARGS" not in os.environ:
            builder = builder.master(LAPTOP).config(map=LOCAL)
    return builder.getOrCreate()
