"""What the catalogue says about a table of scores, read with pyiceberg."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from undertone_client import SettingsError
from undertone_client.jobs.catalog import CATALOG, CatalogSettings, CatalogType, TableName
from undertone_client.jobs.table_properties import AS_OF_PREFIX, FAILED, RUN_ID, SCORED

if TYPE_CHECKING:
    from pyiceberg.table import Table


@dataclass(frozen=True, slots=True)
class TableState:
    """The state of a table at the time of `open`.

    Attributes:
        table: pyiceberg's table; None if the catalogue has no such table.
    """

    table: "Table | None"

    @classmethod
    def open(cls, catalog: CatalogSettings, name: TableName) -> Self:
        """Reads the metadata of a table.

        Raises:
            SettingsError: pyiceberg is not installed, or cannot use the catalogue.
        """
        try:
            from pyiceberg.catalog import load_catalog
            from pyiceberg.exceptions import NoSuchTableError
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"reading the catalogue of {name} needs {error.name!r}, which is not installed: pip install"
                " 'undertone-schedules[iceberg]'"
            ) from None
        if catalog.type is CatalogType.SQLITE and not catalog.sqlite_file.exists():
            return cls(None)  # pyiceberg would create it
        try:
            return cls(
                load_catalog(CATALOG, **catalog.pyiceberg_properties, init_catalog_tables="false").load_table(
                    (name.namespace, name.name)
                )
            )
        except NoSuchTableError:
            return cls(None)

    def as_of(self, job: str) -> datetime | None:
        """The newest time of the data that a schedule has scored; None before its first run."""
        value = self.table.properties.get(AS_OF_PREFIX + job) if self.table else None
        return datetime.fromisoformat(value) if value else None

    @property
    def committed_at(self) -> datetime | None:
        """The time of the current snapshot; None without one."""
        snapshot = self.table.current_snapshot() if self.table else None
        return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC) if snapshot else None

    def counts(self, run_id: str) -> dict[str, Any]:
        """The counts of a run, from the summaries of its snapshots.

        A run that found nothing to do has no snapshot.
        """
        summaries = [snapshot.summary for snapshot in (self.table.snapshots() if self.table else []) if snapshot.summary]
        own = [summary for summary in summaries if summary.get(RUN_ID) == run_id]
        counts = {name: sum(int(each.get(key) or 0) for each in own) for name, key in (("scored", SCORED), ("failed", FAILED))}
        return {"run": run_id, "snapshots": len(own), **counts}
