"""Prints what the tasks of the example DAGs would run, in the environment of Airflow.

Arguments are the folder of the DAGs and the address of a Datadog agent, which gets the report of a
missed deadline. Standard output ends with a line of JSON.
"""

import asyncio
import json
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from undertone_client import SettingsError
from undertone_schedules.airflow_dags import EmrRunner
from undertone_schedules.airflow_dags.callbacks import report_missed_deadline


def error_without_provider() -> str:
    """The error of a runner whose provider package is not installed."""
    sys.modules["airflow.providers.amazon.aws.operators.emr"] = None  # type: ignore[assignment]
    try:
        EmrRunner(job_flow_id="j-1", application="s3://lake/__main__.py").operator([], task_id="score")
    except SettingsError as error:
        return str(error)
    return ""


def main() -> None:
    folder, agent = sys.argv[1:]
    bag = DagBag(folder)
    output: dict[str, Any] = {"import_errors": bag.import_errors}
    output["max_active_runs"] = sorted({dag.max_active_runs for dag in bag.dags.values()})
    for dag in bag.dags.values():
        DagSerialization.serialize_dag(dag)  # as Airflow's DAG processor does
        score = dag.get_task("score")
        if dag.dag_id == "undertone_backfill":
            output["backfill"] = score.arguments
        elif hasattr(score, "steps"):
            output["emr"] = score.steps[0]["HadoopJarStep"]["Args"]
        elif hasattr(score, "image"):
            output["kubernetes"] = score.arguments
        elif hasattr(score, "application_args"):
            output["spark"] = score.application_args
        if dag.deadline:
            (alert,) = dag.deadline if isinstance(dag.deadline, list) else [dag.deadline]
            output["deadline"] = alert.callback.path
    asyncio.run(report_missed_deadline({"dag_run": {"dag_run_id": "scheduled-1"}}, job="nightly", dogstatsd=agent))
    output["without_provider"] = error_without_provider()
    sys.stdout.write("\n" + json.dumps(output, default=str) + "\n")


if __name__ == "__main__":
    main()
