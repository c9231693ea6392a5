"""Schedules of the Spark job of Undertone.

`undertone_schedules.airflow_dags` has DAG factories and needs the extra `airflow`.
`undertone_schedules.luigi_tasks` has tasks and needs the extra `luigi`.
"""

from undertone_client.jobs.catalog import CatalogSettings, CatalogType

from undertone_schedules.scoring import RunMode, Scoring

__all__ = ["CatalogSettings", "CatalogType", "RunMode", "Scoring"]
