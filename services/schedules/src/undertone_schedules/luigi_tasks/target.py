"""The target of a run: what the table of scores records about it."""

from dataclasses import dataclass
from datetime import datetime

import luigi
from undertone_client.jobs.catalog import CatalogSettings, TableName

from undertone_schedules.table_state import TableState


@dataclass(frozen=True, slots=True)
class RunTarget(luigi.Target):
    """A table of scores that a schedule has brought up to a time of its source.

    The job records the time in the table after a successful run, also if the run found nothing to
    do. A snapshot alone would prove less: a run that failed can have snapshots, and a run without
    work has none.

    Attributes:
        catalog: The catalogue of the table.
        table: The name of the table.
        job: The name of the schedule.
        as_of: The time of the data in the source, in UTC.
    """

    catalog: CatalogSettings
    table: TableName
    job: str
    as_of: datetime

    def exists(self) -> bool:
        """Whether a run for this time or for a later one has succeeded."""
        recorded = self.state().as_of(self.job)
        return recorded is not None and recorded >= self.as_of

    def state(self) -> TableState:
        """The current state of the table, with its snapshot."""
        return TableState.open(self.catalog, self.table)
