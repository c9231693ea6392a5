"""Airflow DAGs of the Spark job. Needs the extra `undertone-schedules[airflow]`.

By default, Airflow loads only files that contain the words `airflow` and `dag`. An import of this
package contains both.

Provider packages of runners and inputs are imported when they are used.
"""

from undertone_schedules.airflow_dags.dags import scoring_dag, undertone_backfill, undertone_daily
from undertone_schedules.airflow_dags.event import scores_asset
from undertone_schedules.airflow_dags.inputs import FileInput, Input, S3Input, TableInput
from undertone_schedules.airflow_dags.runners import EmrRunner, KubernetesRunner, LocalRunner, Runner, SparkSubmitRunner

__all__ = [
    "EmrRunner",
    "FileInput",
    "Input",
    "KubernetesRunner",
    "LocalRunner",
    "Runner",
    "S3Input",
    "SparkSubmitRunner",
    "TableInput",
    "scores_asset",
    "scoring_dag",
    "undertone_backfill",
    "undertone_daily",
]
