"""DAGs in the real Airflow, in an environment of its own."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.schedules.conftest import DAYS, ROOT, SmallTable, program
from tests.integration.support.spark import needs_iceberg, needs_java

pytestmark = [needs_java, needs_iceberg]

TIMEOUT_SECONDS = 600
DAGS = Path(__file__).parent / "dags"


@dataclass(frozen=True, slots=True)
class Airflow:
    """Airflow with a database of its own."""

    environment: dict[str, str]
    logs: list[str] = field(default_factory=list)

    def run(self, script: str, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """Runs a program of this folder in the environment of Airflow. Returns its last line."""
        command = [program("airflow", "python"), str(Path(__file__).parent / script), *arguments]
        done = subprocess.run(
            command, env=self.environment, input=stdin, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        self.logs.append(done.stdout + done.stderr)
        assert done.returncode == 0, self.logs[-1][-5000:]
        output: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return output


@pytest.fixture(scope="module")
def airflow(small_table: SmallTable) -> Airflow:
    return Airflow(
        {
            **small_table.environment,
            "AIRFLOW_HOME": str(small_table.folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "0",  # no limit: a busy machine needs longer than the default
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW_CONN_FS_DEFAULT": "file:///",
            "SMALL_TABLE": small_table.settings,
        }
    )


@pytest.fixture(scope="module")
def runs(airflow: Airflow, small_table: SmallTable) -> dict[str, Any]:
    """The runs of three missed days, then of the last and of the first of these days again."""
    first, last = "2026-11-26T00:00:00+00:00", "2026-11-28T00:00:00+00:00"
    jobs = [("broken", last), ("without_input", last), ("small_table", None), ("small_table", last), ("small_table", first)]
    folder = small_table.warehouse / "emotions/posts"
    return airflow.run("airflow_runs.py", str(folder), stdin=json.dumps(jobs))


def states(output: dict[str, Any], dag: str) -> list[tuple[str, str, str]]:
    return [(run["date"], run["state"], run["tasks"]["score"]) for run in output["runs"] if run["dag"] == dag]


def test_runs_of_dags(runs: dict[str, Any], airflow: Airflow, small_table: SmallTable, subtests: pytest.Subtests) -> None:
    """One test, because a test in another process would run all DAGs again."""
    with subtests.test("catching up on missed days leaves the table of the last day"):
        assert runs["import_errors"] == {}
        assert states(runs, "small_table")[:3] == [(day, "success", "success") for day in DAYS]
        assert small_table.snapshots() == [f"daily-{day.replace('-', '')}T000000" for day in DAYS]
        assert small_table.present_ids() == set(DAYS["2026-11-28"])

    with subtests.test("each run emits an event with its counts"):
        events = [(event["as_of"], event["scored"], event["failed"], event["rows"]) for event in runs["events"]]
        assert events == [
            ("2026-11-26T00:00:00", 2, 0, 2),
            ("2026-11-27T00:00:00", 1, 0, 2),
            ("2026-11-28T00:00:00", 1, 0, 3),
            ("2026-11-28T00:00:00", 0, 0, 3),  # the repeated day; a skipped run emits none
        ]

    with subtests.test("a failed run and a missing input are reported to Datadog"):
        assert states(runs, "broken") == [("2026-11-28", "failed", "failed")]
        assert states(runs, "without_input") == [("2026-11-28", "failed", "upstream_failed")]
        assert small_table.outcomes("broken") == ["failed"]
        assert small_table.outcomes("without_input") == ["failed"]
        assert small_table.outcomes("small_table")[:3] == ["succeeded"] * 3
        assert small_table.reports.counter("undertone_job_failed", "job:broken") == 1

    with subtests.test("a repeated day commits nothing, and an older day is skipped"):
        repeated = [("2026-11-28", "success", "success"), ("2026-11-26", "success", "skipped")]
        assert states(runs, "small_table")[3:] == repeated
        assert len({run["metadata"] for run in runs["runs"][-3:]}) == 1, "no commit after that of the last day"
        assert len({run["metadata"] for run in runs["runs"][-5:]}) == len(DAYS)
        sent = [text for text in small_table.service.received_texts() if text.startswith("The")]
        assert sorted(sent) == sorted({text for texts in DAYS.values() for text in texts.values()})

    with subtests.test("no log has a secret of the environment"):
        assert "a-secret-value" not in "".join(airflow.logs)


def test_dags_of_the_examples(airflow: Airflow, small_table: SmallTable, subtests: pytest.Subtests) -> None:
    """What the tasks of the example DAGs run; see airflow_operators.py."""
    folder = ROOT / "services/schedules/examples"
    examples = airflow.run("airflow_operators.py", str(folder), small_table.reports.agent.address)

    with subtests.test("DAGs on clusters parse and have the arguments of the job"):
        assert examples["import_errors"] == {}
        assert examples["emr"][:2] == ["spark-submit", "--deploy-mode"]
        for runner in ("emr", "kubernetes", "spark"):
            assert "--as-of={{ undertone_as_of(dag_run) }}" in examples[runner]
            assert "--mode=daily" in examples[runner]
        assert "--mode=backfill" in examples["backfill"]
        assert examples["kubernetes"][-1] == "--summary=/airflow/xcom/return.json"
        assert examples["max_active_runs"] == [1]
        assert examples["deadline"] == "undertone_schedules.airflow_dags.callbacks.report_missed_deadline"

    with subtests.test("a missed deadline is reported to Datadog"):
        (event,) = [event for event in small_table.reports.events() if "job nightly" in event.title]
        assert (event.title, event.type) == ("undertone job nightly missed its deadline", "error")
        assert event.text == "DAG run scheduled-1 has not ended"

    with subtests.test("a runner without its provider package says what to install"):
        assert "pip install 'undertone-schedules[airflow,amazon]'" in examples["without_provider"]

    with subtests.test("no log has a secret of the environment"):
        assert "a-secret-value" not in "".join(airflow.logs)
