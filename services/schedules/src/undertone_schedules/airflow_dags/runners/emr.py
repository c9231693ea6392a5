"""Runs the job as a step of an EMR cluster, with the provider package of Amazon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import BaseOperator

from undertone_schedules.airflow_dags.providers import import_provider


@dataclass(frozen=True, slots=True, kw_only=True)
class EmrRunner:
    """Adds a step to a running EMR cluster, and waits for its end.

    Attributes:
        job_flow_id: The id of the cluster. It can be a template, such as
            `{{ ti.xcom_pull('create_cluster') }}`.
        application: The URL of `undertone_batch/__main__.py`.
        submit: Options of spark-submit, such as `--archives` and `--conf`.
        conn_id: The Airflow connection to AWS.
        options: Further arguments of EmrAddStepsOperator, such as `deferrable` or
            `waiter_max_attempts`.
    """

    job_flow_id: str
    application: str
    submit: tuple[str, ...] = ("--deploy-mode", "cluster")
    conn_id: str = "aws_default"
    options: Mapping[str, Any] = field(default_factory=dict)

    def operator(self, arguments: Sequence[str], **options: Any) -> BaseOperator:
        module = "airflow.providers.amazon.aws.operators.emr"
        operator = import_provider(module, "EmrAddStepsOperator", extra="amazon", user="EmrRunner")
        step = {
            "Name": "undertone",
            "ActionOnFailure": "CONTINUE",  # a retry adds a step to the same cluster
            "HadoopJarStep": {
                "Jar": "command-runner.jar",
                "Args": ["spark-submit", *self.submit, self.application, *arguments],
            },
        }
        # A day of polls. `execution_timeout` ends a task earlier.
        waiting = {"wait_for_completion": True, "waiter_delay": 30, "waiter_max_attempts": 2880}
        built: BaseOperator = operator(
            job_flow_id=self.job_flow_id, aws_conn_id=self.conn_id, steps=[step], **{**waiting, **self.options}, **options
        )
        return built
