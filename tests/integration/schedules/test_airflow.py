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

    def run(self, *jobs: tuple[str, str | None]) -> dict[str, Any]:
        """Runs DAGs for logical dates; see airflow_runs.py."""
        done = self.call(program("airflow", "python"), str(Path(__file__).parent / "airflow_runs.py"), stdin=json.dumps(jobs))
        output: dict[str, Any] = json.loads(done.splitlines()[-1])
        return output

    def migrate(self) -> None:
        """Creates the database."""
        self.call(program("airflow", "airflow"), "db", "migrate")

    def call(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            arguments, env=self.environment, input=stdin, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        self.logs.append(done.stdout + done.stderr)
        assert done.returncode == 0, self.logs[-1][-5000:]
        return done.stdout


@pytest.fixture(scope="module")
def airflow(small_table: SmallTable) -> Airflow:
    airflow = Airflow(
        {
            **small_table.environment,
            "AIRFLOW_HOME": str(small_table.folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW_CONN_FS_DEFAULT": "file:///",
            "SMALL_TABLE": small_table.settings,
        }
    )
    airflow.migrate()
    return airflow


@pytest.fixture(scope="module")
def missed_days(airflow: Airflow) -> dict[str, Any]:
    """The runs of three missed days."""
    day = "2026-11-28T00:00:00+00:00"
    return airflow.run(("broken", day), ("without_input", day), ("small_table", None))


def states(output: dict[str, Any], dag: str) -> list[tuple[str, str, str]]:
    return [(run["date"], run["state"], run["tasks"]["score"]) for run in output["runs"] if run["dag"] == dag]


def test_catching_up_on_missed_days_leaves_the_table_of_the_last_day(
    missed_days: dict[str, Any], small_table: SmallTable
) -> None:
    assert missed_days["import_errors"] == {}
    assert states(missed_days, "small_table") == [(day, "success", "success") for day in DAYS]
    assert small_table.snapshots() == [f"daily-{day.replace('-', '')}T000000" for day in DAYS]
    assert small_table.present_ids() == set(DAYS["2026-11-28"])


def test_each_run_emits_an_event_with_its_counts(missed_days: dict[str, Any]) -> None:
    events = [(event["as_of"], event["scored"], event["failed"], event["rows"]) for event in missed_days["events"]]
    assert events == [("2026-11-26T00:00:00", 2, 0, 2), ("2026-11-27T00:00:00", 1, 0, 2), ("2026-11-28T00:00:00", 1, 0, 3)]


def test_a_failed_run_and_a_missing_input_are_reported_to_datadog(missed_days: dict[str, Any], small_table: SmallTable) -> None:
    assert states(missed_days, "broken") == [("2026-11-28", "failed", "failed")]
    assert states(missed_days, "without_input") == [("2026-11-28", "failed", "upstream_failed")]
    assert small_table.outcomes("broken") == ["failed"]
    assert small_table.outcomes("without_input") == ["failed"]
    assert small_table.outcomes("small_table")[:3] == ["succeeded"] * 3
    assert small_table.reports.counter("undertone_job_failed", "job:broken") == 1


def test_a_repeated_day_commits_nothing_and_an_older_day_is_skipped(
    missed_days: dict[str, Any], airflow: Airflow, small_table: SmallTable
) -> None:
    small_table.service.received_texts()
    before, events = small_table.table().metadata_location, missed_days["events"]
    output = airflow.run(("small_table", "2026-11-28T00:00:00+00:00"), ("small_table", "2026-11-26T00:00:00+00:00"))
    assert states(output, "small_table") == [("2026-11-28", "success", "success"), ("2026-11-26", "success", "skipped")]
    assert small_table.table().metadata_location == before
    assert not set(small_table.service.received_texts()) & set(DAYS["2026-11-26"].values())
    assert [event["scored"] for event in output["events"][len(events) :]] == [0]  # of the repeated day only


def test_dags_on_clusters_parse_and_have_the_arguments_of_the_job(airflow: Airflow) -> None:
    script = Path(__file__).parent / "airflow_operators.py"
    examples = ROOT / "services/schedules/examples"
    output = json.loads(airflow.call(program("airflow", "python"), str(script), str(examples)).splitlines()[-1])
    assert output["import_errors"] == {}
    assert output["emr"][:2] == ["spark-submit", "--deploy-mode"]
    for runner in ("emr", "kubernetes", "spark"):
        assert "--as-of={{ undertone_as_of(dag_run) }}" in output[runner]
        assert "--mode=daily" in output[runner]
    assert "--mode=backfill" in output["backfill"]
    assert output["kubernetes"][-1] == "--summary=/airflow/xcom/return.json"
    assert output["max_active_runs"] == [1]
    assert output["deadline"] == "undertone_schedules.airflow_dags.callbacks.report_missed_deadline"


def test_a_missed_deadline_is_reported_to_datadog(airflow: Airflow, small_table: SmallTable) -> None:
    script = (
        "import asyncio, sys; from undertone_schedules.airflow_dags.callbacks import report_missed_deadline as report;"
        "asyncio.run(report({'dag_run': {'dag_run_id': 'scheduled-1'}}, job='nightly', dogstatsd=sys.argv[1]))"
    )
    airflow.call(program("airflow", "python"), "-c", script, small_table.reports.agent.address)
    (event,) = [event for event in small_table.reports.events() if "job nightly" in event.title]
    assert (event.title, event.type) == ("undertone job nightly missed its deadline", "error")
    assert event.text == "DAG run scheduled-1 has not ended"


def test_a_runner_without_its_provider_package_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['airflow.providers.amazon.aws.operators.emr'] = None\n"
        "from undertone_schedules.airflow_dags import EmrRunner\n"
        "EmrRunner(job_flow_id='j-1', application='s3://lake/__main__.py').operator([], task_id='score')"
    )
    done = subprocess.run([program("airflow", "python"), "-c", script], check=False, capture_output=True, text=True)
    assert "pip install 'undertone-schedules[airflow,amazon]'" in done.stderr.splitlines()[-1]


def test_no_log_has_a_secret_of_the_environment(missed_days: dict[str, Any], airflow: Airflow) -> None:
    assert missed_days["runs"]
    assert "a-secret-value" not in "".join(airflow.logs)
