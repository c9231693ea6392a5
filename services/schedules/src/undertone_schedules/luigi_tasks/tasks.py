"""Tasks that run the Spark job. Parameters can be in luigi.cfg, in a section of the task's name."""

import logging
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar

import luigi
from luigi.contrib.external_program import ExternalProgramRunError, ExternalProgramTask
from undertone_client import SettingsError
from undertone_client.jobs.catalog import CatalogSettings, CatalogType, parse_pairs

from undertone_schedules.luigi_tasks.inputs import InputFile
from undertone_schedules.luigi_tasks.target import RunTarget
from undertone_schedules.outcome import OutcomeReporter
from undertone_schedules.scoring import RunMode, Scoring

log = logging.getLogger(__name__)


class ScoringRunError(Exception):
    """A run of `undertone-batch` failed."""


class ScoringTask(ExternalProgramTask):
    """A run of `undertone-batch` as a process of the Luigi worker.

    Attributes:
        date: The day of the data in the source.
        source: The path or glob of the paragraphs. `{date}` is replaced by the day, such as in
            `s3://lake/posts/{date}/` or `s3://lake/posts/{date:%Y/%m/%d}/`.
        table: NAMESPACE.NAME of the table.
        target: The address of the service.
        warehouse, catalog_type, catalog_uri, catalog_options: The catalogue of the table, as the
            options of `undertone-batch`.
        source_format: The format of the source.
        is_partial: Whether the source of a day has only the paragraphs of that day. The days then
            run in order from `start`, each after the one before it.
        start: The first day of a partial source.
        options: Further options of `undertone-batch run`.
        command: The program and its first arguments: `undertone-batch`, or spark-submit with its
            options and the application.
        wait_for: A file that must exist before the run starts, with `{date}`, or empty.
        dogstatsd: The Datadog agent that receives the outcome: host:port, unix:///path, or empty.
        job: The name of the schedule in the table and in metrics.
    """

    mode: ClassVar[RunMode]

    date = luigi.DateParameter()
    source = luigi.Parameter()
    table = luigi.Parameter()
    target = luigi.Parameter(significant=False)
    warehouse = luigi.Parameter(default="", significant=False)
    catalog_type = luigi.Parameter(default=CatalogType.SQLITE.value, significant=False)
    catalog_uri = luigi.Parameter(default="", significant=False)
    catalog_options = luigi.ListParameter(default=(), significant=False)
    source_format = luigi.Parameter(default="parquet", significant=False)
    is_partial = luigi.BoolParameter(default=False, parsing=luigi.BoolParameter.EXPLICIT_PARSING)
    start = luigi.DateParameter(default=None, significant=False)
    options = luigi.ListParameter(default=(), significant=False)
    command = luigi.ListParameter(default=("undertone-batch",), significant=False)
    wait_for = luigi.Parameter(default="", significant=False)
    dogstatsd = luigi.Parameter(default="", significant=False)
    job = luigi.Parameter()

    capture_output = False

    @property
    def catalog(self) -> CatalogSettings:
        """The catalogue of the table. Raises SettingsError."""
        options = parse_pairs(tuple(self.catalog_options), "catalog_options", "client.region=eu-central-1")
        return CatalogSettings(CatalogType(self.catalog_type), self.warehouse or None, self.catalog_uri or None, options)

    @property
    def scoring(self) -> Scoring:
        """The source, the table and the service. Raises SettingsError."""
        return Scoring(
            source=self.source.format(date=self.date),
            table=self.table,
            target=self.target,
            catalog=self.catalog,
            source_format=self.source_format,
            is_partial=self.is_partial,
            options=tuple(self.options),
        )

    @property
    def as_of(self) -> datetime:
        """The start of the day, in UTC."""
        return datetime.combine(self.date, time(), UTC)

    @property
    def resources(self) -> dict[str, int]:
        """One run at a time for each table: Luigi gives each resource one unit by default."""
        return {f"undertone {self.table}": 1}

    def requires(self) -> list[luigi.Task]:
        required: list[luigi.Task] = [InputFile(self.wait_for.format(date=self.date))] if self.wait_for else []
        if self.is_partial:
            if self.start is None:
                raise SettingsError("a partial source needs its first day, so that the days run in order: set start")
            if self.date > self.start:
                required.append(self.clone(date=self.date - timedelta(days=1)))
        return required

    def output(self) -> RunTarget:
        return RunTarget(self.catalog, self.scoring.table_name, self.job, self.as_of)

    def program_args(self) -> list[str]:
        as_of, run_id = f"{self.as_of:%Y-%m-%dT%H:%M:%S}", f"{self.mode}-{self.as_of:%Y%m%dT%H%M%S}"
        return [*self.command, *self.scoring.arguments(self.mode, job=self.job, as_of=as_of, run_id=run_id)]

    def run(self) -> None:
        """Runs the program. Raises ScoringRunError."""
        try:
            super().run()
        except ExternalProgramRunError as error:
            # Its text has all environment variables. Secrets can be among them, and Luigi logs it.
            problem = str(error.message).rstrip(": ").replace("Program", self.command[0], 1)
            raise ScoringRunError(f"{problem}. Its log is above") from None

    def report(self, *, failure: str | None) -> None:
        """Reports the outcome to Datadog, if there is an agent."""
        if not self.dogstatsd:
            return
        reporter = OutcomeReporter(self.job, self.dogstatsd)
        if failure is None:
            reporter.succeeded(f"run for {self.date}")
        else:
            reporter.failed(f"run for {self.date}: {failure}")


class UndertoneDaily(ScoringTask):
    """Scores what is new or has changed."""

    mode = RunMode.DAILY
    job = luigi.Parameter(default="undertone_daily")


class UndertoneBackfill(ScoringTask):
    """Scores all paragraphs of the source."""

    mode = RunMode.BACKFILL
    job = luigi.Parameter(default="undertone_backfill")


@ScoringTask.event_handler(luigi.Event.SUCCESS)
def _report_success(task: ScoringTask) -> None:
    task.report(failure=None)


@ScoringTask.event_handler(luigi.Event.FAILURE)
def _report_failure(task: ScoringTask, error: BaseException) -> None:
    task.report(failure=str(error) if isinstance(error, ScoringRunError | SettingsError) else type(error).__name__)


@ScoringTask.event_handler(luigi.Event.PROCESS_FAILURE)
def _report_process_failure(task: ScoringTask, problem: Any) -> None:
    task.report(failure=str(problem))


@ScoringTask.event_handler(luigi.Event.TIMEOUT)
def _report_timeout(task: ScoringTask, problem: Any) -> None:
    task.report(failure=str(problem))
