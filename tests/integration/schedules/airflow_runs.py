"""Creates Airflow's database and runs DAGs, in the environment of Airflow.

Standard input has a JSON list of [DAG, logical date] pairs, or null for the dates that a scheduler
would run until 29 November 2026. The argument is the folder of the table. Standard output ends with
a line of JSON about the runs; `metadata` is the table's newest file of metadata after the run.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.db import initdb
from airflow.utils.session import create_session

UNTIL = datetime(2026, 11, 28, 12, tzinfo=UTC)


def missed_dates(dag: Any) -> list[datetime]:
    """The logical dates that the scheduler would run, from the start of the DAG to `UNTIL`."""
    scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    return [info.logical_date for info in scheduled.iter_dagrun_infos_between(dag.start_date, UNTIL)]


def main() -> None:
    initdb()
    bag = DagBag()
    output: dict[str, Any] = {"import_errors": bag.import_errors, "dags": sorted(bag.dags), "runs": []}
    for dag_id, date in json.load(sys.stdin):
        dag = bag.dags[dag_id]
        for logical_date in [datetime.fromisoformat(date)] if date else missed_dates(dag):
            run = dag.test(logical_date=logical_date)
            tasks = {task.task_id: task.state for task in run.get_task_instances()}
            metadata = max((file.name for file in Path(sys.argv[1]).glob("metadata/*.metadata.json")), default=None)
            one = {"dag": dag_id, "date": f"{logical_date:%Y-%m-%d}", "state": run.state, "tasks": tasks, "metadata": metadata}
            output["runs"].append(one)
    with create_session() as session:
        output["events"] = [event.extra for event in session.query(AssetEvent).order_by(AssetEvent.id)]
    sys.stdout.write("\n" + json.dumps(output, default=str) + "\n")


if __name__ == "__main__":
    main()
