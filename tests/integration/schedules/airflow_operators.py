"""Loads the example DAGs in the environment of Airflow, and prints what their tasks would run."""

import json
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization


def main() -> None:
    bag = DagBag(sys.argv[1])
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
    sys.stdout.write("\n" + json.dumps(output, default=str) + "\n")


if __name__ == "__main__":
    main()
