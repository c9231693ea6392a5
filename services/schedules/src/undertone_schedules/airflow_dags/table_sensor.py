"""The sensor of an Iceberg table."""

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseSensorOperator
from undertone_client import SettingsError
from undertone_client.jobs.catalog import CatalogSettings, TableName

from undertone_schedules.airflow_dags.run import data_time
from undertone_schedules.table_state import TableState


class IcebergSnapshotSensor(BaseSensorOperator):
    """Waits for a snapshot of a table that is not older than the run's `data_interval_end`.

    A run without a data interval waits for a snapshot that is not older than its own time. A table
    that does not exist yet has no snapshot.

    Args:
        table: NAMESPACE.NAME.
        catalog: Its catalogue.
    """

    def __init__(self, *, table: str, catalog: CatalogSettings, **options: Any) -> None:
        super().__init__(**options)
        self.table = table
        self.catalog = catalog

    def poke(self, context: Mapping[str, Any]) -> bool:
        run = context["dag_run"]
        wanted = run.data_interval_end or data_time(run)
        try:
            committed_at = TableState.open(self.catalog, TableName.parse(self.table)).committed_at
        except SettingsError as error:
            raise AirflowFailException(str(error)) from None
        self.log.info(
            "%s has its newest snapshot from %s; this run needs one from %s or later", self.table, committed_at, wanted
        )
        return committed_at is not None and committed_at >= wanted
