"""DAGs of Airflow that keep the table emotions.posts up to date with a folder for each day.

Copy this file into the folder of your DAGs, and keep one of the runners. The daily run and the
backfill write the same table, so they share a pool of one slot:
`airflow pools set undertone 1 'One writer'`.
"""

from datetime import UTC, datetime, timedelta

from undertone_schedules import CatalogSettings, CatalogType, Scoring
from undertone_schedules.airflow_dags import (
    EmrRunner,
    KubernetesRunner,
    S3Input,
    SparkSubmitRunner,
    undertone_backfill,
    undertone_daily,
)

glue = CatalogSettings(CatalogType.GLUE, warehouse="s3://lake/tables", options={"client.region": "eu-central-1"})
posts = Scoring(
    source="s3://lake/posts/{{ ds }}/",
    table="emotions.posts",
    target="dns:///undertone.example:443",
    catalog=glue,
    options=("--tls", "--max-failed-share=0.001"),
)
common = {
    "inputs": [S3Input("s3://lake/posts/{{ ds }}/_SUCCESS")],
    "dogstatsd": "datadog-agent:8125",
    "deadline": timedelta(hours=8),
    "pool": "undertone",
}
start_date = datetime(2026, 11, 1, tzinfo=UTC)

emr = EmrRunner(
    job_flow_id="{{ var.value.emr_cluster }}",
    application="s3://lake/jobs/undertone.py",
    submit=("--deploy-mode", "cluster", "--archives", "s3://lake/jobs/undertone.tar.gz#undertone"),
)
kubernetes = KubernetesRunner(image="ghcr.io/undertone/batch:0.1.0", service_account="spark")
spark = SparkSubmitRunner(application="/jobs/__main__.py", archives="/jobs/undertone.tar.gz#undertone")

undertone_daily("undertone_daily_emr", posts, emr, start_date=start_date, **common)
undertone_daily("undertone_daily_kubernetes", posts, kubernetes, start_date=start_date, **common)
undertone_daily("undertone_daily_spark", posts, spark, start_date=start_date, **common)
undertone_backfill("undertone_backfill", posts, kubernetes, **{**common, "inputs": ()})
