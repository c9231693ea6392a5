"""Runs the job by spark-submit, with the provider package of Apache Spark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import BaseOperator

from undertone_schedules.airflow_dags.providers import import_provider


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkSubmitRunner:
    """Runs the job with `SparkSubmitOperator`.

    The connection names the master and the deploy mode. The worker needs Spark and Java.

    Attributes:
        application: The path or URL of `undertone_batch/__main__.py`.
        conn_id: The Airflow connection to Spark.
        archives: The packed environment of the job, such as `undertone.tar.gz#undertone`.
        packages: Maven coordinates of Iceberg's runtime, separated by commas.
        conf: Settings of Spark.
        environment: Environment variables of spark-submit, and of the driver in cluster mode.
        options: Further arguments of SparkSubmitOperator.
    """

    application: str
    conn_id: str = "spark_default"
    archives: str | None = None
    packages: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def operator(self, arguments: Sequence[str], **options: Any) -> BaseOperator:
        module = "airflow.providers.apache.spark.operators.spark_submit"
        operator = import_provider(module, "SparkSubmitOperator", extra="spark", user="SparkSubmitRunner")
        built: BaseOperator = operator(
            application=self.application,
            application_args=list(arguments),
            conn_id=self.conn_id,
            archives=self.archives,
            packages=self.packages,
            conf=dict(self.conf),
            env_vars=dict(self.environment) or None,
            name="undertone",
            **self.options,
            **options,
        )
        return built
