"""Commits of several programs to one Iceberg table at the same time."""

import re
import time
from collections.abc import Callable

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession

ATTEMPTS = 8
"""Attempts of a statement. Iceberg, too, gives up after a few."""

FIRST_WAIT_SECONDS = 0.1
"""The wait after the first attempt. Each further one is twice as long."""

_LOST = "CommitFailedException"
_CONFLICT = re.compile(rf"{_LOST}|ValidationException|Cannot commit|CommitStateUnknown|not an ancestor")


def is_conflict(error: Exception) -> bool:
    """Whether Spark failed because another program has changed the table."""
    return _CONFLICT.search(str(error)) is not None


def repeat_lost_commits(spark: SparkSession, statement: str, sleep: Callable[[float], object] = time.sleep) -> list[Row]:
    """Executes a statement, again if another commit of the table comes first.

    Iceberg itself repeats only commits of rows and of properties. It gives up those of branches and
    of columns (CommitFailedException: Table metadata refresh is required), although any commit to
    any branch prevents them.

    Args:
        spark: The session.
        statement: Changes branches or columns of a table.
        sleep: Waits for some seconds.

    Returns:
        The rows of the result.

    Raises:
        PySparkException, Py4JJavaError: as Spark, from the last attempt.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return spark.sql(statement).collect()
        except (PySparkException, Py4JJavaError) as error:
            if _LOST not in str(error) or attempt == ATTEMPTS:
                raise
        sleep(FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
    raise AssertionError
