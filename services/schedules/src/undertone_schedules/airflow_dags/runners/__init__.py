"""Where the Spark job of a DAG runs."""

from undertone_schedules.airflow_dags.runners.emr import EmrRunner
from undertone_schedules.airflow_dags.runners.kubernetes import KubernetesRunner
from undertone_schedules.airflow_dags.runners.local import LocalRunner
from undertone_schedules.airflow_dags.runners.runner import Runner
from undertone_schedules.airflow_dags.runners.spark_submit import SparkSubmitRunner

__all__ = ["EmrRunner", "KubernetesRunner", "LocalRunner", "Runner", "SparkSubmitRunner"]
