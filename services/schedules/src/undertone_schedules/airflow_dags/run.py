"""The identity of a DAG run: the time of its data, and the id of its run of the Spark job.

Both follow from the logical date, so every attempt and every repetition of a run has the same.
"""

from datetime import UTC, datetime
from typing import Any

from undertone_schedules.scoring import RunMode


def data_time(dag_run: Any) -> datetime:
    """The time of the data of a DAG run.

    That is its logical date. A run that an asset or a user triggers can have none; it gets the
    time at which it may start.
    """
    when: datetime = dag_run.logical_date or dag_run.run_after
    return when.astimezone(UTC)


def as_of_text(dag_run: Any) -> str:
    """The value of --as-of: ISO 8601 in UTC, without an offset."""
    return data_time(dag_run).strftime("%Y-%m-%dT%H:%M:%S")


def run_id_of(dag_run: Any, mode: str) -> str:
    """The value of --run, such as `daily-20261128T000000`."""
    return f"{RunMode(mode)}-{data_time(dag_run):%Y%m%dT%H%M%S}"


MACROS = {"undertone_as_of": as_of_text, "undertone_run_id": run_id_of}
"""The functions for templates of a DAG."""
