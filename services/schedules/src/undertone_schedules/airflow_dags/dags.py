"""DAG factories: a daily run and a backfill of a table of scores."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference
from undertone_client import SettingsError

from undertone_schedules.airflow_dags.callbacks import ReportFailure, ReportSuccess, report_missed_deadline
from undertone_schedules.airflow_dags.event import EventExtra, scores_asset
from undertone_schedules.airflow_dags.inputs import Input
from undertone_schedules.airflow_dags.run import MACROS
from undertone_schedules.airflow_dags.runners import Runner
from undertone_schedules.outcome import OutcomeReporter
from undertone_schedules.scoring import RunMode, Scoring

SENSOR_TIMEOUT = timedelta(hours=12)
"""How long a run waits for each of its inputs."""


def undertone_daily(
    dag_id: str,
    scoring: Scoring,
    runner: Runner,
    *,
    start_date: datetime,
    schedule: Any = "@daily",
    catchup: bool = False,
    **options: Any,
) -> DAG:
    """A DAG that scores what is new or has changed.

    Args:
        dag_id: The id of the DAG, and the name of the schedule in the table and in metrics.
        scoring: The source, the table and the service.
        runner: Where the Spark job runs.
        start_date: The logical date of the first run.
        schedule: When to run: any schedule of Airflow, including assets.
        catchup: Whether missed runs are made up for, in order. A source with all data needs no
            catch-up: the next run scores everything that is missing. A partial source
            (`Scoring.is_partial`) does.
        options: See `scoring_dag`.

    Raises:
        SettingsError: a value is invalid, or a provider package is missing.
    """
    return scoring_dag(
        dag_id, RunMode.DAILY, scoring, runner, start_date=start_date, schedule=schedule, catchup=catchup, **options
    )


def undertone_backfill(dag_id: str, scoring: Scoring, runner: Runner, **options: Any) -> DAG:
    """A DAG that scores all paragraphs of a source, when a user triggers it.

    A run that failed and is cleared continues: it does not score paragraphs again that it has
    already scored.

    Args:
        dag_id: The id of the DAG, and the name of the schedule in the table and in metrics.
        scoring: The source, the table and the service.
        runner: Where the Spark job runs.
        options: See `scoring_dag`.

    Raises:
        SettingsError: a value is invalid, or a provider package is missing.
    """
    return scoring_dag(dag_id, RunMode.BACKFILL, scoring, runner, **{"schedule": None, "catchup": False, **options})


def scoring_dag(
    dag_id: str,
    mode: RunMode,
    scoring: Scoring,
    runner: Runner,
    *,
    inputs: Sequence[Input] = (),
    dogstatsd: str | None = None,
    deadline: timedelta | None = None,
    execution_timeout: timedelta = timedelta(hours=12),
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=5),
    pool: str | None = None,
    **dag_options: Any,
) -> DAG:
    """A DAG with a sensor for each input and a task `score`, which emits the asset event.

    Only one run is active at a time, because two writers of a table would make each other fail.
    Give the daily DAG and the backfill of one table the same `pool` of one slot.

    Args:
        dag_id: The id of the DAG, and the name of the schedule in the table and in metrics.
        mode: What each run scores.
        scoring: The source, the table and the service.
        runner: Where the Spark job runs.
        inputs: What must exist before a run starts.
        dogstatsd: The Datadog agent that receives the outcome of each run: host:port or
            unix:///path, reachable from Airflow's DAG processor and triggerer. None: no reports.
        deadline: A run that has not ended this long after it was queued is reported to Datadog.
            None has no deadline. Needs `dogstatsd`.
        execution_timeout: The maximum time of one attempt. The job is then stopped, and its
            committed scores stay in the table.
        retries: How often a failed attempt is repeated. An attempt continues where the previous
            one stopped.
        retry_delay: The time before the first retry. It doubles with each further one, up to an
            hour.
        pool: An Airflow pool for the task `score`.
        dag_options: Further arguments of DAG, such as `tags`.

    Raises:
        SettingsError: a value is invalid, or a provider package is missing.
        TelemetryError: the address of the agent is invalid.
    """
    reporter = OutcomeReporter(dag_id, dogstatsd) if dogstatsd else None
    reports: dict[str, Any] = {}
    if reporter is not None:
        reports = {"on_success_callback": [ReportSuccess(reporter)], "on_failure_callback": [ReportFailure(reporter)]}
    if deadline is not None:
        reports["deadline"] = _deadline_alert(dag_id, deadline, dogstatsd)
    asset = scores_asset(scoring.table)
    attempts = {
        "retries": retries,
        "retry_delay": retry_delay,
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
    }
    with DAG(
        dag_id,
        **{
            "description": f"Score {scoring.table} ({mode})",
            "tags": ["undertone"],
            **reports,
            **dag_options,
            "max_active_runs": 1,
            "user_defined_macros": {**dag_options.get("user_defined_macros", {}), **MACROS},
            "default_args": {**attempts, **dag_options.get("default_args", {})},
        },
    ) as dag:
        score = runner.operator(
            scoring.arguments(
                mode,
                job=dag_id,
                as_of="{{ undertone_as_of(dag_run) }}",
                run_id=f"{{{{ undertone_run_id(dag_run, '{mode}') }}}}",
            ),
            task_id="score",
            execution_timeout=execution_timeout,
            outlets=[asset],
            post_execute=EventExtra(asset, scoring, mode),
            **({"pool": pool} if pool else {}),
        )
        for number, each in enumerate(inputs, start=1):
            # Frees the worker's slot between two looks.
            waiting = {"mode": "reschedule", "poke_interval": 60.0, "timeout": SENSOR_TIMEOUT.total_seconds()}
            each.sensor(task_id=f"wait_for_input_{number}", **waiting).set_downstream(score)
    return dag


def _deadline_alert(dag_id: str, deadline: timedelta, dogstatsd: str | None) -> DeadlineAlert:
    if dogstatsd is None:
        raise SettingsError(f"the deadline of {dag_id!r} has no Datadog agent that it can be reported to: set dogstatsd")
    # Not from the logical date: the deadline of a run that catches up would have passed already.
    callback = AsyncCallback(report_missed_deadline, {"job": dag_id, "dogstatsd": dogstatsd})
    return DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=deadline, callback=callback)
