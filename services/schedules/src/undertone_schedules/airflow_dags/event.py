"""The asset event of a run: the table was updated, with the counts of the run."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Asset

from undertone_schedules.airflow_dags.run import as_of_text, run_id_of
from undertone_schedules.scoring import RunMode, Scoring
from undertone_schedules.table_state import TableState

log = logging.getLogger(__name__)


def scores_asset(table: str) -> Asset:
    """The asset of a table of scores, for the schedule of a DAG that reads it.

    Args:
        table: NAMESPACE.NAME.
    """
    return Asset(name=f"undertone.{table}", uri=f"iceberg://undertone/{table.replace('.', '/')}", group="undertone")


@dataclass(frozen=True, slots=True)
class EventExtra:
    """A `post_execute` function: adds the run and its counts to the asset event of the task.

    The counts are those that the task returns. If the task returns none, because its driver runs on
    a cluster, they come from the catalogue, if this worker can read it.
    """

    asset: Asset
    scoring: Scoring
    mode: RunMode

    def __call__(self, context: Mapping[str, Any], result: object = None) -> None:
        run = context["dag_run"]
        run_id = run_id_of(run, self.mode)
        counts = dict(result) if isinstance(result, Mapping) and "scored" in result else self._counts(run_id)
        context["outlet_events"][self.asset].extra.update({"run": run_id, "as_of": as_of_text(run), **counts})

    def _counts(self, run_id: str) -> dict[str, Any]:
        try:
            return TableState.open(self.scoring.catalog, self.scoring.table_name).counts(run_id)
        except Exception as error:
            log.warning("the counts of run %s cannot be read from the catalogue: %s: %s", run_id, type(error).__name__, error)
            return {}
