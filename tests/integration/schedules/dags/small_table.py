"""A DAG of Airflow that scores a small table in the local mode of Spark."""

import json
import os
from datetime import UTC, datetime, timedelta

from undertone_schedules import CatalogSettings, Scoring
from undertone_schedules.airflow_dags import FileInput, LocalRunner, TableInput, undertone_backfill, undertone_daily

SETTINGS = json.loads(os.environ["SMALL_TABLE"])

catalog = CatalogSettings(warehouse=SETTINGS["warehouse"])
scoring = Scoring(
    source=f"{SETTINGS['source']}/{{{{ ds }}}}",
    table="emotions.posts",
    target=SETTINGS["target"],
    catalog=catalog,
    options=("--buckets=1", "--max-deleted-share=1"),
)
options = {"dogstatsd": SETTINGS["dogstatsd"], "retries": 0}

undertone_daily(
    "small_table",
    scoring,
    LocalRunner(command=(SETTINGS["command"],)),
    inputs=[FileInput(f"{SETTINGS['source']}/{{{{ ds }}}}", options={"mode": "poke"})],
    start_date=datetime(2026, 11, 26, tzinfo=UTC),
    catchup=True,
    **options,
)
# Without a run: dag.test() of Airflow 3.3 fails at the end of a successful run with a deadline.
undertone_backfill("backfill", scoring, LocalRunner(command=(SETTINGS["command"],)), deadline=timedelta(hours=6), **options)
broken = Scoring(source="none", table="emotions.posts", target="localhost:1", catalog=catalog, options=("--wave-rows=none",))
undertone_daily(
    "broken", broken, LocalRunner(command=(SETTINGS["command"],)), start_date=datetime(2026, 11, 26, tzinfo=UTC), **options
)
undertone_daily(
    "without_input",
    scoring,
    LocalRunner(command=(SETTINGS["command"],)),
    inputs=[TableInput("emotions.missing", catalog, options={"mode": "poke", "timeout": 0.0})],
    start_date=datetime(2026, 11, 26, tzinfo=UTC),
    **options,
)
