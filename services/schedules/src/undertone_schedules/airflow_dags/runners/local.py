"""Runs the job as a process of the Airflow worker, for laptops and tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import BaseOperator

from undertone_schedules.airflow_dags.operator import UndertoneBatchOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRunner:
    """Runs `undertone-batch` on the machine of the Airflow worker, with Spark's local mode.

    Attributes:
        command: The program and its first arguments. The job needs an environment of its own,
            because its packages conflict with Airflow's: name the program of that environment, such
            as `/opt/undertone/bin/undertone-batch`.
        environment: Environment variables in addition to those of the worker, such as
            `PYSPARK_SUBMIT_ARGS`.
    """

    command: tuple[str, ...] = ("undertone-batch",)
    environment: Mapping[str, str] = field(default_factory=dict)

    def operator(self, arguments: Sequence[str], **options: Any) -> BaseOperator:
        return UndertoneBatchOperator(command=self.command, arguments=arguments, environment=self.environment, **options)
