"""Callbacks that report the outcome of a DAG run to Datadog."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from undertone_schedules.outcome import OutcomeReporter


@dataclass(frozen=True, slots=True)
class ReportSuccess:
    """An `on_success_callback` of a DAG."""

    reporter: OutcomeReporter

    def __call__(self, context: Mapping[str, Any]) -> None:
        self.reporter.succeeded(_run(context))


@dataclass(frozen=True, slots=True)
class ReportFailure:
    """An `on_failure_callback` of a DAG. Airflow calls it after the last retry has failed."""

    reporter: OutcomeReporter

    def __call__(self, context: Mapping[str, Any]) -> None:
        task = getattr(context.get("ti"), "task_id", None)
        self.reporter.failed(f"{_run(context)}: {context.get('reason') or 'failed'}{f', last task {task}' if task else ''}")


async def report_missed_deadline(context: Mapping[str, Any], job: str, dogstatsd: str) -> None:
    """Reports a DAG run that has not ended at its deadline. Airflow calls it in the triggerer."""
    reporter = OutcomeReporter(job, dogstatsd)
    await asyncio.to_thread(reporter.missed_deadline, f"{_run(context)} has not ended")


def _run(context: Mapping[str, Any]) -> str:
    """The run of a context. A deadline's context has the run as a dictionary, or not at all."""
    run = context.get("dag_run")
    run_id = run.get("run_id") or run.get("dag_run_id") if isinstance(run, Mapping) else getattr(run, "run_id", None)
    return f"DAG run {run_id or context.get('run_id') or 'without an id'}"
